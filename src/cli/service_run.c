/* tenure service register and run: an instance that stands as long as this program, or a command of it, lives.
 *
 *   BEGINNING --check passed--> SERVING --told to end--> DRAINING --time--> ENDING --command ended--> LEAVING --> DONE
 *       \--------------------------\------- command ended, or none and told to end -----------------------^
 *
 * Happy path: one loop over the library's descriptor, the signals and the check. The command is started at once and runs whether
 * a server answers or not; only what the registry says of it depends on that.
 *
 * Failure modes: the check fails so often: critical until it passes. The lease is lost: the library heals, a line says so. Somebody
 * has the name, or took it over: the command is told to end. An operator sent it away: the command goes on unregistered. This
 * program is killed: the command's first process gets TERM from the kernel, the instance goes with its lease. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/check.h"
#include "cli/connect.h"
#include "cli/group.h"
#include "cli/output.h"
#include "cli/service.h"
#include "cli/signals.h"
#include "io/loop.h"

#define SWEEP_POLL_MS    10   /* how often a dying group is looked at */
#define SWEEP_MS         5000 /* what is left of the command's group gets so long between TERM and KILL */
#define REGISTER_WAIT_MS 5000 /* without a command: a server must have answered by then */

enum phase { BEGINNING, SERVING, DRAINING, ENDING, LEAVING, DONE };

struct serving {
    const struct global_options *g;
    const struct service_flags *f;
    const char *name;
    char **argv;
    char address[INET6_ADDRSTRLEN + 1];
    const char *at; /* the address */
    char *id, endpoint[320];
    struct tenure_meta meta[OPTION_LIST_MAX];
    struct tenure_service_options options;

    enum phase phase;
    int code;
    tenure_client *client;
    tenure_service *service; /* NULL = not begun, or over */
    bool was_registered;
    struct signals signals;
    struct spawn child;
    bool child_ended;
    int status, end_signal;
    struct check check;
    int64_t fails;
    bool is_critical;
    int64_t next_at; /* BOOTTIME: DRAINING: when the command is told; LEAVING: when it is killed; SERVING: patience */
};

static void say(const struct serving *s, const char *text, const char *more)
{
    fprintf(stderr, "tenure service: %s/%s: %s%s%s\n", s->name, s->id, text, more && *more ? ": " : "",
            more ? more : "");
}

/* ---- the registration ---- */

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "service", .heading = "SERVICE"},
                                              {.path = "instance", .heading = "INSTANCE"},
                                              {.path = "endpoint", .heading = "ENDPOINT"},
                                              {0}},
};

static void print_registered(const struct serving *s)
{
    if (s->argv)
        return; /* standard output is the command's */
    if (!output_is_text(s->g)) {
        json_t *o = json_object();
        json_object_set_new(o, "service", json_string(s->name));
        json_object_set_new(o, "instance", json_string(s->id));
        json_object_set_new(o, "endpoint", json_string(s->endpoint));
        output_event(s->g, &form, o);
    } else {
        printf("%s/%s %s\n", s->name, s->id, s->endpoint);
    }
    fflush(stdout);
    clearerr(stdout); /* it is registered also when nobody reads that */
}

static void on_registered(tenure_service *t, void *user)
{
    struct serving *s = user;
    (void)t;
    s->was_registered = true;
    print_registered(s);
}

static void on_lost(tenure_service *t, const struct tenure_error *why, void *user)
{
    (void)t;
    say(user, "not registered any more, to be healed", why->text);
}

static void on_healed(tenure_service *t, void *user)
{
    (void)t;
    say(user, "registered again", NULL);
}

static void on_edited(tenure_service *t, const struct tenure_instance *now, void *user)
{
    (void)t;
    say(user, "an operator changed it", service_state(now));
}

static void end_by_itself(struct serving *s, int code);

