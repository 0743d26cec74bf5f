#include "cli/queue_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/lock_list.h"
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

static void print_json(const struct tenure_queue_list *r)
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
    output_json(o);
}

struct widths {
    int host, token;
};

static int widest(int so_far, const char *text)
{
    int n = (int)strlen(text);
    return n > so_far ? n : so_far;
}

static struct widths widths_of(const struct tenure_queue_list *r)
{
    char text[LOCK_LIST_TEXT_MAX];
    struct widths w = {.host = 4, .token = 5};
    for (size_t i = 0; i < r->n_works; i++) {
        w.host = widest(w.host, lock_list_printable(r->works[i].host, text));
        snprintf(text, sizeof text, "%" PRId64, r->works[i].token);
        w.token = widest(w.token, text);
    }
    for (size_t i = 0; i < r->n_waiters; i++)
        w.host = widest(w.host, lock_list_printable(r->waiters[i].host, text));
    return w;
}

static void print_row(const struct widths *w, const char *state, const char *host, int64_t pid, int64_t since_ms)
{
    char text[LOCK_LIST_TEXT_MAX], since[32], number[32];
    snprintf(number, sizeof number, pid ? "%" PRId64 : "-", pid);
    printf("%-7s  %-*s  %-7s  %-9s  ", state, w->host, lock_list_printable(host, text), number,
           lock_list_since(since_ms, since, sizeof since));
}

/* Whose claim has ended waits to be taken again. */
static void print_text(const struct tenure_queue_list *r)
{
    char text[LOCK_LIST_TEXT_MAX];
    struct widths w = widths_of(r);
    printf("%-7s  %-*s  %-7s  %-9s  %-*s  %-5s  %s\n", "STATE", w.host, "HOST", "PID", "SINCE", w.token, "TOKEN",
           "TIMES", "PURPOSE");
    for (size_t i = 0; i < r->n_works; i++) {
        const struct tenure_queue_work *e = &r->works[i];
        print_row(&w, e->token ? "works" : "again", e->host, e->pid, e->since_ms);
        printf("%-*" PRId64 "  %-5" PRId64 "  %s\n", w.token, e->token, e->deliveries,
               lock_list_printable(e->purpose, text));
    }
    for (size_t i = 0; i < r->n_waiters; i++) {
        const struct tenure_queue_waiter *e = &r->waiters[i];
        print_row(&w, "waiting", e->host, e->pid, e->since_ms);
        printf("%-*s  %-5s  %s\n", w.token, "-", "-", lock_list_printable(e->purpose, text));
    }
}

int queue_list_print(tenure_queue *q, const struct global_options *g)
{
    struct tenure_error err = {0};
    struct tenure_queue_list *r = NULL;
    if (tenure_queue_list(q, &r, &err) < 0)
        return connect_failed("queue", g, &err);
    if (output_is_json(g))
        print_json(r);
    else
        print_text(r);
    tenure_queue_list_free(r);
    return EXIT_OK;
}
