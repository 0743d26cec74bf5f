/* tenure barrier hold|release|wait, and the counted one: arrive|look|reset. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static struct {
    int64_t timeout_ms, count;
    const char *who;
    bool waits;
} opt = {.timeout_ms = -1};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"timeout", 0, OPTION_DURATION, "TIME", "wait no longer than this, 0 = not at all (default: without end)",
         &opt.timeout_ms},
        {"count", 'n', OPTION_INT, "N", "arrive: how many must arrive, the same for all; wait: at the counted one",
         &opt.count},
        {"who", 0, OPTION_STRING, "ID", "arrive: counted once, however often it arrives (default: each time)",
         &opt.who},
        {"wait", 0, OPTION_FLAG, NULL, "arrive: and wait until it is open", &opt.waits},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

typedef int barrier_action(tenure_client *c, const struct global_options *g, const char *name);

static int failed(const struct global_options *g, const struct tenure_error *err)
{
    return connect_failed("barrier", g, err);
}

/* Of what waits no longer than --timeout. */
static int wait_failed(const struct global_options *g, const struct tenure_error *err)
{
    int code = failed(g, err);
    return err->code == TENURE_ETIMEOUT || err->code == TENURE_EBUSY ? EXIT_LOCK_TIMEOUT : code;
}

/* The library's words: 0 = without end, -1 = not at all. */
static struct tenure_barrier_options waiting(void)
{
    return (struct tenure_barrier_options){.size = sizeof(struct tenure_barrier_options),
                                           .timeout_ms = opt.timeout_ms < 0    ? 0
                                                         : opt.timeout_ms == 0 ? -1
                                                                               : opt.timeout_ms};
}

static int hold(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    return tenure_barrier_hold(c, name, NULL, &err) < 0 ? failed(g, &err) : EXIT_OK;
}

static int release(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    return tenure_barrier_release(c, name, NULL, &err) < 0 ? failed(g, &err) : EXIT_OK;
}

static int wait_at_latch(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_barrier_options o = waiting();
    return tenure_latch_wait(c, name, &o, &err) < 0 ? wait_failed(g, &err) : EXIT_OK;
}

static int wait_for(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_barrier_options o = waiting();
    if (opt.count)
        return wait_at_latch(c, g, name);
    return tenure_barrier_wait(c, name, &o, &err) < 0 ? wait_failed(g, &err) : EXIT_OK;
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "arrived", .heading = "ARRIVED", .kind = OUTPUT_NUMBER},
                                              {.path = "count", .heading = "COUNT", .kind = OUTPUT_NUMBER},
                                              {.path = "open", .heading = "OPEN"},
                                              {0}},
};

static void print(const struct global_options *g, const char *name, const struct tenure_latch_state *s)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        output_set_bytes(o, "name", tenure_str(name));
        json_object_set_new(o, "arrived", json_integer(s->arrived));
        json_object_set_new(o, "count", json_integer(s->n));
        json_object_set_new(o, "open", json_boolean(s->open));
        output_print(g, &form, o);
    } else {
        printf("%" PRId64 " of %" PRId64 "%s\n", s->arrived, s->n, s->open ? ", open" : "");
    }
    fflush(stdout);
}

static int arrive(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_latch_state s = {0};
    if (opt.count < 1) {
        fprintf(stderr, "tenure barrier arrive: expected --count N, from 1 on\n");
        return EXIT_USAGE;
    }
    if (tenure_latch_arrive(c, name, opt.count, opt.who, NULL, &s, &err) < 0)
        return failed(g, &err);
    print(g, name, &s);
    return opt.waits ? wait_at_latch(c, g, name) : EXIT_OK;
}

static int look(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_latch_state s = {0};
    if (tenure_latch_look(c, name, NULL, &s, &err) < 0)
        return failed(g, &err);
    print(g, name, &s);
    return EXIT_OK;
}

static int reset(tenure_client *c, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    return tenure_latch_reset(c, name, NULL, &err) < 0 ? failed(g, &err) : EXIT_OK;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        barrier_action *action;
    } actions[] = {{"hold", hold},     {"release", release}, {"wait", wait_for},
                   {"arrive", arrive}, {"look", look},       {"reset", reset}};
    for (size_t i = 0; argc == 2 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[0], actions[i].name) != 0)
            continue;
        tenure_client *c = connect_open(self->name, g);
        int code = c ? actions[i].action(c, g, argv[1]) : connect_code();
        tenure_close(c);
        return code;
    }
    fprintf(stderr, "tenure barrier: expected hold, release, wait, arrive, look or reset, and a NAME\n"
                    "try: tenure barrier --help\n");
    return EXIT_USAGE;
}

const struct command command_barrier = {
    .name = "barrier",
    .group = "Recipes",
    .summary = "programs that wait for each other",
    .synopsis = "hold NAME | release NAME | wait NAME | arrive NAME --count N | look NAME | reset NAME",
    .description =
        "A barrier is held by one and waited at by everybody else until it is released, whoever releases it; it does not\n"
        "end with the program that holds it (key /barriers/NAME, as Go's recipe).\n"
        "\n"
        "A counted one (/latches/NAME) opens when --count have arrived, and stays open until it is reset: `arrive` counts and\n"
        "goes on, with --wait it waits for the others; `wait NAME --count N` waits without arriving; `look` prints how it\n"
        "stands.",
    .exits = "124  not open within --timeout",
    .examples = "tenure barrier hold migration && ./migrate.sh && tenure barrier release migration\n"
                "tenure barrier wait migration --timeout 10m && ./start.sh\n"
                "tenure barrier arrive --count 3 --who \"$HOSTNAME\" --wait boot && ./join.sh",
    .options = options,
    .run = run,
    .starts_server = true,
};
