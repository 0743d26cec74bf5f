/* tenure queue put|take|peek|length|list|work. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/queue_list.h"
#include "cli/queue_work.h"

static struct {
    const char *kind;
    int64_t priority, delay_ms, wait_ms, length_max;
    bool acknowledges;
    /* of work */
    int64_t concurrency, attempts_max, retry_delay_ms, ttl_s, grace_ms;
    bool once;
} opt = {.wait_ms = -1, .concurrency = 1, .retry_delay_ms = 1000, .ttl_s = 30, .grace_ms = -1};
static enum tenure_queue_kind kind; /* of opt.kind */

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"kind", 'k', OPTION_STRING, "KIND", "fifo (default), priority, delay or work: the same for all who use it",
         &opt.kind},
        {"priority", 0, OPTION_INT, "N", "put, kind priority: 0 to 65535, the lowest is taken first", &opt.priority},
        {"delay", 0, OPTION_DURATION, "TIME", "put, kinds delay and work: due so much later", &opt.delay_ms},
        {"max-length", 0, OPTION_INT, "N", "put: refused when so many items are in it", &opt.length_max},
        {"timeout", 0, OPTION_DURATION, "TIME",
         "take: wait no longer, 0 = not at all; work: end when nothing came for so long (default: never)",
         &opt.wait_ms},
        {"ack", 0, OPTION_FLAG, NULL, "take, kind work: acknowledged as soon as it has been printed",
         &opt.acknowledges},
        {"concurrency", 0, OPTION_INT, "N", "work: so many items at a time (default 1)", &opt.concurrency},
        {"max-attempts", 0, OPTION_INT, "N", "work: then to the dead letters (default: never)", &opt.attempts_max},
        {"retry-delay", 0, OPTION_DURATION, "TIME",
         "work: what failed comes again so much later, doubled each time up to 10m (default 1s)", &opt.retry_delay_ms},
        {"once", 0, OPTION_FLAG, NULL, "work: end behind the first item, with COMMAND's exit code", &opt.once},
        {"ttl", 0, OPTION_SECONDS, "TIME",
         "work: others may have it so long after tenure was last heard of (default 30s)", &opt.ttl_s},
        {"grace", 0, OPTION_DURATION, "TIME",
         "work: from TERM to KILL when it is lost (default: a quarter of the TTL, at most 5s)", &opt.grace_ms},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static const char *queue_name; /* as typed */
typedef int queue_action(tenure_queue *q, const struct global_options *g, const char *value);

static json_t *item_json(const struct tenure_queue_item *item, enum tenure_queue_kind kind)
{
    json_t *o = json_object();
    output_set_bytes(o, "key", item->key);
    output_set_bytes(o, "value", item->value);
    json_object_set_new(o, "create_revision", json_integer(item->create_revision));
    if (kind == TENURE_QUEUE_PRIORITY)
        json_object_set_new(o, "priority", json_integer(item->priority));
    if (item->due_ms)
        json_object_set_new(o, "due_ms", json_integer(item->due_ms));
    if (item->deliveries)
        json_object_set_new(o, "deliveries", json_integer(item->deliveries));
    if (item->token)
        json_object_set_new(o, "token", json_integer(item->token));
    return o;
}

static const struct output_form item_form = {
    .columns =
        (const struct output_column[]){
            {.path = "key", .heading = "KEY"},
            {.path = "value", .heading = "VALUE"},
            {.path = "priority", .heading = "PRIORITY", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "due_ms", .heading = "DUE (MS)", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "deliveries", .heading = "TIMES", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER, .optional = true},
            {0}},
};

static const struct output_form length_form = {
    .columns = (const struct output_column[]){{.path = "length", .heading = "LENGTH", .kind = OUTPUT_NUMBER}, {0}},
};

static int print_item(const struct global_options *g, const struct tenure_queue_item *item)
{
    if (!output_is_text(g)) {
        output_print(g, &item_form, item_json(item, kind));
    } else {
        fwrite(item->value.data, 1, item->value.len, stdout);
        putchar('\n');
    }
    if (fflush(stdout) == 0)
        return EXIT_OK;
    fprintf(stderr, "tenure queue: the item could not be written to standard output\n");
    return EXIT_FAILED;
}

static int put(tenure_queue *q, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    struct tenure_bytes value = word ? tenure_str(word) : (struct tenure_bytes){NULL, 0};
    char *input = NULL;
    if (!word && !(value.data = input = input_all("queue", &value.len)))
        return EXIT_FAILED;
    struct tenure_queue_put_options o = {
        .size = sizeof o, .priority = opt.priority, .delay_ms = opt.delay_ms, .timeout_ms = g->call_timeout_ms};
    int code = tenure_queue_put(q, value, &o, &err) < 0 ? connect_failed("queue", g, &err) : EXIT_OK;
    free(input);
    if (code == EXIT_OK && output_is_text(g))
        puts("OK");
    else if (code == EXIT_OK)
        output_done(g, "queue", queue_name, "put");
    return code;
}

