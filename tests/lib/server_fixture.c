/* A server's output goes to a file in its folder; it is ready when the line is in it that says so. etcd cannot be asked which
 * free port it took, so it gets one that was free a moment ago, and another when that was taken meanwhile. */
#include "server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS     20000

#define CLUSTER_MEMBERS 3

struct server {
    bool is_etcd;
    bool is_cluster; /* of etcd's; pid is their parent, `tenure cluster dev` */
    bool is_given;   /* a cluster of somebody else's, who is asked for what is to be done with it */
    pid_t pid;       /* 0 = not running, or given */
    pid_t members[CLUSTER_MEMBERS];
    pid_t killer; /* of a cluster's members, with TEST_FAULTS; 0 = none */
    uint16_t port;
    char dir[64];
    char log[96];
    char url[160];
    off_t log_start; /* of the present run */
};

int64_t test_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool test_await(bool (*holds)(void *user), void *user)
{
    int64_t until = test_now() + PATIENCE_MS;
    bool yes;
    while (!(yes = holds(user)) && test_now() < until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return yes;
}

/* ---- ports ---- */

static int bind_any(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

uint16_t port_unused(void)
{
    uint16_t port;
    close(bind_any(&port));
    return port;
}

int black_hole(uint16_t *ret_port)
{
    int fd = bind_any(ret_port);
    assert_int_equal(listen(fd, 100), 0);
    return fd;
}

/* ---- the process ---- */

static void exec_tenure(const struct server *s)
{
    char url[64];
    const char *binary = getenv("TENURE");
    snprintf(url, sizeof url, "http://127.0.0.1:%u", s->port);
    execlp(binary ? binary : "tenure", "tenure", "serve", "--data-dir", s->dir, "--listen-client-urls", url, NULL);
}

static void exec_etcd(const struct server *s)
{
    char peer[64], cluster[80], data[96];
    snprintf(peer, sizeof peer, "http://127.0.0.1:%u", port_unused());
    snprintf(cluster, sizeof cluster, "default=%s", peer);
    snprintf(data, sizeof data, "%s/etcd", s->dir);
    execlp("etcd", "etcd", "--data-dir", data, "--listen-client-urls", s->url, "--advertise-client-urls", s->url,
           "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, NULL);
}

static void exec_cluster(const struct server *s)
{
    char data[96];
    const char *binary = getenv("TENURE");
    snprintf(data, sizeof data, "%s/three", s->dir);
    execlp(binary ? binary : "tenure", "tenure", "cluster", "dev", "--port", "0", "--data-dir", data, NULL);
}

static void child(const struct server *s)
{
    int out = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (s->is_cluster)
        exec_cluster(s);
    else if (s->is_etcd)
        exec_etcd(s);
    else
        exec_tenure(s);
    _exit(127);
}

static const char *output(const struct server *s, char *buf, size_t size)
{
    int fd = open(s->log, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, s->log_start);
    buf[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return buf;
}

/* A member that died has been started again as another process. */
static void find_members(struct server *s)
{
    for (int i = 0; s->is_cluster && i < CLUSTER_MEMBERS; i++) {
        char path[128];
        int pid = 0;
        snprintf(path, sizeof path, "%s/three/m%d.pid", s->dir, i + 1);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%d", &pid) != 1)
            pid = 0;
        if (f)
            fclose(f);
        s->members[i] = pid;
    }
}

/* ---- faults in the background ---- */

/* Kills a member every few seconds; their parent starts them again. */
static _Noreturn void kill_members(struct server *s, int seconds)
{
    unsigned seed = (unsigned)seconds;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        sleep((unsigned)seconds);
        find_members(s);
        int i = rand_r(&seed) % CLUSTER_MEMBERS;
        if (s->members[i] > 0)
            kill(s->members[i], SIGKILL);
    }
}

static void begin_faults(struct server *s)
{
    const char *seconds = getenv("TEST_FAULTS");
    if (!s->is_cluster || !seconds || atoi(seconds) <= 0)
        return;
    s->killer = fork();
    assert_true(s->killer >= 0);
    if (s->killer == 0)
        kill_members(s, atoi(seconds));
}

static void end_faults(struct server *s)
{
    if (s->killer == 0)
        return;
    kill(s->killer, SIGKILL);
    waitpid(s->killer, NULL, 0);
    s->killer = 0;
    find_members(s);
}

/* All of them have been started when it says that it serves. */
static bool is_cluster_ready(struct server *s, const char *said)
{
    const char *url = strstr(said, "export TENURE_ENDPOINTS=");
    size_t n = url ? strcspn(url += strlen("export TENURE_ENDPOINTS="), "\n") : 0;
    if (!url || url[n] != '\n' || n >= sizeof s->url)
        return false;
    memcpy(s->url, url, n);
    s->url[n] = 0;
    find_members(s);
    return true;
}

static bool is_ready(struct server *s)
{
    char buf[65536];
    const char *line;
    output(s, buf, sizeof buf);
    if (s->is_cluster)
        return is_cluster_ready(s, buf);
    if (s->is_etcd)
        return strstr(buf, "ready to serve client requests") != NULL;
    line = strstr(buf, "serving http://127.0.0.1:");
    if (!line || !strchr(line, '\n'))
        return false;
    s->port = (uint16_t)atoi(line + strlen("serving http://127.0.0.1:"));
    return true;
}

/* Ready, or ended before it was: then its pid is 0. */
static bool is_settled(void *user)
{
    struct server *s = user;
    if (is_ready(s))
        return true;
    if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
        s->pid = 0;
    return s->pid == 0;
}

static void show_output(const struct server *s)
{
    char buf[4096];
    print_error("%s\n", output(s, buf, sizeof buf));
}

static bool run(struct server *s)
{
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", s->port);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        child(s);
    bool settled = test_await(is_settled, s);
    if (!s->is_cluster)
        snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", s->port);
    if (settled && s->pid != 0)
        return true;
    show_output(s);
    return false;
}

static bool run_first(struct server *s)
{
    for (int i = 0; i < 3; i++) {
        s->port = s->is_etcd ? port_unused() : 0;
        if (run(s))
            return true;
        server_kill(s);
    }
    return false;
}

/* ---- a cluster that is given ---- */

/* Once: another server of a test's own is a cluster of its own. */
static bool is_taken;

/* Until it is done. */
static void ask_giver(const char *what)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = getenv("TEST_CONTROL");
    char done = 0;
    assert_non_null(path);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(fd, what, strlen(what)), strlen(what));
    assert_int_equal(read(fd, &done, 1), 1);
    close(fd);
}

static struct server *take_given(struct server *s)
{
    const char *urls = getenv("TEST_ENDPOINTS");
    assert_non_null(urls);
    s->is_etcd = s->is_cluster = s->is_given = is_taken = true;
    snprintf(s->url, sizeof s->url, "%s", urls);
    return s;
}

struct server *server_start(void)
{
    const char *which = getenv("TEST_SERVER");
    struct server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    bool given = which && strcmp(which, "given") == 0;
    if (given && !is_taken)
        return take_given(s);
    s->is_cluster = given || (which && strcmp(which, "cluster") == 0);
    s->is_etcd = s->is_cluster || (which && strcmp(which, "etcd") == 0);
    snprintf(s->dir, sizeof s->dir, "/tmp/tenure-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->log, sizeof s->log, "%s/log", s->dir);
    if (!run_first(s)) {
        server_free(s);
        fail_msg("the server did not start");
    }
    begin_faults(s);
    return s;
}

/* They are nobody's children by now: it is enough that they are gone soon, their ports are free then. */
static void signal_members(const struct server *s, int signal)
{
    for (int i = 0; s->is_cluster && i < CLUSTER_MEMBERS; i++)
        if (s->members[i] > 0)
            kill(s->members[i], signal);
}

void server_kill(struct server *s)
{
    if (s->is_given) {
        ask_giver("kill");
        return;
    }
    if (s->pid == 0)
        return;
    end_faults(s);
    kill(s->pid, SIGKILL); /* of a cluster first, or it would start its members again */
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
    signal_members(s, SIGKILL);
    int fd = open(s->log, O_RDONLY | O_CLOEXEC);
    s->log_start = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd >= 0)
        close(fd);
}

void server_restart(struct server *s)
{
    if (s->is_given) {
        ask_giver("restart");
        return;
    }
    assert_int_equal(s->pid, 0);
    assert_true(run(s));
    begin_faults(s);
}

/* Until one of its threads has taken the signal, the others run on. */
void server_pause(struct server *s)
{
    siginfo_t info;
    if (s->is_given) {
        ask_giver("pause");
        return;
    }
    end_faults(s);
    assert_int_equal(kill(s->pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)s->pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
    assert_int_equal(info.si_code, CLD_STOPPED);
    signal_members(s, SIGSTOP);
}

void server_resume(struct server *s)
{
    if (s->is_given) {
        ask_giver("resume");
        return;
    }
    signal_members(s, SIGCONT);
    kill(s->pid, SIGCONT);
    begin_faults(s);
}

void server_lull(struct server *s)
{
    if (s->is_given)
        ask_giver("lull");
    else
        end_faults(s);
}

void server_lull_ends(struct server *s)
{
    if (s->is_given)
        ask_giver("go on");
    else
        begin_faults(s);
}

/* Where a test failed, its reader wants to know what the server said last; and a sanitizer's line must not be lost with the folder
 * (scripts/run-tests looks for it). */
static void show_last_output(const struct server *s)
{
    char buf[4000];
    int fd = open(s->log, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof buf, end > (off_t)sizeof buf ? end - (off_t)sizeof buf : 0);
    if (n > 0) { /* more than print_message takes */
        printf("# the server's last words:\n%.*s\n", (int)n, buf);
        fflush(stdout);
    }
    if (fd >= 0)
        close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void server_free(struct server *s)
{
    if (!s || s->is_given) {
        free(s);
        return;
    }
    server_kill(s);
    show_last_output(s);
    nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
}

const char *server_url(const struct server *s)
{
    return s->url;
}

bool server_is_etcd(const struct server *s)
{
    return s->is_etcd;
}

bool server_is_cluster(const struct server *s)
{
    return s->is_cluster;
}

size_t server_members(const struct server *s)
{
    return s->is_cluster ? CLUSTER_MEMBERS : 1;
}
