#include "cli/lock_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/federated.h"
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

/* Where it is asked. */
struct asked {
    tenure_client *client;
    char *prefix; /* NULL = the usual one; to be freed */
    const char *last;
    struct tenure_home_list *homes; /* NULL = tokens have no epoch */
};

/* A token by the homes of the region that was asked; null where the epoch is not known any more. */
static json_t *token_json(const struct tenure_home_list *homes, const char *key, int64_t token)
{
    int64_t whole = homes ? federated_token(homes, key, token) : token;
    return whole ? json_integer(whole) : json_null();
}

/* Who it is, of a lock's and an election's entry alike. */
#define SET_WHO(entry, homes, e)                                                                                       \
    set_who(entry, token_json(homes, (e)->key, (e)->token), (e)->key, (e)->lease, (e)->host, (e)->pid, (e)->since_ms,  \
            (e)->purpose)

static void set_who(json_t *entry, json_t *token, const char *key, int64_t lease, const char *host, int64_t pid,
                    int64_t since_ms, const char *purpose)
{
    output_set_bytes(entry, "key", tenure_str(key));
    json_object_set_new(entry, "token", token);
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

static void print(const struct global_options *g, const char *name, const struct tenure_home_list *homes,
                  const struct tenure_lock_list *r)
{
    json_t *o = json_object(), *list = json_array();
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "revision", json_integer(r->revision));
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_lock_entry *e = &r->entries[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "holds", json_boolean(r->shares[i].holds));
        set_share(entry, &r->shares[i]);
        SET_WHO(entry, homes, e);
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

/* EXIT_OK, or the exit code after having said why not. */
static int ask_there(struct asked *a, const struct global_options *g, const struct lock_list_of *of, const char *usual)
{
    int code;
    *a = (struct asked){0};
    if (!name_split(of->name, of->whole_key, &a->prefix, &a->last))
        return connect_code();
    struct federated_name n = {of->command, of->region, of->name, a->prefix ? a->prefix : usual, a->last};
    if (of->region) {
        a->client = federated_open(&n, g, &code);
    } else {
        a->client = connect_open(of->command, g);
        code = connect_code();
    }
    return a->client ? EXIT_OK : code;
}

static void asked_fini(struct asked *a)
{
    tenure_home_list_free(a->homes);
    tenure_close(a->client);
    free(a->prefix);
}

/* Behind the list: a record that changed in between is of a greater epoch, and what it does not tell is left out. */
static bool read_homes(struct asked *a, const struct lock_list_of *of, struct tenure_error *err)
{
    a->homes = of->region ? tenure_home_list(a->client, err) : NULL;
    return !of->region || a->homes;
}

int lock_list_print(const struct global_options *g, const struct lock_list_of *of)
{
    struct tenure_error err = {0};
    struct tenure_lock_list *r = NULL;
    struct asked a;
    int code = ask_there(&a, g, of, "/locks/");
    if (code == EXIT_OK) {
        if (tenure_lock_list(a.client, a.last, a.prefix, &r, &err) < 0 || !read_homes(&a, of, &err))
            code = connect_failed(of->command, g, &err);
        else
            print(g, of->name, a.homes, r);
    }
    tenure_lock_list_free(r);
    asked_fini(&a);
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

static void print_election(const struct global_options *g, const char *name, const struct tenure_home_list *homes,
                           const struct tenure_election_list *r)
{
    json_t *o = json_object(), *list = json_array();
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "revision", json_integer(r->revision));
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_election_entry *e = &r->entries[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "leads", json_boolean(i == 0));
        output_set_bytes(entry, "proposal", e->value);
        SET_WHO(entry, homes, e);
        json_object_set_new(entry, "preference", json_integer(e->preference));
        json_array_append_new(list, entry);
    }
    json_object_set_new(o, "entries", list);
    output_print(g, &election_form, o);
}

int election_list_print(const struct global_options *g, const struct lock_list_of *of)
{
    struct tenure_error err = {0};
    struct tenure_election_list *r = NULL;
    struct asked a;
    int code = ask_there(&a, g, of, "/election/");
    if (code == EXIT_OK) {
        if (tenure_election_list(a.client, a.last, a.prefix, &r, &err) < 0 || !read_homes(&a, of, &err))
            code = connect_failed(of->command, g, &err);
        else
            print_election(g, of->name, a.homes, r);
    }
    tenure_election_list_free(r);
    asked_fini(&a);
    return code;
}
