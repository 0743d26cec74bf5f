/* tenure defrag: gives unused space back, one server after the other. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "io/loop.h"

#define WAIT_MS 60000 /* unless --call-timeout says otherwise: it grows with the size, and etcd is silent meanwhile */

struct defragmented {
    const char *endpoint;
    int64_t before, after, took_ms; /* bytes; 0 = unknown */
};

static int64_t size_of(tenure_client *c, size_t i, const struct global_options *g)
{
    struct tenure_error ignored = {0};
    struct tenure_status *s = NULL;
    int64_t size = tenure_status(c, i, g->call_timeout_ms, &s, &ignored) < 0 ? 0 : s->db_size;
    tenure_status_free(s);
    return size;
}

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "endpoint", .heading = "ENDPOINT"},
                                       {.path = "db_size_before", .heading = "BEFORE", .kind = OUTPUT_SIZE, .width = 7},
                                       {.path = "db_size", .heading = "SIZE", .kind = OUTPUT_SIZE, .width = 7},
                                       {.path = "took_ms", .heading = "MS", .kind = OUTPUT_NUMBER, .width = 5},
                                       {0}},
};

static void print(const struct global_options *g, const struct defragmented *d)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "endpoint", json_string(d->endpoint));
        json_object_set_new(o, "db_size_before", json_integer(d->before));
        json_object_set_new(o, "db_size", json_integer(d->after));
        json_object_set_new(o, "took_ms", json_integer(d->took_ms));
        output_event(g, &form, o);
    } else {
        printf("%s  %.1f MB, was %.1f MB (%" PRId64 " ms)\n", d->endpoint, (double)d->after / 1e6,
               (double)d->before / 1e6, d->took_ms);
    }
    fflush(stdout);
}

/* The first that fails ends it: the others may be what the cluster lives on just then. */
static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    int code = EXIT_OK;
    (void)argv;
    if (argc > 0) {
        fprintf(stderr, "tenure defrag: takes no words; name servers by --endpoints\n");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    for (size_t i = 0; i < tenure_endpoints(c) && code == EXIT_OK; i++) {
        struct tenure_error err = {0};
        struct defragmented d = {.endpoint = tenure_endpoint(c, i), .before = size_of(c, i, g)};
        int64_t begun = io_clock();
        if (tenure_defragment(c, i, g->call_timeout_ms ? g->call_timeout_ms : WAIT_MS, &err) < 0) {
            code = connect_failed(self->name, g, &err);
            break;
        }
        d.took_ms = io_clock() - begun;
        d.after = size_of(c, i, g);
        print(g, &d);
    }
    tenure_close(c);
    return code;
}

const struct command command_defrag = {
    .name = "defrag",
    .group = "Servers",
    .summary = "give the unused space of servers back to the file system",
    .synopsis = "",
    .description =
        "One endpoint after the other, in the order given; the first that fails ends it. A member of an etcd cluster\n"
        "answers nothing else meanwhile: name the leader last. `tenure serve` goes on, and rarely needs it.\n\n"
        "--call-timeout is what each may take (default 1m).",
    .examples = "tenure defrag\n"
                "tenure defrag --endpoints http://10.0.0.2:2379,http://10.0.0.3:2379,http://10.0.0.1:2379",
    .run = run,
};