static void on_ended(tenure_service *t, int code, const struct tenure_error *err, void *user)
{
    struct serving *s = user;
    if (code == 0 || s->service != t)
        return;
    tenure_service_stop(t);
    s->service = NULL;
    say(s,
        code == TENURE_ENOTFOUND ? "sent away by an operator"
        : s->was_registered      ? "not registered any more"
                                 : "not registered",
        code == TENURE_ENOTFOUND ? NULL : err->text);
    if (code != TENURE_ENOTFOUND)
        end_by_itself(s, code == TENURE_EEXISTS ? EXIT_LOCK_FAILED
                         : code == TENURE_ELOST ? EXIT_LOCK_LOST
                                                : EXIT_FAILED);
    else if (!s->argv)
        end_by_itself(s, EXIT_FAILED);
}

static void begin_registration(struct serving *s)
{
    struct tenure_error err = {0};
    s->options.health = s->is_critical ? TENURE_HEALTH_CRITICAL : TENURE_HEALTH_PASSING;
    s->service = tenure_register_start(s->client, s->name, s->id, s->at, (int32_t)s->f->port, &s->options, &err);
    s->phase = SERVING;
    s->next_at = io_clock() + (s->g->call_timeout_ms ? s->g->call_timeout_ms : REGISTER_WAIT_MS);
    if (s->service)
        return;
    end_by_itself(s, connect_failed("service", s->g, &err));
}

/* ---- ends ---- */

static void leave(struct serving *s)
{
    tenure_service_stop(s->service);
    s->service = NULL;
    check_fini(&s->check);
    s->phase = LEAVING;
    s->next_at = io_clock() + SWEEP_MS;
    if (group_alive(s->child.pid))
        group_signal(s->child.pid, SIGTERM);
}

/* The command's turn to end; or the end, when there is none. */
static void end_command(struct serving *s)
{
    check_fini(&s->check);
    s->phase = ENDING;
    if (!s->child.pid)
        leave(s);
    else
        group_signal(s->child.pid, s->end_signal ? s->end_signal : SIGTERM);
}

static void end_by_itself(struct serving *s, int code)
{
    if (s->phase >= ENDING)
        return;
    s->code = code;
    end_command(s);
}

static void told_to_end(struct serving *s, int signal)
{
    s->end_signal = signal;
    if (s->phase >= ENDING) {
        group_signal(s->child.pid, signal);
        return;
    }
    bool drains = s->service && s->f->drain_ms > 0 && s->phase == SERVING;
    if (drains && tenure_service_set_draining(s->service, true, NULL) == 0) {
        s->phase = DRAINING;
        s->next_at = io_clock() + s->f->drain_ms;
        say(s, "draining", NULL);
    } else {
        end_command(s);
    }
}

static void take_signals(struct serving *s)
{
    int signal;
    while ((signal = signals_next(&s->signals))) {
        bool ends = signals_is_end(signal) && !(signal == SIGHUP && s->argv);
        if (ends)
            told_to_end(s, signal);
        else if (signal == SIGTSTP && !s->child.pid)
            signals_stop_self(false);
        else if (signal != SIGCHLD && s->child.pid)
            group_signal(s->child.pid, signal);
    }
}

/* ---- children ---- */

static void child_ended(struct serving *s, int status)
{
    int why = spawn_error(&s->child);
    s->child_ended = true;
    s->status = status;
    if (why)
        say(s, s->argv[0], why == ENOENT ? "command not found" : strerror(why));
    if (s->code == EXIT_OK)
        s->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (s->phase < LEAVING)
        leave(s);
}

static void collect_children(struct serving *s)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (!check_child_ended(&s->check, pid, status) && pid == s->child.pid)
            child_ended(s, status);
    }
}

static bool start_command(struct serving *s)
{
    const struct spawn_variable variables[] = {
        {"TENURE_SERVICE", s->name}, {"TENURE_INSTANCE", s->id}, {"TENURE_ENDPOINT", s->endpoint}, {NULL, NULL}};
    if (!s->argv)
        return true;
    if (!spawn_make(&s->child, s->argv, variables, &s->signals.before)) {
        say(s, "the command cannot be started", strerror(errno));
        return false;
    }
    spawn_go(&s->child);
    return true;
}

/* ---- the check ---- */

static void set_health(struct serving *s, bool critical, const char *why)
{
    if (s->is_critical == critical)
        return;
    s->is_critical = critical;
    say(s, critical ? "critical" : "passing", critical ? why : NULL);
    if (s->service)
        (void)tenure_service_set_health(s->service, critical ? TENURE_HEALTH_CRITICAL : TENURE_HEALTH_PASSING, NULL);
}

