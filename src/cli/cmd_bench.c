/* tenure bench put|get|watch|lock. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static struct {
    int64_t clients, duration_ms, total, rate, keys, value_size;
    bool serializable, apart;
} opt = {.clients = 16, .duration_ms = 5000, .keys = 10000, .value_size = 256};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"clients", 'c', OPTION_INT, "N", "so many at the same time (default 16)", &opt.clients},
        {"duration", 'd', OPTION_DURATION, "TIME", "for so long (default 5s)", &opt.duration_ms},
        {"total", 'n', OPTION_INT, "N", "or so many calls, if that is earlier", &opt.total},
        {"rate", 'r', OPTION_INT, "N", "begin so many a second (default: as fast as they go; watch: 100)", &opt.rate},
        {"keys", 0, OPTION_INT, "N", "put, get, watch: over so many keys (default 10000)", &opt.keys},
        {"value-size", 0, OPTION_INT, "BYTES", "put, get, watch: of a value (default 256)", &opt.value_size},
        {"serializable", 0, OPTION_FLAG, NULL, "get: answered by one member, perhaps old", &opt.serializable},
        {"apart", 0, OPTION_FLAG, NULL, "lock: each has a lock of its own (default: all want the same)", &opt.apart},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static const char *const kinds[] = {"put", "get", "watch", "lock"}; /* by enum bench_kind */

static int wrong(const char *what)
{
    fprintf(stderr, "tenure bench: %s\ntry: tenure bench --help\n", what);
    return EXIT_USAGE;
}

/* NULL when all is well. */
static const char *find_fault(enum bench_kind kind)
{
    if (opt.clients < 1 || opt.clients > 100000)
        return "option --clients: expected 1 to 100000";
    if (opt.duration_ms < 1 || opt.duration_ms > 86400000)
        return "option --duration: expected at most 24h";
    if (opt.total < 0 || opt.rate < 0 || opt.rate > 10000000)
        return "options --total and --rate: expected 1 or more";
    if (opt.keys < 1 || opt.keys > 10000000)
        return "option --keys: expected 1 to 10000000";
    if (opt.value_size < (kind == BENCH_WATCH ? 8 : 0) || opt.value_size > 1 << 20)
        return "option --value-size: expected at most 1048576 (watch: at least 8, for the time)";
    return NULL;
}

/* ---- what it says ---- */

