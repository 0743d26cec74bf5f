#include "cli/autostart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "cli/descriptors.h"
#include "cli/paths.h"

#define READY_MS      15000 /* a server with a large log reads it first */
#define LOCK_MS       20000 /* longer than another one's start */
#define LOCK_PAUSE_MS 20
#define PROBE_MS      1000 /* for a connection on this machine */
#define UNUSED_TIME   "10m"

struct auto_paths {
    char socket[108], lock[128];
    char data[4096], log[4096], used_2379[4096];
    char where[4096]; /* of the server that was started last: its socket */
};

static bool hinted;
static char hint[4400];

const char *autostart_hint(void)
{
    return hinted ? hint : NULL;
}

static bool find_paths(struct auto_paths *p)
{
    if (!paths_runtime("auto/serve.sock", p->socket, sizeof p->socket) ||
        !paths_state("auto/data", p->data, sizeof p->data) || !paths_state("auto/log", p->log, sizeof p->log) ||
        !paths_state("auto/uses-2379", p->used_2379, sizeof p->used_2379) ||
        !paths_state("auto/socket", p->where, sizeof p->where))
        return false;
    snprintf(p->lock, sizeof p->lock, "%s.lock", p->socket);
    return true;
}

/* A folder in /tmp may be somebody else's trap: the socket's is ours alone, and nobody else can put another in its place.
 * dir (of the socket's size) gets the one that was looked at last. */
static bool is_ours(const struct auto_paths *p, char *dir)
{
    struct stat st;
    snprintf(dir, sizeof p->socket, "%s", p->socket);
    *strrchr(dir, '/') = 0;
    if (!paths_is_private(dir))
        return false;
    *strrchr(dir, '/') = 0;
    if (lstat(dir, &st) < 0)
        return false;
    errno = EPERM;
    return (st.st_uid == geteuid() || st.st_uid == 0) && (st.st_mode & 022) == 0;
}

/* ---- one server for all of a user's sessions ---- */

/* What cron starts, and what an ssh starts, may have another runtime folder than the terminal, or none; the data are the same, and
 * so is the server. While the socket of the one that was started last is there, it is the one that is meant. */
static void follow_where(struct auto_paths *p)
{
    struct auto_paths other = *p;
    char dir[sizeof p->socket];
    FILE *f = fopen(p->where, "re");
    bool read = f && fgets(other.socket, sizeof other.socket, f);
    if (f)
        fclose(f);
    if (!read)
        return;
    other.socket[strcspn(other.socket, "\n")] = 0;
    snprintf(other.lock, sizeof other.lock, "%s.lock", other.socket);
    if (other.socket[0] == '/' && strrchr(other.socket, '/') > other.socket + 1 && is_ours(&other, dir) &&
        access(other.socket, F_OK) == 0)
        *p = other;
}

/* Failing, other sessions do not find the server, and say that the data are in use. */
static void note_where(const struct auto_paths *p)
{
    char beside[4200];
    snprintf(beside, sizeof beside, "%s.new", p->where);
    FILE *f = fopen(beside, "we");
    if (!f)
        return;
    bool written = fprintf(f, "%s\n", p->socket) > 0;
    if (fclose(f) != 0 || !written || rename(beside, p->where) < 0)
        unlink(beside);
}

/* ---- is somebody there? ---- */

/* 0, or errno. */
static int probe(int family, const struct sockaddr *at, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0, error = 0;
    socklen_t error_len = sizeof error;
    if (fd < 0)
        return errno;
    if (connect(fd, at, len) < 0)
        rc = errno;
    if (rc == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        rc = poll(&p, 1, PROBE_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 ? error
                                                                                                         : ETIMEDOUT;
    }
    close(fd);
    return rc == EAGAIN ? 0 : rc; /* a full queue of a unix socket: somebody is there, and busy */
}

static int probe_socket(const struct auto_paths *p)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, p->socket, strlen(p->socket) + 1);
    return probe(AF_UNIX, (struct sockaddr *)&at, sizeof at);
}