static void ask_check(struct serving *s)
{
    if (s->phase > DRAINING)
        return;
    switch (check_turn(&s->check, io_clock())) {
    case CHECK_NOTHING:
        return;
    case CHECK_PASSED:
        s->fails = 0;
        set_health(s, false, NULL);
        if (s->phase == BEGINNING)
            begin_registration(s);
        return;
    case CHECK_FAILED:
        if (++s->fails >= s->f->fails && s->phase != BEGINNING)
            set_health(s, true, s->check.why);
        return;
    }
}

/* ---- the loop ---- */

/* Without a command nothing is served while nobody can be asked; the caller, or its supervisor, is told instead. */
static bool may_lose_patience(const struct serving *s)
{
    return !s->argv && !s->was_registered && s->service && s->options.conflict != TENURE_CONFLICT_WAIT &&
           s->phase == SERVING;
}

static void lose_patience(struct serving *s)
{
    if (!may_lose_patience(s) || io_clock() < s->next_at)
        return;
    struct tenure_error err;
    char words[160];
    snprintf(words, sizeof words, "%.60s/%.60s: no server answered in time", s->name, s->id);
    connect_silence(s->client, words, &err);
    end_by_itself(s, connect_failed("service", s->g, &err));
}

static void step(struct serving *s)
{
    if (s->phase == DRAINING && io_clock() >= s->next_at)
        end_command(s);
    if (s->phase != LEAVING)
        return;
    if (s->child.pid && group_alive(s->child.pid)) {
        if (io_clock() >= s->next_at)
            group_signal(s->child.pid, SIGKILL);
        return;
    }
    s->phase = DONE;
}

static int timeout_ms(const struct serving *s)
{
    int64_t now = io_clock(), t = tenure_timeout_ms(s->client), at = check_due(&s->check);
    if ((s->phase == DRAINING || may_lose_patience(s)) && s->next_at < at)
        at = s->next_at;
    if (s->phase == LEAVING)
        at = now + SWEEP_POLL_MS;
    if (at != INT64_MAX && (t < 0 || at - now < t))
        t = at > now ? at - now : 0;
    return t > 1000000000 ? 1000000000 : (int)t;
}

static void turn(struct serving *s)
{
    tenure_turn(s->client);
    take_signals(s);
    collect_children(s);
    ask_check(s);
    lose_patience(s);
    step(s);
}

static void loop(struct serving *s)
{
    for (turn(s); s->phase != DONE; turn(s)) {
        struct pollfd fds[] = {{.fd = tenure_fd(s->client), .events = POLLIN},
                               {.fd = s->signals.fd, .events = POLLIN},
                               check_poll(&s->check)};
        poll(fds, 3, timeout_ms(s));
    }
}

/* ---- what was said on the command line ---- */

/* The first address of this host that others can reach it at, as far as it knows. */
static void own_address(char *out, size_t size)
{
    struct ifaddrs *all = NULL;
    snprintf(out, size, "127.0.0.1");
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK) &&
            (i->ifa_flags & IFF_UP)) {
            inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, out, (socklen_t)size);
            break;
        }
    freeifaddrs(all);
}

static bool complain(const char *option, const char *expected)
{
    fprintf(stderr, "tenure service: option --%s: expected %s\ntry: tenure service --help\n", option, expected);
    return false;
}

static bool read_conflict(const char *word, enum tenure_conflict *ret)
{
    static const char *const words[] = {"refuse", "take-over", "wait"};
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum tenure_conflict)i;
            return true;
        }
    return !word || complain("conflict", "refuse, take-over or wait");
}

/* "NAME=VALUE": the words are cut in two where they are. */
static bool read_meta(struct serving *s)
{
    for (size_t i = 0; i < s->f->meta.n; i++) {
        char *equals = strchr(s->f->meta.values[i], '=');
        if (!equals)
            return complain("meta", "NAME=VALUE");
        *equals = 0;
        s->meta[i] = (struct tenure_meta){s->f->meta.values[i], equals + 1};
    }
    return true;
}

