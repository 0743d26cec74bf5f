/* Lock cycles per second by libtenure: a number of clients, each with a handle (so a session) of its own, on one libuv loop.
 *
 *     locks --port N --clients N --seconds S [--distinct]
 *
 * Contended (default): all take and free one lock, so each cycle is one hand-over. --distinct: a name each. Prints one JSON
 * object; a cycle that fails, or a token that does not grow, ends the run with exit code 1.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenure/tenure.h>
#include <uv.h>

struct worker {
    tenure_client *client;
    char name[64];
};

static struct {
    int port, clients;
    double seconds;
    bool distinct;
} opt = {.port = 2379, .clients = 2, .seconds = 2};

static struct {
    uv_loop_t loop;
    uint64_t cycles, begin_ns, end_ns;
    int closing;
    tenure_token last;
} run;

static void die(const char *what, const struct tenure_error *err)
{
    fprintf(stderr, "locks: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static void begin(struct worker *w);

static void on_closed(void *user)
{
    (void)user;
    run.closing--;
}

static void on_released(int code, void *user)
{
    struct worker *w = user;
    if (code)
        die("a release failed", NULL);
    if (uv_hrtime() < run.end_ns)
        begin(w);
    else
        tenure_close_start(w->client, on_closed, NULL);
}

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)user;
    if (code)
        die("an acquire failed", err);
    if (!opt.distinct && (token <= run.last))
        die("a token that did not grow", NULL);
    run.last = token;
    uint64_t now = uv_hrtime();
    if (now >= run.begin_ns && now < run.end_ns)
        run.cycles++;
    tenure_unlock_start(lock);
}

static void begin(struct worker *w)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {
        .size = sizeof o, .on_acquired = on_acquired, .on_released = on_released, .user = w};
    if (!tenure_lock_start(w->client, w->name, &o, &err))
        die("an acquire could not begin", &err);
}

static double cpu_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    static const struct option table[] = {
        {"port", 1, 0, 'p'}, {"clients", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"distinct", 0, 0, 'd'}, {0, 0, 0, 0}};
    int o;
    while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (o) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'c':
            opt.clients = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'd':
            opt.distinct = true;
            break;
        default:
            return 2;
        }
    struct worker *workers = calloc((size_t)opt.clients, sizeof *workers);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", opt.port);
    if (!workers || uv_loop_init(&run.loop))
        die("out of memory", NULL);
    run.begin_ns = uv_hrtime() + (uint64_t)(opt.seconds * 0.2e9);
    run.end_ns = run.begin_ns + (uint64_t)(opt.seconds * 1e9);
    for (int i = 0; i < opt.clients; i++) {
        struct tenure_error err = {0};
        struct tenure_options to = {.size = sizeof to, .call_timeout_ms = 30000};
        workers[i].client = tenure_open_uv(&run.loop, url, &to, &err);
        if (!workers[i].client)
            die("open", &err);
        snprintf(workers[i].name, sizeof workers[i].name, opt.distinct ? "bench-%d" : "bench", i);
        run.closing++;
        begin(&workers[i]);
    }
    double cpu_before = cpu_us();
    while (run.closing > 0)
        uv_run(&run.loop, UV_RUN_ONCE);
    printf("{\"op\":\"lock\",\"clients\":%d,\"cycles\":%llu,\"per_s\":%.0f,\"client_us_per_cycle\":%.1f}\n",
           opt.clients, (unsigned long long)run.cycles, (double)run.cycles / opt.seconds,
           (cpu_us() - cpu_before) / (double)(run.cycles ? run.cycles : 1));
    while (uv_loop_close(&run.loop) == UV_EBUSY)
        uv_run(&run.loop, UV_RUN_NOWAIT);
    free(workers);
    return 0;
}
