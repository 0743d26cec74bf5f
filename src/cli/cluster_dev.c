/* tenure cluster dev: a real etcd cluster on this machine, its members children of this program.
 *
 *   STARTING --a linearizable read is answered--> SERVING --told to end--> ENDING --all are gone--> DONE
 *       \--a member cannot live, or time is over------------------------------/
 *
 * Happy path: one loop over the signals and the library's descriptor. Failure modes: a member that dies is started again, after
 * a pause that grows; one that dies over and over before the cluster ever served ends it all, with the last words of its log; one that
 * was removed from the cluster is started no more. This program's death ends the members too (spawn.h), and what they have on disk is
 * good for the next time, which waits for those that are still on their way out. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"
#include "cli/cluster.h"
#include "cli/connect.h"
#include "cli/group.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/signals.h"
#include "cli/spawn.h"
#include "io/loop.h"

#define START_MS       60000 /* until the cluster must serve */
#define ASK_MS         2000
#define ASK_AGAIN_MS   100
#define KILL_AFTER_MS  3000 /* a leader looks for a successor for long, and there is none; what is on disk is good */
#define RESTART_MIN_MS 200
#define RESTART_MAX_MS 10000
#define STEADY_MS      10000 /* who lived so long begins anew with his pauses */
#define DEATHS_MAX     3     /* of one member, before the cluster ever served */
#define LEFT_MS        3000  /* for a member that a killed one of us left, until it is killed too */
#define PORTS_MS       15000 /* for ports that somebody has, until etcd is to say it */
#define LAST_WORDS     2000  /* bytes of a log that are shown */
#define LINE_MAX_BYTES 8192

enum dev_phase { DEV_STARTING, DEV_SERVING, DEV_ENDING, DEV_DONE };

struct dev_member {
    const struct cluster_member *at;
    struct spawn child; /* pid 0 = it is to be started at start_at */
    int64_t start_at, started_at;
    struct backoff pause;
    int deaths;
    int64_t waits_since; /* for its ports; 0 = it does not */
    bool is_suspect;     /* it died: whether it is still one of the cluster is to be asked */
};

