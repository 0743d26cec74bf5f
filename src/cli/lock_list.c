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

static void print_json(const char *name, const struct tenure_lock_list *r)
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
    output_json(o);
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

static int widest(int so_far, const char *text)
{
    int n = (int)strlen(text);
    return n > so_far ? n : so_far;
}

static bool is_shared(const struct tenure_lock_list *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->shares[i].mode != TENURE_LOCK_WHOLE)
            return true;
    return false;
}

/* What each asks for; a column only where somebody does not ask for the whole. */
static const char *mode_text(const struct tenure_lock_share *s, char *out, size_t size)
{
    if (s->mode == TENURE_LOCK_PERMIT)
        snprintf(out, size, "%" PRId64 " of %" PRId64, s->weight, s->limit);
    else
        snprintf(out, size, "%s", s->mode == TENURE_LOCK_READ ? "read" : "whole");
    return out;
}

static void print_text(const struct tenure_lock_list *r)
{
    bool shared = is_shared(r);
    char mode[64];
    char host[TEXT_MAX], purpose[TEXT_MAX], since[32], lease[32], pid[32];
    int host_width = 7, token_width = 5;
    for (size_t i = 0; i < r->n; i++) {
        snprintf(pid, sizeof pid, "%" PRId64, r->entries[i].token);
        token_width = widest(token_width, pid);
        host_width = widest(host_width, lock_list_printable(r->entries[i].host, host));
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->shares[i].holds && !r->entries[i].host[0])
            host_width = widest(host_width, "0123456789abcdef");
    printf("%-*s  %-*s  %-7s  %-9s  %-*s  %s%s\n", host_width, "HOLDER", host_width, "HOST", "PID", "SINCE",
           token_width, "TOKEN", shared ? "MODE        " : "", "PURPOSE");
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_lock_entry *e = &r->entries[i];
        snprintf(lease, sizeof lease, "%" PRIx64, (uint64_t)e->lease);
        snprintf(pid, sizeof pid, e->pid ? "%" PRId64 : "-", e->pid);
        printf("%-*s  %-*s  %-7s  %-9s  %-*" PRId64 "  ", host_width,
               !r->shares[i].holds ? "waiting"
               : e->host[0]        ? lock_list_printable(e->host, host)
                                   : lease,
               host_width, lock_list_printable(e->host, host), pid, lock_list_since(e->since_ms, since, sizeof since),
               token_width, e->token);
        if (shared)
            printf("%-10s  ", mode_text(&r->shares[i], mode, sizeof mode));
        puts(lock_list_printable(e->purpose, purpose));
    }
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
        if (output_is_json(g))
            print_json(name, r);
        else
            print_text(r);
    }
    tenure_lock_list_free(r);
    tenure_close(c);
    free(prefix);
    return code;
}

/* ---- elections ---- */

static void print_election_json(const char *name, const struct tenure_election_list *r)
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
    output_json(o);
}

/* A proposal may hold anything; up to its first byte 0 it is shown. */
static const char *proposal_text(const struct tenure_election_entry *e, char *out)
{
    return lock_list_printable(e->value.data, out); /* there is a 0 behind it */
}

struct widths {
    int proposal, host, token, preference; /* the last 0 = no column: nobody states one */
};

static void print_candidate(const struct tenure_election_entry *e, bool leads, const struct widths *w)
{
    char proposal[TEXT_MAX], host[TEXT_MAX], purpose[TEXT_MAX], since[32], pid[32];
    snprintf(pid, sizeof pid, e->pid ? "%" PRId64 : "-", e->pid);
    printf("%-7s  %-*s  %-*s  %-7s  %-9s  %-*" PRId64 "  ", leads ? "leads" : "waiting", w->proposal,
           proposal_text(e, proposal), w->host, lock_list_printable(e->host, host), pid,
           lock_list_since(e->since_ms, since, sizeof since), w->token, e->token);
    if (w->preference)
        printf("%-*" PRId64 "  ", w->preference, e->preference);
    puts(lock_list_printable(e->purpose, purpose));
}

static struct widths widths_of(const struct tenure_election_list *r)
{
    char text[TEXT_MAX];
    struct widths w = {.proposal = 8, .host = 4, .token = 5};
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_election_entry *e = &r->entries[i];
        w.proposal = widest(w.proposal, proposal_text(e, text));
        w.host = widest(w.host, lock_list_printable(e->host, text));
        snprintf(text, sizeof text, "%" PRId64, e->token);
        w.token = widest(w.token, text);
        snprintf(text, sizeof text, "%" PRId64, e->preference);
        if (e->preference)
            w.preference = widest(w.preference ? w.preference : (int)strlen("PREFERENCE"), text);
    }
    return w;
}

static void print_election(const struct tenure_election_list *r)
{
    struct widths w = widths_of(r);
    printf("%-7s  %-*s  %-*s  %-7s  %-9s  %-*s  ", "STATE", w.proposal, "PROPOSAL", w.host, "HOST", "PID", "SINCE",
           w.token, "TOKEN");
    if (w.preference)
        printf("%-*s  ", w.preference, "PREFERENCE");
    puts("PURPOSE");
    for (size_t i = 0; i < r->n; i++)
        print_candidate(&r->entries[i], i == 0, &w);
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
        if (output_is_json(g))
            print_election_json(name, r);
        else
            print_election(r);
    }
    tenure_election_list_free(r);
    tenure_close(c);
    free(prefix);
    return code;
}