static const struct {
    const char *name;
    double part;
} parts[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
enum { N_PARTS = sizeof parts / sizeof *parts };

static json_t *ms(double us)
{
    return json_real(us / 1000);
}

static json_t *result_json(enum bench_kind kind, const struct bench_result *r)
{
    json_t *o = json_object(), *times = json_object();
    output_set_bytes(o, "bench", tenure_str(kinds[kind]));
    json_object_set_new(o, "clients", json_integer(opt.clients));
    json_object_set_new(o, "seconds", json_real(r->seconds));
    json_object_set_new(o, kind == BENCH_WATCH ? "events" : "calls", json_integer((int64_t)r->times.n));
    json_object_set_new(o, "failed", json_integer((int64_t)r->failed));
    json_object_set_new(o, "per_s", json_real(r->seconds > 0 ? (double)r->times.n / r->seconds : 0));
    for (size_t i = 0; i < N_PARTS; i++)
        json_object_set_new(times, parts[i].name, ms((double)spread_us(&r->times, parts[i].part)));
    json_object_set_new(times, "max", ms((double)r->times.max_us));
    json_object_set_new(times, "mean", ms(spread_mean_us(&r->times)));
    json_object_set_new(o, "ms", times);
    return o;
}

static void show(const json_t *record, const char *name, int digits, struct buf *to)
{
    const json_t *times = json_object_get(record, "ms");
    const json_t *number = json_object_get(record, name) ? json_object_get(record, name) : json_object_get(times, name);
    buf_printf(to, "%.*f", digits, json_number_value(number));
}

#define SHOW(name, digits)                                                                                             \
    static void show_##name(const json_t *record, struct buf *to)                                                      \
    {                                                                                                                  \
        show(record, #name, digits, to);                                                                               \
    }
SHOW(per_s, 0)
SHOW(seconds, 1)
SHOW(p50, 2)
SHOW(p99, 2)
SHOW(max, 2)

static const struct output_form form = {
    .columns =
        (const struct output_column[]){
            {.path = "bench", .heading = "BENCH"},
            {.path = "clients", .heading = "CLIENTS", .kind = OUTPUT_NUMBER},
            {.path = "seconds", .heading = "SECONDS", .kind = OUTPUT_NUMBER, .show = show_seconds},
            {.path = "per_s", .heading = "PER S", .kind = OUTPUT_NUMBER, .show = show_per_s},
            {.path = "failed", .heading = "FAILED", .kind = OUTPUT_NUMBER},
            {.path = "ms.p50", .heading = "P50 MS", .kind = OUTPUT_NUMBER, .show = show_p50},
            {.path = "ms.p99", .heading = "P99 MS", .kind = OUTPUT_NUMBER, .show = show_p99},
            {.path = "ms.max", .heading = "MAX MS", .kind = OUTPUT_NUMBER, .show = show_max},
            {0}},
};

static void print_text(enum bench_kind kind, const struct bench_result *r)
{
    static const char *const what[] = {"puts", "gets", "events", "locks taken and released"};
    printf("%" PRIu64 " %s in %.1f s: %.0f/s, %" PRId64 " at a time\n", r->times.n, what[kind], r->seconds,
           r->seconds > 0 ? (double)r->times.n / r->seconds : 0, opt.clients);
    printf("p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f, mean %.2f\n",
           (double)spread_us(&r->times, 0.5) / 1000, (double)spread_us(&r->times, 0.9) / 1000,
           (double)spread_us(&r->times, 0.99) / 1000, (double)spread_us(&r->times, 0.999) / 1000,
           (double)r->times.max_us / 1000, spread_mean_us(&r->times) / 1000);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self;
    size_t kind = 0;
    while (argc == 1 && kind < 4 && strcmp(argv[0], kinds[kind]) != 0)
        kind++;
    if (argc != 1 || kind == 4)
        return wrong("expected put, get, watch or lock");
    const char *why = find_fault((enum bench_kind)kind);
    if (why)
        return wrong(why);
    static struct bench_result r;
    struct bench_options o = {.kind = (enum bench_kind)kind,
                              .clients = opt.clients,
                              .duration_ms = opt.duration_ms,
                              .total = opt.total,
                              .rate = opt.rate,
                              .keys = opt.keys,
                              .value_size = opt.value_size,
                              .serializable = opt.serializable,
                              .apart = opt.apart};
    int code = bench_run(g, &o, &r);
    if (code != EXIT_OK)
        return code;
    if (r.times.n == 0 && r.failed)
        return connect_failed("bench", g, &r.why);
    if (output_is_text(g))
        print_text(o.kind, &r);
    else
        output_print(g, &form, result_json(o.kind, &r));
    if (!r.failed)
        return EXIT_OK;
    fprintf(stderr, "tenure bench: %" PRIu64 " failed, the first: %s\n", r.failed, connect_text("bench", &r.why));
    return EXIT_FAILED;
}

const struct command command_bench = {
    .name = "bench",
    .group = "Servers",
    .summary = "how fast servers answer, from here",
    .synopsis = "[OPTIONS] put|get|watch|lock",
    .description =
        "Does the same again and again, --clients at a time over one connection to each server in use, and says how many there were a\n"
        "second and how long they took. put and get are calls; watch puts --rate a second and counts from the sending of each\n"
        "put to its event at each of --clients watches; lock takes a lock and releases it, all clients the same one, so that it is\n"
        "how long a place in that queue takes, or with --apart each its own.\n"
        "\n"
        "With --rate a call's time counts from when it was due, not from when it could be sent: a server that stands still for a\n"
        "second has kept all those waiting that would have come in it. Without, a slow answer also delays the next question.\n"
        "\n"
        "It writes below /bench/ and deletes that at the end, also on Ctrl-C. It is a load: think before you let it run on\n"
        "servers that others use.",
    .examples = "tenure bench put\n"
                "tenure bench get --clients 64 --duration 10s\n"
                "tenure bench put --rate 1000 --duration 1m -o json\n"
                "tenure bench watch --clients 1000 --rate 50\n"
                "tenure bench lock --clients 8",
    .exits = "1  calls failed; what was measured is printed",
    .options = options,
    .run = run,
    .starts_server = true,
};
