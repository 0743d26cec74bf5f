#include "cli/queue_list.h"

#include <inttypes.h>

#include "cli/connect.h"
#include "cli/output.h"

static json_t *who_json(int64_t lease, const char *host, int64_t pid, int64_t since_ms, const char *purpose)
{
    json_t *o = json_object();
    json_object_set_new(o, "lease", output_lease(lease));
    output_set_bytes(o, "host", tenure_str(host));
    json_object_set_new(o, "pid", json_integer(pid));
    json_object_set_new(o, "since_ms", json_integer(since_ms));
    output_set_bytes(o, "purpose", tenure_str(purpose));
    return o;
}

/* Whose claim has ended waits to be taken again. */
static void show_state(const json_t *record, struct buf *to)
{
    const json_t *token = json_object_get(record, "token");
    buf_printf(to, !token ? "waiting" : json_integer_value(token) ? "works" : "again");
}

static const struct output_form form = {
    .lists = {"working", "waiting"},
    .columns = (const struct output_column[]){{.path = "token", .heading = "STATE", .show = show_state},
                                              {.path = "host", .heading = "HOST"},
                                              {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE},
                                              {.path = "since_ms", .heading = "SINCE", .kind = OUTPUT_SINCE},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "deliveries", .heading = "TIMES", .kind = OUTPUT_NUMBER},
                                              {.path = "purpose", .heading = "PURPOSE"},
                                              {0}},
};

static void print(const struct global_options *g, const struct tenure_queue_list *r)
{
    json_t *o = json_object(), *working = json_array(), *waiting = json_array();
    json_object_set_new(o, "revision", json_integer(r->revision));
    for (size_t i = 0; i < r->n_works; i++) {
        const struct tenure_queue_work *e = &r->works[i];
        json_t *entry = who_json(e->lease, e->host, e->pid, e->since_ms, e->purpose);
        output_set_bytes(entry, "id", tenure_str(e->id));
        json_object_set_new(entry, "deliveries", json_integer(e->deliveries));
        json_object_set_new(entry, "token", json_integer(e->token));
        json_array_append_new(working, entry);
    }
    for (size_t i = 0; i < r->n_waiters; i++) {
        const struct tenure_queue_waiter *e = &r->waiters[i];
        json_t *entry = who_json(e->lease, e->host, e->pid, e->since_ms, e->purpose);
        output_set_bytes(entry, "key", tenure_str(e->key));
        json_array_append_new(waiting, entry);
    }
    json_object_set_new(o, "working", working);
    json_object_set_new(o, "waiting", waiting);
    output_print(g, &form, o);
}

int queue_list_print(tenure_queue *q, const struct global_options *g)
{
    struct tenure_error err = {0};
    struct tenure_queue_list *r = NULL;
    if (tenure_queue_list(q, &r, &err) < 0)
        return connect_failed("queue", g, &err);
    print(g, r);
    tenure_queue_list_free(r);
    return EXIT_OK;
}