/* It is gone from the queue, and nobody has read it. A work queue's comes again by itself. */
static void put_back(tenure_queue *q, const struct tenure_queue_item *item)
{
    struct tenure_error err = {0};
    struct tenure_queue_put_options o = {.size = sizeof o, .priority = item->priority, .due_ms = item->due_ms};
    if (tenure_queue_put(q, item->value, &o, &err) == 0)
        fprintf(stderr, "tenure queue: it was put back, behind the others\n");
    else
        fprintf(stderr, "tenure queue: it could not be put back and is lost: %s\n", err.text);
}

static int take(tenure_queue *q, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    (void)word;
    int64_t wait_ms = opt.wait_ms < 0 ? 0 : opt.wait_ms == 0 ? -1 : opt.wait_ms; /* the library's words */
    if (tenure_queue_take(q, wait_ms, &item, &err) < 0) {
        int code = connect_failed("queue", g, &err);
        return err.code == TENURE_ENOTFOUND || (err.code == TENURE_ETIMEOUT && !err.applied) ? EXIT_LOCK_TIMEOUT : code;
    }
    int code = print_item(g, item);
    if (code != EXIT_OK && !opt.acknowledges)
        put_back(q, item);
    if (code == EXIT_OK && opt.acknowledges && tenure_queue_ack(q, item, &err) < 0)
        code = connect_failed("queue", g, &err);
    tenure_queue_item_free(item);
    return code;
}

static int peek(tenure_queue *q, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    (void)word;
    if (tenure_queue_peek(q, &item, &err) < 0)
        return connect_failed("queue", g, &err);
    int code = print_item(g, item);
    tenure_queue_item_free(item);
    return code;
}

static int length(tenure_queue *q, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    int64_t n = 0;
    (void)word;
    if (tenure_queue_length(q, &n, &err) < 0)
        return connect_failed("queue", g, &err);
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "length", json_integer(n));
        output_print(g, &length_form, o);
    } else {
        printf("%" PRId64 "\n", n);
    }
    return EXIT_OK;
}

static int list(tenure_queue *q, const struct global_options *g, const char *word)
{
    (void)word;
    return queue_list_print(q, g);
}

static bool find_kind(const char *name)
{
    name = name ? name : "fifo";
    static const char *const names[] = {"fifo", "priority", "delay", "work"}; /* by enum tenure_queue_kind */
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0) {
            kind = (enum tenure_queue_kind)i;
            return true;
        }
    }
    fprintf(stderr, "tenure queue: option --kind: '%s' is none of fifo, priority, delay, work\n", name);
    return false;
}

/* An item of a work queue belongs to who took it, and this program ends behind a take. */
static bool take_makes_sense(const char *action)
{
    if (strcmp(action, "take") != 0 || (kind == TENURE_QUEUE_WORK) == opt.acknowledges)
        return true;
    fprintf(stderr, opt.acknowledges
                        ? "tenure queue: --ack is for --kind work: a plain queue's item is gone with the take\n"
                        : "tenure queue: from a work queue only take --ack: the claim ends with this program\n");
    return false;
}

static int act(const struct global_options *g, const char *name, queue_action *action, const char *value)
{
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = kind, .length_max = opt.length_max};
    tenure_client *c = connect_open("queue", g);
    queue_name = name;
    if (!c)
        return connect_code();
    tenure_queue *q = tenure_queue_open(c, name, &o, &err);
    int code = q ? action(q, g, value) : connect_failed("queue", g, &err);
    tenure_queue_close(q);
    tenure_close(c);
    return code;
}

static int wrong_work(const char *what)
{
    fprintf(stderr, "tenure queue: %s\ntry: tenure queue --help\n", what);
    return EXIT_LOCK_FAILED;
}

