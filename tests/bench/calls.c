/* CPU of libtenure per call: puts or gets, a number in flight on one handle, on a libuv loop. And the heap of that handle once it
 * is connected: what malloc has given out more than before it was opened, after the first call and after the last.
 *
 *     calls --port N --op put|get --inflight N --seconds S
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenure/tenure.h>
#include <uv.h>

static struct {
    int port, inflight;
    double seconds;
    const char *op;
} opt = {.port = 2379, .inflight = 64, .seconds = 2, .op = "put"};

static struct {
    uv_loop_t loop;
    tenure_client *client;
    uint64_t calls, end_ns;
    int running;
    bool closed, warming;
} run;

static void die(const char *what, const struct tenure_error *err)
{
    fprintf(stderr, "calls: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static void begin(void);

static void ended(int code, const struct tenure_error *err)
{
    if (code)
        die("a call failed", err);
    run.calls++;
    run.running--;
    if (!run.warming && uv_hrtime() < run.end_ns)
        begin();
}

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    (void)user;
    tenure_put_free(r);
    ended(code, err);
}

static void on_get(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    (void)user;
    tenure_get_free(r);
    ended(code, err);
}

static void begin(void)
{
    static char value[256];
    static unsigned next;
    char key[33];
    struct tenure_error err = {0};
    memset(value, 'v', sizeof value);
    snprintf(key, sizeof key, "load/%027u", next++ % 10000);
    struct tenure_bytes k = tenure_str(key), v = {value, sizeof value};
    run.running++;
    if (opt.op[0] == 'p' ? tenure_put_start(run.client, k, v, NULL, on_put, NULL, &err)
                         : tenure_get_start(run.client, k, NULL, on_get, NULL, &err))
        die("a call could not begin", &err);
}

static void finish_calls(void)
{
    while (run.running > 0)
        uv_run(&run.loop, UV_RUN_ONCE);
}

static double heap_kb(void)
{
    struct mallinfo2 m = mallinfo2();
    return (double)(m.uordblks + m.hblkhd) / 1000;
}

static void on_closed(void *user)
{
    (void)user;
    run.closed = true;
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
        {"port", 1, 0, 'p'}, {"op", 1, 0, 'o'}, {"inflight", 1, 0, 'i'}, {"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    struct tenure_error err = {0};
    char url[64];
    int o;
    while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (o) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'o':
            opt.op = optarg;
            break;
        case 'i':
            opt.inflight = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        default:
            return 2;
        }
    snprintf(url, sizeof url, "http://127.0.0.1:%d", opt.port);
    uv_loop_init(&run.loop);
    double heap_before = heap_kb();
    if (!(run.client = tenure_open_uv(&run.loop, url, NULL, &err)))
        die("open", &err);
    run.warming = true; /* the connection is not what a call costs */
    begin();
    finish_calls();
    run.warming = false;
    double heap_connected = heap_kb() - heap_before;
    run.calls = 0;
    double cpu_before = cpu_us();
    run.end_ns = uv_hrtime() + (uint64_t)(opt.seconds * 1e9);
    for (int i = 0; i < opt.inflight; i++)
        begin();
    finish_calls();
    double cpu = cpu_us() - cpu_before;
    printf("{\"op\":\"%s\",\"inflight\":%d,\"per_s\":%.0f,\"client_us_per_call\":%.2f,\"heap_kb\":%.1f,"
           "\"heap_after_kb\":%.1f}\n",
           opt.op, opt.inflight, (double)run.calls / opt.seconds, cpu / (double)run.calls, heap_connected,
           heap_kb() - heap_before);
    tenure_close_start(run.client, on_closed, NULL);
    while (!run.closed)
        uv_run(&run.loop, UV_RUN_ONCE);
    while (uv_loop_close(&run.loop) == UV_EBUSY)
        uv_run(&run.loop, UV_RUN_NOWAIT);
    return 0;
}