struct dev {
    const struct global_options *g;
    const char *etcd;
    char upgraded[CLUSTER_PATH_MAX]; /* what `tenure cluster upgrade` has named instead */
    struct cluster_layout layout;
    char endpoints[LINE_MAX_BYTES], peers[LINE_MAX_BYTES];
    enum dev_phase phase;
    int code;
    struct dev_member members[CLUSTER_MEMBERS_MAX];
    struct signals signals;
    tenure_client *client;
    bool is_asking, has_answer, is_listing;
    int64_t ask_at, list_at, serve_until, kill_at;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;
    fputs("tenure cluster: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- the members ---- */

static void path_of(const struct dev *d, const struct dev_member *m, const char *what, char *out, size_t size)
{
    snprintf(out, size, "%s/%s%s", d->layout.dir, m->at->name, what);
}

/* etcd takes the peers' flags on its first start only; later ones are in its data. */
static bool start_member(struct dev *d, struct dev_member *m)
{
    char data[CLUSTER_PATH_MAX], log[CLUSTER_PATH_MAX], client[64], peer[64];
    static const struct spawn_variable none = {NULL, NULL};
    path_of(d, m, "", data, sizeof data);
    path_of(d, m, ".log", log, sizeof log);
    snprintf(client, sizeof client, "http://127.0.0.1:%d", m->at->client_port);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", m->at->peer_port);
    bool is_upgraded = cluster_layout_program(&d->layout, d->upgraded, sizeof d->upgraded);
    char *argv[] = {is_upgraded ? d->upgraded : (char *)d->etcd,
                    "--name",
                    (char *)m->at->name,
                    "--data-dir",
                    data,
                    "--listen-client-urls",
                    client,
                    "--advertise-client-urls",
                    client,
                    "--listen-peer-urls",
                    peer,
                    "--initial-advertise-peer-urls",
                    peer,
                    "--initial-cluster",
                    d->peers,
                    "--initial-cluster-token",
                    CLUSTER_TOKEN,
                    "--logger",
                    "zap",
                    "--log-outputs",
                    log,
                    "--log-level",
                    "info",
                    NULL};
    m->start_at = INT64_MAX;
    m->started_at = io_clock();
    if (!spawn_make(&m->child, argv, &none, &d->signals.before)) {
        say("%s cannot be started: %s", m->at->name, strerror(errno));
        return false;
    }
    spawn_go(&m->child);
    cluster_pid_write(&d->layout, m->at, m->child.pid);
    return true;
}

/* The end of a member's log, on stderr. */
static void show_last_words(const struct dev *d, const struct dev_member *m)
{
    char path[CLUSTER_PATH_MAX], text[LAST_WORDS + 1];
    path_of(d, m, ".log", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END), from = size > LAST_WORDS ? size - LAST_WORDS : 0;
    ssize_t n = pread(fd, text, LAST_WORDS, from);
    close(fd);
    if (n <= 0)
        return;
    text[n] = 0;
    const char *line = from > 0 ? strchr(text, '\n') : NULL;
    fprintf(stderr, "--- the end of %s\n%s---\n", path, line ? line + 1 : text);
}

static void end_all(struct dev *d, int code)
{
    if (d->phase >= DEV_ENDING)
        return;
    d->phase = DEV_ENDING;
    d->code = code;
    d->kill_at = io_clock() + KILL_AFTER_MS;
    for (size_t i = 0; i < d->layout.n; i++)
        group_signal(d->members[i].child.pid, SIGTERM);
}

static void member_ended(struct dev *d, struct dev_member *m, int status)
{
    int why = spawn_error(&m->child);
    spawn_fini(&m->child);
    cluster_pid_forget(&d->layout, m->at);
    if (d->phase == DEV_ENDING)
        return;
    if (why) {
        say("%s cannot be executed: %s", d->etcd, strerror(why));
        end_all(d, EXIT_USAGE);
        return;
    }
    int64_t now = io_clock();
    if (now - m->started_at > STEADY_MS)
        backoff_success(&m->pause);
    struct rng rng;
    rng_init(&rng, (uint64_t)now ^ (uint64_t)m->at->client_port);
    m->start_at = now + backoff_failure(&m->pause, &rng);
    m->deaths++;
    m->is_suspect = true;
    d->list_at = now;
    say("%s ended by %s %d and is started again in %.1f s; its log is %s/%s.log", m->at->name,
        WIFSIGNALED(status) ? "signal" : "code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
        (double)(m->start_at - now) / 1000, d->layout.dir, m->at->name);
    if (d->phase != DEV_STARTING || m->deaths < DEATHS_MAX)
        return;
    show_last_words(d, m);
    say("%s cannot live: given up", m->at->name);
    end_all(d, EXIT_FAILED);
}

/* Who was started by one of us that was killed is on its way out, and has the ports still. */
static bool has_its_place(struct dev *d, struct dev_member *m)
{
    int64_t now = io_clock();
    pid_t left = cluster_pid_left(&d->layout, m->at);
    if (!left && cluster_port_is_free(m->at->client_port) && cluster_port_is_free(m->at->peer_port)) {
        m->waits_since = 0;
        return true;
    }
    if (!m->waits_since) {
        m->waits_since = now;
        if (left)
            say("%s still runs, as process %d of an earlier time, and is waited for", m->at->name, (int)left);
        else
            say("%s is waiting for its ports, %d and %d: somebody has them", m->at->name, m->at->client_port,
                m->at->peer_port);
    }
    if (left && now - m->waits_since >= LEFT_MS)
        kill(left, SIGKILL); /* the folder is ours */
    m->start_at = now + ASK_AGAIN_MS;
    return !left && now - m->waits_since >= PORTS_MS;
}

static void look_at_members(struct dev *d)
{
    for (size_t i = 0; i < d->layout.n; i++) {
        struct dev_member *m = &d->members[i];
        int status;
        if (m->child.pid && waitpid(m->child.pid, &status, WNOHANG) == m->child.pid)
            member_ended(d, m, status);
        if (!m->child.pid && d->phase < DEV_ENDING && io_clock() >= m->start_at && has_its_place(d, m) &&
            !start_member(d, m))
            end_all(d, EXIT_FAILED);
    }
}

/* ---- whether they are still of the cluster ---- */

static bool lists(const struct tenure_member_list *r, const struct cluster_member *m)
{
    char peer[64];
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", m->peer_port);
    for (size_t i = 0; i < r->n; i++)
        for (size_t u = 0; u < r->members[i].n_peer_urls; u++)
            if (strcmp(r->members[i].peer_urls[u], peer) == 0)
                return true;
    return false;
}

/* Written down, so that it is not started the next time either. */
static void was_removed(struct dev *d, struct dev_member *m)
{
    d->layout.members[m - d->members].is_removed = true;
    m->start_at = INT64_MAX;
    cluster_layout_save(&d->layout);
    say("%s was removed from the cluster, and is started no more; what it had is in %s/%s", m->at->name, d->layout.dir,
        m->at->name);
}

static void on_list(void *user, int code, struct tenure_member_list *r, const struct tenure_error *err)
{
    struct dev *d = user;
    (void)err;
    d->is_listing = false;
    d->list_at = io_clock() + ASK_AGAIN_MS;
    for (size_t i = 0; code == 0 && i < d->layout.n; i++) {
        struct dev_member *m = &d->members[i];
        bool is_gone = m->is_suspect && !m->child.pid && !lists(r, m->at);
        m->is_suspect = false;
        if (is_gone)
            was_removed(d, m);
    }
    tenure_member_list_free(r);
}

static bool has_suspect(const struct dev *d)
{
    for (size_t i = 0; i < d->layout.n; i++)
        if (d->members[i].is_suspect)
            return true;
    return false;
}

static void look_at_list(struct dev *d)
{
    struct tenure_error err = {0};
    if (d->phase >= DEV_ENDING || d->is_listing || !has_suspect(d) || io_clock() < d->list_at)
        return;
    d->is_listing = tenure_member_list_start(d->client, false, ASK_MS, on_list, d, &err) == 0;
    d->list_at = io_clock() + ASK_AGAIN_MS;
}

/* ---- whether it serves ---- */

static void on_answer(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct dev *d = user;
    (void)err;
    tenure_get_free(r);
    d->is_asking = false;
    d->has_answer = code == 0;
    d->ask_at = io_clock() + ASK_AGAIN_MS;
}

static void ask(struct dev *d)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = ASK_MS, .count_only = true};
    struct tenure_error err = {0};
    d->is_asking = tenure_get_start(d->client, tenure_str("/"), &o, on_answer, d, &err) == 0;
    d->ask_at = io_clock() + ASK_AGAIN_MS;
}