static int work(const struct global_options *g, char **argv)
{
    if (opt.kind && strcmp(opt.kind, "work") != 0)
        return wrong_work("option --kind: what is worked on is of kind work");
    if (opt.concurrency < 1 || opt.concurrency > QUEUE_WORK_CONCURRENCY_MAX)
        return wrong_work("option --concurrency: expected 1 to 256");
    if (opt.once && opt.concurrency > 1)
        return wrong_work("--once takes one item, and not with --concurrency");
    if (opt.wait_ms == 0) /* it would end before the first item can be had, and look as if there were none */
        return wrong_work("option --timeout: work needs a moment to look, such as 1s");
    if (opt.attempts_max < 0 || opt.attempts_max > 1000000)
        return wrong_work("option --max-attempts: expected 1 to 1000000, or 0 for no end");
    if (opt.ttl_s < 2 || opt.ttl_s > 9000000)
        return wrong_work("option --ttl: expected 2s to 9000000s");
    if (opt.grace_ms * 2 > opt.ttl_s * 1000)
        return wrong_work("option --grace: expected at most half of the TTL");
    const struct queue_work_options o = {.name = argv[0],
                                         .argv = argv + 1,
                                         .ttl_s = opt.ttl_s,
                                         .grace_ms = opt.grace_ms < 0 ? page_grace_ms(opt.ttl_s) : opt.grace_ms,
                                         .attempts_max = opt.attempts_max,
                                         .retry_delay_ms = opt.retry_delay_ms,
                                         .timeout_ms = opt.wait_ms,
                                         .concurrency = opt.concurrency,
                                         .once = opt.once};
    return queue_work(g, &o);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int least, most;
        queue_action *action;
    } actions[] = {
        {"put", 2, 3, put}, {"take", 2, 2, take}, {"peek", 2, 2, peek}, {"length", 2, 2, length}, {"list", 2, 2, list}};
    (void)self;
    if (argc > 0 && strcmp(argv[0], "work") == 0)
        return argc > 2 && argv[1][0] ? work(g, argv + 1) : wrong_work("expected work NAME -- COMMAND [ARGUMENT...]");
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[0], actions[i].name) != 0 || argc < actions[i].least || argc > actions[i].most)
            continue;
        if (!find_kind(opt.kind) || !take_makes_sense(argv[0]))
            return EXIT_USAGE;
        return act(g, argv[1], actions[i].action, argc > 2 ? argv[2] : NULL);
    }
    fprintf(stderr, "tenure queue: expected put NAME [VALUE], take NAME, peek NAME, length NAME, list NAME or\n"
                    "work NAME -- COMMAND [ARGUMENT...]\n"
                    "try: tenure queue --help\n");
    return EXIT_USAGE;
}

const struct command command_queue = {
    .name = "queue",
    .group = "Recipes",
    .summary = "put items into a queue, take them out, each once, or run a command for each",
    .synopsis = "put NAME [VALUE] | take NAME | peek NAME | length NAME | list NAME | "
                "work NAME -- COMMAND [ARGUMENT...]",
    .description =
        "put appends VALUE, or standard input; take prints the first item, which nobody else gets, and waits for one when\n"
        "there is none; peek shows what would be taken; list shows who waits to take one and, of kind work, who works on\n"
        "what. Items are under /queues/NAME/; those of kind fifo may be put by etcdctl and Go's recipe as well.\n"
        "\n"
        "Kinds: fifo, the oldest first; priority, the lowest --priority first; delay, what is due first, and not before;\n"
        "work, the oldest first, where a program that takes an item and dies loses nothing. On the command line an item\n"
        "of a work queue is taken by take --ack only, acknowledged when it has been printed, or by work.\n"
        "\n"
        "work runs COMMAND for each item of a work queue, one after the other, or --concurrency at a time. COMMAND has the item\n"
        "on its standard input, and in each argument in place of {}; in TENURE_TOKEN a fencing token, which grows from delivery\n"
        "to delivery of an item, in TENURE_ATTEMPT which delivery it is; TENURE_NAME, TENURE_KEY and TENURE_LEASE as well. When\n"
        "it ends with 0 the item is acknowledged, and gone. When it fails the item comes again, behind others and after\n"
        "--retry-delay; after --max-attempts it goes to the dead letters (`tenure get --prefix /queues/NAME/dead/`).\n"
        "\n"
        "COMMAND runs under a guardian as that of `tenure lock` does: when tenure is killed, stopped for longer than the TTL, or\n"
        "cut off, COMMAND has ended before another worker has the item. So an item is worked on at least once, and never by\n"
        "two at a time. INT, TERM, HUP or QUIT: nothing more is taken, and tenure ends when COMMAND has; a second signal\n"
        "is passed on to COMMAND.",
    .exits = "124  take, work --once: nothing came within --timeout\n"
             "0  work: told to end\n"
             "121  work --once: the claim on the item was lost, COMMAND was ended\n"
             "125  work: tenure's own failure: usage, no server; one of --concurrency was killed\n"
             "N  work --once: COMMAND's own",
    .examples = "tenure queue put mails '{\"to\":\"ada\"}'\n"
                "tenure queue take mails --timeout 10s | ./send.sh\n"
                "tenure queue put jobs --kind priority --priority 5 reindex\n"
                "tenure queue length mails\n"
                "tenure queue list mails\n"
                "tenure queue put films --kind work holiday.mkv\n"
                "tenure queue work films --concurrency 2 --max-attempts 5 -- ./transcode.sh {}",
    .options = options,
    .run = run,
    .starts_server = true,
    .runs = "work",
};
