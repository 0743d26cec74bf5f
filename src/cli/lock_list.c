#include "cli/lock_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/name.h"
#include "cli/output.h"
#include "io/loop.h"

#define TEXT_MAX LOCK_LIST_TEXT_MAX

/* Only of those that do not take the whole. */
static void set_share(json_t *entry, const struct tenure_lock_share *s)
{
    if (s->mode == TENURE_LOCK_READ)
        json_object_set_new(entry, "mode", json_string("read"));
    if (s->mode != TENURE_LOCK_PERMIT)
        return;
    json_object_set_new(entry, "mode", json_string("permit"));
    json_object_set_new(entry, "weight", json_integer(s->weight));
    json_object_set_new(entry, "limit", json_integer(s->limit));
}

/* Who it is, of a lock's and an election's entry alike. */
#define SET_WHO(entry, e)                                                                                              \
    set_who(entry, (e)->key, (e)->token, (e)->lease, (e)->host, (e)->pid, (e)->since_ms, (e)->purpose)

static void set_who(json_t *entry, const char *key, int64_t token, int64_t lease, const char *host, int64_t pid,
                    int64_t since_ms, const char *purpose)
{
    output_set_bytes(entry, "key", tenure_str(key));
    json_object_set_new(entry, "token", json_integer(token));
    json_object_set_new(entry, "lease", output_lease(lease));
    output_set_bytes(entry, "host", tenure_str(host));
    json_object_set_new(entry, "pid", json_integer(pid));
    json_object_set_new(entry, "since_ms", json_integer(since_ms));
    output_set_bytes(entry, "purpose", tenure_str(purpose));
}

/* A holder by its host, or by its lease where it says none. */
static void show_holder(const json_t *record, struct buf *to)
{
    const char *host = json_string_value(json_object_get(record, "host"));
    const char *lease = json_string_value(json_object_get(record, "lease"));
    if (!json_is_true(json_object_get(record, "holds")))
        buf_printf(to, "waiting");
    else
        buf_printf(to, "%s", host && *host ? host : lease ? lease : "");
}

/* What each asks for; a column only where somebody does not ask for the whole. */
static void show_mode(const json_t *record, struct buf *to)
{
    const char *mode = json_string_value(json_object_get(record, "mode"));
    if (mode && strcmp(mode, "permit") == 0)
        buf_printf(to, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(record, "weight")),
                   json_integer_value(json_object_get(record, "limit")));
    else if (mode)
        buf_printf(to, "%s", mode);
}

static const struct output_form lock_form = {
    .lists = {"entries"},
    .columns = (const struct output_column[]){{.path = "holds", .heading = "HOLDER", .show = show_holder},
                                              {.path = "host", .heading = "HOST"},
                                              {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE},
                                              {.path = "since_ms", .heading = "SINCE", .kind = OUTPUT_SINCE},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "mode", .heading = "MODE", .optional = true, .show = show_mode},
                                              {.path = "purpose", .heading = "PURPOSE"},
                                              {0}},
};

static void print(const struct global_options *g, const char *name, const struct tenure_lock_list *r)
{
    json_t *o = json_object(), *list = json_array();
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "revision", json_integer(r->revision));
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_lock_entry *e = &r->entries[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "holds", json_boolean(r->shares[i].holds));
        set_share(entry, &r->shares[i]);
        SET_WHO(entry, e);
        json_array_append_new(list, entry);
    }
    json_object_set_new(o, "entries", list);
    output_print(g, &lock_form, o);
}

/* How long ago; the wall clocks of two machines may disagree, so it is never shown as negative. */
const char *lock_list_since(int64_t since_ms, char *out, size_t size)
{
    int64_t s = since_ms ? (io_wall_ms() - since_ms) / 1000 : 0;
    if (s < 0)
        s = 0;
    if (since_ms)
        snprintf(out, size, "%02" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(out, size, "-");
    return out;
}

/* What another program wrote must not move the cursor of a terminal. */
const char *lock_list_printable(const char *text, char *out)
{
    snprintf(out, TEXT_MAX, "%s", *text ? text : "-");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

int lock_list_print(const char *command, const struct global_options *g, const char *name, bool whole_key)
{
    struct tenure_error err = {0};
    struct tenure_lock_list *r = NULL;
    char *prefix;
    const char *last;
    tenure_client *c = name_split(name, whole_key, &prefix, &last) ? connect_open(command, g) : NULL;
    int code = connect_code();
    if (c && tenure_lock_list(c, last, prefix, &r, &err) < 0) {
        code = connect_failed(command, g, &err);
    } else if (c) {
        code = EXIT_OK;
        print(g, name, r);
    }
    tenure_lock_list_free(r);
    tenure_close(c);
    free(prefix);
    return code;
}

/* ---- elections ---- */

static void show_state(const json_t *record, struct buf *to)
{
    buf_printf(to, json_is_true(json_object_get(record, "leads")) ? "leads" : "waiting");
}

static const struct output_form election_form = {
    .lists = {"entries"},
    .columns =
        (const struct output_column[]){
            {.path = "leads", .heading = "STATE", .show = show_state},
            {.path = "proposal", .heading = "PROPOSAL"},
            {.path = "host", .heading = "HOST"},
            {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE},
            {.path = "since_ms", .heading = "SINCE", .kind = OUTPUT_SINCE},
            {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
            {.path = "preference", .heading = "PREFERENCE", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "purpose", .heading = "PURPOSE"},
            {0}},
};

static void print_election(const struct global_options *g, const char *name, const struct tenure_election_list *r)
{
    json_t *o = json_object(), *list = json_array();
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "revision", json_integer(r->revision));
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_election_entry *e = &r->entries[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "leads", json_boolean(i == 0));
        output_set_bytes(entry, "proposal", e->value);
        SET_WHO(entry, e);
        json_object_set_new(entry, "preference", json_integer(e->preference));
        json_array_append_new(list, entry);
    }
    json_object_set_new(o, "entries", list);
    output_print(g, &election_form, o);
}

int election_list_print(const char *command, const struct global_options *g, const char *name, bool whole_key)
{
    struct tenure_error err = {0};
    struct tenure_election_list *r = NULL;
    char *prefix;
    const char *last;
    tenure_client *c = name_split(name, whole_key, &prefix, &last) ? connect_open(command, g) : NULL;
    int code = connect_code();
    if (c && tenure_election_list(c, last, prefix, &r, &err) < 0) {
        code = connect_failed(command, g, &err);
    } else if (c) {
        code = EXIT_OK;
        print_election(g, name, r);
    }
    tenure_election_list_free(r);
    tenure_close(c);
    free(prefix);
    return code;
}