static json_t *members_json(const struct dev *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->layout.n; i++) {
        const struct dev_member *m = &d->members[i];
        char url[64];
        if (m->at->is_removed)
            continue;
        snprintf(url, sizeof url, "http://127.0.0.1:%d", m->at->client_port);
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(m->at->name));
        json_object_set_new(o, "endpoint", json_string(url));
        json_object_set_new(o, "pid", json_integer(m->child.pid));
        json_array_append_new(list, o);
    }
    return list;
}

static void tell(const struct dev *d)
{
    static const struct output_column columns[] = {{.path = "name", .heading = "NAME"},
                                                   {.path = "endpoint", .heading = "ENDPOINT"},
                                                   {.path = "pid", .heading = "PID", .kind = OUTPUT_NUMBER},
                                                   {0}};
    static const struct output_form form = {.lists = {"members"}, .columns = columns};
    if (output_is_text(d->g)) {
        printf("export TENURE_ENDPOINTS=%s\nexport ETCDCTL_ENDPOINTS=%s\n", d->endpoints, d->endpoints);
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "endpoints", json_string(d->endpoints));
        json_object_set_new(o, "members", members_json(d));
        output_print(d->g, &form, o);
    }
    fflush(stdout);
    clearerr(stdout); /* it serves also when nobody reads that */
    size_t n = 0;
    for (size_t i = 0; i < d->layout.n; i++)
        n += !d->layout.members[i].is_removed;
    say("%zu members serve, their data and logs are in %s; Ctrl-C ends them", n, d->layout.dir);
}

static void look_at_service(struct dev *d)
{
    if (d->phase != DEV_STARTING)
        return;
    if (d->has_answer) {
        d->phase = DEV_SERVING;
        tell(d);
    } else if (io_clock() >= d->serve_until) {
        say("no read was answered within %d s", START_MS / 1000);
        show_last_words(d, &d->members[0]);
        end_all(d, EXIT_UNAVAILABLE);
    } else if (!d->is_asking && io_clock() >= d->ask_at) {
        ask(d);
    }
}

/* ---- the loop ---- */

static void take_signals(struct dev *d)
{
    for (int signal; (signal = signals_next(&d->signals));) {
        if (!signals_is_end(signal))
            continue;
        if (d->phase == DEV_ENDING)
            d->kill_at = 0; /* told twice */
        end_all(d, EXIT_OK);
    }
}