static bool read_numbers(const struct service_flags *f)
{
    if (f->port < 1 || f->port > 65535)
        return complain("port", "1 to 65535");
    if (f->weight < 0 || f->weight > 65535)
        return complain("weight", "1 to 65535");
    if (f->fails < 0)
        return complain("fails", "a number from 1 on");
    return true;
}

static void take_options(struct serving *s)
{
    const struct service_flags *f = s->f;
    s->options.size = sizeof s->options;
    s->options.prefix = f->prefix;
    s->options.ttl_s = f->ttl_s;
    s->options.tags = f->tags.values;
    s->options.n_tags = f->tags.n;
    s->options.meta = s->meta;
    s->options.n_meta = f->meta.n;
    s->options.weight = (int32_t)f->weight;
    s->options.zone = f->zone;
    s->options.version = f->version;
    s->options.grpc = f->grpc;
    s->options.on_registered = on_registered;
    s->options.on_lost = on_lost;
    s->options.on_healed = on_healed;
    s->options.on_edited = on_edited;
    s->options.on_ended = on_ended;
    s->options.user = s;
}

static bool name_it(struct serving *s)
{
    if (!s->f->address)
        own_address(s->address, sizeof s->address);
    s->at = s->f->address ? s->f->address : s->address;
    bool v6 = strchr(s->at, ':') && s->at[0] != '[';
    snprintf(s->endpoint, sizeof s->endpoint, v6 ? "[%.250s]:%" PRId64 : "%.250s:%" PRId64, s->at, s->f->port);
    s->id = strdup(s->f->id ? s->f->id : s->endpoint);
    return s->id != NULL;
}

static bool prepare(struct serving *s)
{
    struct check_options check = {.interval_ms = s->f->interval_ms >= 0 ? s->f->interval_ms : 5000,
                                  .timeout_ms = s->f->timeout_ms >= 0 ? s->f->timeout_ms : 2000};
    if (!read_numbers(s->f) || !read_conflict(s->f->conflict, &s->options.conflict) || !read_meta(s))
        return false;
    if (s->f->check && !check_parse(s->f->check, &check))
        return complain("check", "tcp, http:/PATH or cmd:WORDS");
    if (!name_it(s) || !signals_open(&s->signals)) {
        fprintf(stderr, "tenure service: %s\n", strerror(errno));
        return false;
    }
    take_options(s);
    check.mask = s->signals.before;
    check_init(&s->check, &check, s->at, (int)s->f->port, io_clock());
    return true;
}

static bool open_handle(struct serving *s)
{
    struct tenure_options o;
    struct tenure_error err = {0};
    if (!connect_prepare("service", s->g)) {
        s->code = s->argv ? s->code : connect_code();
        return false;
    }
    connect_options(s->g, &o);
    s->client = tenure_open_poll(s->g->endpoints, &o, &err);
    if (!s->client)
        connect_failed("service", s->g, &err);
    return s->client != NULL;
}

int service_run(const struct global_options *g, const struct service_flags *flags, const char *name, char **argv)
{
    struct service_flags f = *flags;
    struct serving s = {.g = g, .f = &f, .name = name, .argv = argv, .signals.fd = -1};
    s.code = argv ? EXIT_LOCK_FAILED : EXIT_USAGE; /* lower ones may be the command's */
    f.fails = f.fails ? f.fails : 3;
    s.child = (struct spawn){.go_fd = -1, .error_fd = -1};
    s.check.at_ms = INT64_MAX;
    s.check.fd = -1;
    if (prepare(&s) && open_handle(&s)) {
        s.code = EXIT_OK;
        if (!start_command(&s)) {
            s.code = EXIT_CANNOT_RUN;
            s.phase = DONE;
        } else if (s.check.o.kind == CHECK_NONE) {
            begin_registration(&s);
        }
        if (s.phase != DONE)
            loop(&s);
    }
    tenure_close(s.client); /* takes the instance out, bounded */
    check_fini(&s.check);
    spawn_fini(&s.child);
    signals_close(&s.signals);
    free(s.id);
    return s.code;
}
