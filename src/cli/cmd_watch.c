/* tenure watch: prints changes as they happen, until it is stopped. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/wait.h"

static struct {
    bool prefix, from_key, prev_kv;
    int64_t revision, count;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"prefix", 0, OPTION_FLAG, NULL, "all keys that begin with KEY", &opt.prefix},
        {"from-key", 0, OPTION_FLAG, NULL, "all keys from KEY on", &opt.from_key},
        {"rev", 0, OPTION_INT, "N", "from revision N on (the past is caught up)", &opt.revision},
        {"prev-kv", 0, OPTION_FLAG, NULL, "print what was there before as well", &opt.prev_kv},
        {"count", 'n', OPTION_INT, "N", "stop after N events", &opt.count},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

struct watching {
    const struct global_options *g;
    struct wait wait;
    int64_t seen;
    int64_t from, next; /* where this watch began; behind the last revision that was printed, 0 = none was */
};

enum { WATCH_AGAIN = -1 }; /* in place of an exit code */

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "type", .heading = "TYPE", .width = 6},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "kv.key", .heading = "KEY", .width = 24},
                                              {.path = "kv.value", .heading = "VALUE"},
                                              {0}},
};

static void print_event(const struct global_options *g, const struct tenure_event *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "type", json_string(e->type == TENURE_EVENT_PUT ? "PUT" : "DELETE"));
    json_object_set_new(o, "revision", json_integer(e->kv.mod_revision));
    json_object_set_new(o, "kv", output_kv(&e->kv));
    if (e->has_prev_kv)
        json_object_set_new(o, "prev_kv", output_kv(&e->prev_kv));
    output_event(g, &form, o);
}

static void print_text(const struct tenure_event *e)
{
    puts(e->type == TENURE_EVENT_PUT ? "PUT" : "DELETE");
    if (e->has_prev_kv)
        output_kv_text(&e->prev_kv, true, true);
    output_kv_text(&e->kv, true, e->type == TENURE_EVENT_PUT);
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct watching *w = user;
    (void)revision; /* that up to which all was delivered; each event has its own */
    if (n > 0)
        w->next = events[n - 1].kv.mod_revision + 1;
    for (size_t i = 0; i < n && (opt.count <= 0 || w->seen < opt.count); i++, w->seen++) {
        if (output_is_text(w->g))
            print_text(&events[i]);
        else
            print_event(w->g, &events[i]);
    }
    if (fflush(stdout) != 0)
        wait_end(&w->wait, EXIT_FAILED);
    else if (opt.count > 0 && w->seen >= opt.count)
        wait_end(&w->wait, EXIT_OK);
}

static void on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct watching *w = user;
    if (code == TENURE_ECOMPACTED) {
        fprintf(stderr,
                "tenure watch: the history before revision %" PRId64 " has been compacted\n"
                "try: tenure get the keys, then watch with --rev %" PRId64 "\n",
                compact_revision, compact_revision);
        wait_end(&w->wait, EXIT_FAILED);
    } else if (code == TENURE_ELIMIT && w->next > w->from) {
        wait_end(&w->wait, WATCH_AGAIN); /* the past came faster than it is printed: the rest is asked for again */
    } else {
        wait_end(&w->wait, connect_failed("watch", w->g, err));
    }
}

static int watch_once(tenure_client *c, struct watching *w, struct tenure_bytes key, struct tenure_watch_options *o)
{
    struct tenure_error err = {0};
    w->from = o->revision;
    w->wait.done = false; /* no watch is there that could end it */
    tenure_watch *watch = tenure_watch_start(c, key, o, &err);
    int code = watch ? wait_run(&w->wait, -1, EXIT_OK, NULL) : connect_failed("watch", w->g, &err);
    tenure_watch_stop(watch);
    o->revision = w->next;
    return code;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct watching w = {.g = g};
    if (argc < 1 || argc > 2) {
        fprintf(stderr, "tenure watch: expected KEY or KEY RANGE_END, got %d words\ntry: tenure watch --help\n", argc);
        return EXIT_USAGE;
    }
    wait_init(&w.wait);
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    struct tenure_watch_options o = {
        .size = sizeof o,
        .prefix = opt.prefix,
        .from_key = opt.from_key,
        .revision = opt.revision,
        .prev_kv = opt.prev_kv,
        .on_events = on_events,
        .on_end = on_end,
        .user = &w,
    };
    if (argc > 1)
        o.range_end = tenure_str(argv[1]);
    int code;
    do
        code = watch_once(c, &w, tenure_str(argv[0]), &o);
    while (code == WATCH_AGAIN);
    tenure_close(c);
    return code;
}

const struct command command_watch = {
    .name = "watch",
    .group = "Keys and values",
    .summary = "print changes as they happen",
    .synopsis = "[OPTIONS] KEY [RANGE_END]",
    .description =
        "Prints PUT or DELETE, the key and, for a put, the value, a line each; with -o json or jsonl one object a line.\n"
        "Lost connections are taken up again behind the last change seen: none is missed, none comes twice. Runs until\n"
        "it is stopped by Ctrl-C or SIGTERM (exit code 0).",
    .examples = "tenure watch --prefix /config/billing/\n"
                "tenure watch /jobs/42 --rev 100 -o json",
    .options = options,
    .run = run,
    .starts_server = true,
};