static void look_at_the_end(struct dev *d)
{
    size_t left = 0;
    if (d->phase != DEV_ENDING)
        return;
    for (size_t i = 0; i < d->layout.n; i++) {
        left += d->members[i].child.pid != 0;
        if (io_clock() >= d->kill_at)
            group_signal(d->members[i].child.pid, SIGKILL);
    }
    if (left == 0)
        d->phase = DEV_DONE;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct dev *d)
{
    int64_t at = INT64_MAX, now = io_clock();
    int timeout = tenure_timeout_ms(d->client);
    if (d->phase == DEV_ENDING)
        at = now >= d->kill_at ? INT64_MAX : d->kill_at; /* then SIGCHLD is all that is waited for */
    if (d->phase == DEV_STARTING)
        at = earlier(d->serve_until, d->is_asking ? INT64_MAX : d->ask_at);
    if (d->phase < DEV_ENDING && !d->is_listing && has_suspect(d))
        at = earlier(at, d->list_at);
    for (size_t i = 0; i < d->layout.n && d->phase < DEV_ENDING; i++)
        if (!d->members[i].child.pid)
            at = earlier(at, d->members[i].start_at);
    if (timeout >= 0)
        at = earlier(at, now + timeout);
    if (at == INT64_MAX)
        return -1;
    return at <= now ? 0 : (int)earlier(at - now, 1000000);
}

static void turn(struct dev *d)
{
    tenure_turn(d->client);
    take_signals(d);
    look_at_members(d);
    look_at_list(d);
    look_at_service(d);
    look_at_the_end(d);
}

static void loop(struct dev *d)
{
    for (turn(d); d->phase != DEV_DONE; turn(d)) {
        struct pollfd fds[] = {{.fd = d->signals.fd, .events = POLLIN}, {.fd = tenure_fd(d->client), .events = POLLIN}};
        poll(fds, 2, wait_ms(d));
    }
}

/* ---- beginning ---- */

static bool open_client(struct dev *d)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    struct global_options plain = {.call_timeout_ms = ASK_MS}; /* its own members, no credentials */
    connect_options(&plain, &options);
    d->client = tenure_open_poll(d->endpoints, &options, &err);
    if (!d->client)
        say("%s", err.text);
    return d->client != NULL;
}

static void serve(struct dev *d)
{
    for (size_t i = 0; i < d->layout.n; i++) {
        d->members[i] = (struct dev_member){.at = &d->layout.members[i], .child = {.go_fd = -1, .error_fd = -1}};
        backoff_init(&d->members[i].pause, RESTART_MIN_MS, RESTART_MAX_MS);
        if (d->layout.members[i].is_removed)
            d->members[i].start_at = INT64_MAX;
    }
    d->serve_until = io_clock() + START_MS;
    loop(d);
}

static bool has(const struct cluster_layout *l, const char *name)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", l->dir, name);
    return access(path, F_OK) == 0;
}

/* What is missing of an adopted cluster would be made anew, and be empty. */
static bool may_run(const struct cluster_layout *l)
{
    if (has(l, CLUSTER_ADOPTING)) {
        say("adopt has not finished %s: run `tenure cluster adopt` again", l->dir);
        return false;
    }
    for (size_t i = 0; i < l->n && has(l, "adopted.db"); i++) {
        if (has(l, l->members[i].name) || l->members[i].is_removed)
            continue;
        say("%s/%s is missing, and would begin empty\ntry: tenure cluster replace, with the others running", l->dir,
            l->members[i].name);
        return false;
    }
    return true;
}

int cluster_dev(const struct global_options *g, const struct cluster_options *o)
{
    static char etcd[CLUSTER_PATH_MAX];
    struct dev d = {.g = g, .code = EXIT_FAILED, .signals.fd = -1};
    if (!program_find("tenure cluster", "--etcd", o->etcd, "etcd", "apt install etcd-server", etcd, sizeof etcd))
        return EXIT_USAGE;
    d.etcd = etcd;
    int lock = cluster_layout_open(&d.layout, o->data_dir, (size_t)o->members, (int)o->port, &d.code);
    if (lock < 0)
        return d.code;
    d.code = EXIT_FAILED;
    cluster_layout_endpoints(&d.layout, d.endpoints, sizeof d.endpoints);
    cluster_layout_peers(&d.layout, d.peers, sizeof d.peers);
    if (o->etcd)
        cluster_layout_use(&d.layout, NULL);
    if (!may_run(&d.layout)) {
        d.code = EXIT_FAILED;
    } else if (signals_open(&d.signals)) {
        if (open_client(&d))
            serve(&d);
        tenure_close(d.client);
    } else {
        say("signals: %s", strerror(errno));
    }
    for (size_t i = 0; i < d.layout.n; i++)
        spawn_fini(&d.members[i].child);
    signals_close(&d.signals);
    close(lock);
    return d.code;
}