static bool answers_2379(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(2379), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return probe(AF_INET, (struct sockaddr *)&at, sizeof at) == 0;
}

/* Under a shared lock, so that a server which is about to stop sees us or is gone (server/unused.c). */
static int probe_socket_surely(const struct auto_paths *p)
{
    int fd = open(p->lock, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = flock(fd, LOCK_SH | LOCK_NB) == 0 ? probe_socket(p) : errno;
    close(fd);
    return rc;
}

/* ---- starting ---- */

static bool cannot(const char *who, const char *what, const char *path)
{
    fprintf(stderr,
            "%s: cannot start a server: %s %s: %s\n"
            "try: name the servers by --endpoints or TENURE_ENDPOINTS, or --no-autostart\n",
            who, what, path, strerror(errno));
    return false;
}

static bool make_runtime(const char *who, const struct auto_paths *p)
{
    char dir[sizeof p->socket];
    paths_make_parents(p->socket);
    return is_ours(p, dir) ||
           cannot(who, errno == EPERM ? "not a folder of this user alone (mode 0700):" : "folder", dir);
}

/* -1 after having said why. */
static int take_lock(const char *who, const struct auto_paths *p)
{
    int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        cannot(who, "lock", p->lock);
        return -1;
    }
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_PAUSE_MS) {
        if (errno != EWOULDBLOCK || waited > LOCK_MS) {
            cannot(who, "lock", p->lock);
            close(fd);
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
    }
    return fd;
}

/* Becomes the server: out of this session, with none of its descriptors but `life`, whose end says that it died. */
static void become_server(const struct auto_paths *p, const char *notify, int life)
{
    char url[128], notify_variable[160], home[4096], path[4096];
    const char *word;
    snprintf(url, sizeof url, "unix://%s", p->socket);
    snprintf(notify_variable, sizeof notify_variable, "NOTIFY_SOCKET=%s", notify);
    snprintf(home, sizeof home, "HOME=%s", (word = getenv("HOME")) ? word : "/");
    snprintf(path, sizeof path, "PATH=%s", (word = getenv("PATH")) ? word : "/usr/bin:/bin");
    char *argv[] = {
        "tenure",    "serve", "--data-dir", (char *)p->data, "--listen-client-urls", url, "--stop-when-unused",
        UNUSED_TIME, NULL};
    char *env[] = {notify_variable, home, path, NULL}; /* ETCD_… variables would configure it */
    int in = open("/dev/null", O_RDONLY), out = open(p->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigset_t none;
    sigemptyset(&none);
    if (in < 0 || out < 0 || chdir("/") < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        dup2(life, 3) < 0)
        _exit(127);
    descriptors_close(4, ~0u);
    for (int signum = 1; signum < 32; signum++)
        signal(signum, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

/* In between is a process that ends at once, so that the server is nobody's child; also not ours, where orphans of a command come
 * to us: it would be ended with that command. */
static bool spawn_server(const struct auto_paths *p, const char *notify, int life)
{
    int status = -1, takes_orphans = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &takes_orphans);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        pid_t server = fork();
        if (server == 0)
            become_server(p, notify, life);
        _exit(server < 0 ? 1 : 0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    prctl(PR_SET_CHILD_SUBREAPER, takes_orphans);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_notify(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path, path, strlen(path) + 1);
    unlink(path);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* True when it serves; false when it died or said nothing in time. */
static bool await_ready(int notify, int life)
{
    struct pollfd fds[] = {{.fd = notify, .events = POLLIN}, {.fd = life, .events = POLLIN}};
    char word[256];
    while (poll(fds, 2, READY_MS) > 0) {
        ssize_t n = fds[0].revents & POLLIN ? recv(notify, word, sizeof word - 1, MSG_DONTWAIT) : 0;
        if (n > 0) {
            word[n] = 0;
            if (strstr(word, "READY=1"))
                return true;
        } else if (fds[1].revents) {
            return false;
        }
    }
    return false;
}

static void say_last_line(const char *log)
{
    char text[1024], *line;
    FILE *f = fopen(log, "re");
    if (!f)
        return;
    if (fseek(f, 0, SEEK_END) == 0 && ftell(f) > (long)sizeof text)
        fseek(f, -(long)sizeof text, SEEK_END);
    else
        rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = 0;
    line = strrchr(text, '\n');
    fprintf(stderr, "%s\n", line ? line + 1 : text);
}

static bool start(const char *who, const struct auto_paths *p)
{
    char notify_path[108];
    int life[2] = {-1, -1}, notify = -1;
    bool ready = false;
    paths_make_parents(p->data);
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); /* without it nobody would learn why */
    if (log < 0)
        return cannot(who, "log", p->log);
    close(log);
    bool fits = snprintf(notify_path, sizeof notify_path, "%s.n", p->socket) < (int)sizeof notify_path;
    if (!fits)
        errno = ENAMETOOLONG;
    if (fits && pipe2(life, O_CLOEXEC) == 0 && (notify = open_notify(notify_path)) >= 0 &&
        spawn_server(p, notify_path, life[1])) {
        close(life[1]);
        life[1] = -1;
        ready = await_ready(notify, life[0]);
        if (ready)
            note_where(p);
        if (ready)
            fprintf(
                stderr,
                "tenure: started a server for you at unix://%s: nothing is configured. Only this user on this machine "
                "sees it.\n",
                p->socket);
        else
            fprintf(stderr, "%s: the server that was started does not serve; its log, %s, ends with:\n", who, p->log),
                say_last_line(p->log);
    } else {
        cannot(who, "socket", p->socket);
    }
    if (life[1] >= 0)
        close(life[1]);
    if (life[0] >= 0)
        close(life[0]);
    if (notify >= 0)
        close(notify);
    if (fits)
        unlink(notify_path);
    return ready;
}

/* ---- the choice ---- */

static bool use_socket(const struct auto_paths *p)
{
    char url[128];
    snprintf(url, sizeof url, "unix://%s", p->socket);
    return setenv("TENURE_ENDPOINTS", url, 1) == 0;
}

static bool use_2379(const struct auto_paths *p)
{
    if (access(p->used_2379, F_OK) == 0)
        return true;
    paths_make_parents(p->used_2379);
    int fd = open(p->used_2379, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return true;
}

/* With the lock: nobody else is starting one, and none is about to stop. */
static bool choose(const char *who, const struct auto_paths *p)
{
    int there = probe_socket(p);
    if (there == 0)
        return use_socket(p);
    bool died = there == ECONNREFUSED;
    if (!died && answers_2379())
        return use_2379(p);
    if (!died && access(p->used_2379, F_OK) == 0) {
        hinted = true;
        snprintf(hint, sizeof hint,
                 "none is started for you: the one at 127.0.0.1:2379 was used before, and locks may be held there; to "
                 "leave it for good: rm %s",
                 p->used_2379);
        return true;
    }
    return start(who, p) && use_socket(p);
}

static bool is_configured(const struct global_options *g)
{
    const char *endpoints = getenv("TENURE_ENDPOINTS"), *srv = getenv("TENURE_DISCOVERY_SRV");
    return g->endpoints || g->discovery_srv || (endpoints && *endpoints) || (srv && *srv);
}

bool autostart(const char *who, const struct global_options *g, bool may_start)
{
    struct auto_paths p;
    char dir[sizeof p.socket];
    const char *never = getenv("TENURE_NO_AUTOSTART");
    if (is_configured(g) || !find_paths(&p))
        return true;
    follow_where(&p);
    bool ours = is_ours(&p, dir);
    if (ours && probe_socket_surely(&p) == 0)
        return use_socket(&p);
    bool there_before = ours && access(p.socket, F_OK) == 0;
    if (!there_before && answers_2379())
        return use_2379(&p);
    if (!may_start || g->no_autostart || (never && *never))
        return there_before ? use_socket(&p) : true;
    if (!make_runtime(who, &p))
        return false;
    int lock = take_lock(who, &p);
    if (lock < 0)
        return false;
    bool ok = choose(who, &p);
    close(lock);
    return ok;
}
