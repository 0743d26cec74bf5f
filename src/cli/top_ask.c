/* What `tenure top` shows, asked for: each server by itself, then leaders, locks and leases of the cluster. Where no server answers, the
 * rest is not asked for: each question would wait its time out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/top.h"
#include "io/loop.h"

#define KEYS_MAX    2000 /* of locks, and of elections */
#define QUEUES_MAX  40   /* of these, who is in them */
#define LEASES_MAX  100  /* of these, how long they live */
#define SERVERS_MAX 16

struct seen { /* of a server, the last time */
    struct top_numbers numbers;
    int64_t at_ms; /* 0 = never */
};

struct top {
    tenure_client *client;
    const struct global_options *g;
    int64_t timeout_ms;
    struct seen seen[SERVERS_MAX];
    int64_t revision, revision_at_ms; /* 0 = not known */
    json_t *document, *notes;         /* while asking */
    bool is_away;
};

struct top *top_new(tenure_client *c, const struct global_options *g)
{
    struct top *t = calloc(1, sizeof *t);
    if (t)
        *t = (struct top){.client = c, .g = g, .timeout_ms = g->call_timeout_ms};
    return t;
}

void top_free(struct top *t)
{
    free(t);
}

static void note(struct top *t, const char *what, const char *text)
{
    json_array_append_new(t->notes, json_sprintf("%s: %s", what, text));
}

static void failed(struct top *t, const char *what, const struct tenure_error *err)
{
    note(t, what, err->text[0] ? err->text : tenure_error_string(err->code));
    t->is_away = t->is_away || err->kind == TENURE_KIND_UNAVAILABLE || err->kind == TENURE_KIND_TIMEOUT;
}

/* ---- servers ---- */

/* Of a second, with one digit behind the point. */
static json_t *rate(int64_t now, int64_t before, int64_t took_ms)
{
    return json_real((double)(int64_t)((double)(now - before) * 10000.0 / (double)took_ms + 0.5) / 10);
}

static void set_rates(json_t *o, struct seen *seen, const struct top_numbers *now, int64_t now_ms)
{
    const struct {
        const char *name;
        int64_t now, before;
    } rates[] = {{"puts", now->puts, seen->numbers.puts},
                 {"deletes", now->deletes, seen->numbers.deletes},
                 {"ranges", now->ranges, seen->numbers.ranges},
                 {"events", now->events, seen->numbers.events}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (seen->at_ms && now_ms > seen->at_ms && rates[i].before >= 0 && rates[i].now >= rates[i].before)
            json_object_set_new(o, rates[i].name, rate(rates[i].now, rates[i].before, now_ms - seen->at_ms));
    if (now->watchers >= 0)
        json_object_set_new(o, "watchers", json_integer(now->watchers));
    *seen = (struct seen){*now, now_ms};
}

static void set_status(json_t *o, const struct tenure_status *s)
{
    json_t *alarms = json_array();
    json_object_set_new(o, "role",
                        json_string(s->is_learner               ? "learner"
                                    : s->leader == s->member_id ? "leader"
                                    : s->leader                 ? "follower"
                                                                : "no leader"));
    json_object_set_new(o, "version", json_string(s->version));
    json_object_set_new(o, "revision", json_integer(s->revision));
    json_object_set_new(o, "db_size", json_integer(s->db_size));
    for (size_t i = 0; i < s->n_errors; i++)
        json_array_append_new(alarms, json_string(s->errors[i]));
    json_object_set_new(o, "alarms", alarms);
}

static json_t *ask_server(struct top *t, size_t i, int64_t *newest)
{
    struct tenure_error err = {0};
    struct tenure_status *s = NULL;
    struct top_numbers numbers;
    const char *endpoint = tenure_endpoint(t->client, i);
    json_t *o = json_pack("{s:s}", "endpoint", endpoint);
    int64_t begun_us = io_clock_us();
    if (tenure_status(t->client, i, t->timeout_ms, &s, &err) < 0) {
        json_object_set_new(o, "role", json_string("down"));
        json_object_set_new(o, "error", json_string(err.text[0] ? err.text : tenure_error_string(err.code)));
        t->seen[i].at_ms = 0;
        return o;
    }
    json_object_set_new(o, "latency_ms", json_real((double)((io_clock_us() - begun_us) / 10) / 100));
    set_status(o, s);
    *newest = s->revision > *newest ? s->revision : *newest;
    tenure_status_free(s);
    if (top_metrics(endpoint, t->g, t->timeout_ms, &numbers))
        set_rates(o, &t->seen[i], &numbers, io_clock());
    return o;
}

static void ask_servers(struct top *t)
{
    json_t *list = json_array(), *o;
    size_t i, n = tenure_endpoints(t->client);
    int64_t newest = 0, now_ms = io_clock();
    for (i = 0; i < n && i < SERVERS_MAX; i++)
        json_array_append_new(list, ask_server(t, i, &newest));
    if (n > SERVERS_MAX)
        note(t, "servers", "the first 16 are asked");
    json_array_foreach(list, i, o)
    {
        const json_t *revision = json_object_get(o, "revision");
        if (revision)
            json_object_set_new(o, "behind", json_integer(newest - json_integer_value(revision)));
    }
    t->is_away = newest == 0;
    json_object_set_new(t->document, "revision", json_integer(newest));
    if (newest && t->revision && newest >= t->revision && now_ms > t->revision_at_ms)
        json_object_set_new(t->document, "writes", rate(newest, t->revision, now_ms - t->revision_at_ms));
    t->revision = newest;
    t->revision_at_ms = now_ms;
    json_object_set_new(t->document, "servers", list);
}

/* ---- locks and elections ---- */

struct queue {
    const char *name; /* of the keys that were read */
    size_t len;
    int64_t keys;
};

static int by_keys(const void *a, const void *b)
{
    const struct queue *x = a, *y = b;
    return x->keys > y->keys ? -1 : x->keys < y->keys;
}

/* PREFIX name/whoever: those of one name lie together. */
static size_t queues_of(const struct tenure_get_result *r, size_t prefix, struct queue *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_kvs; i++) {
        const char *key = r->kvs[i].key.data, *name = key + prefix;
        const char *slash = memrchr(name, '/', r->kvs[i].key.len - prefix);
        size_t len = slash ? (size_t)(slash - name) : 0;
        if (len == 0)
            continue;
        if (n == 0 || out[n - 1].len != len || memcmp(out[n - 1].name, name, len) != 0)
            out[n++] = (struct queue){.name = name, .len = len};
        out[n - 1].keys++;
    }
    return n;
}

static void set_who(json_t *o, const char *host, int64_t pid, int64_t since_ms, int64_t lease, const char *purpose,
                    int64_t token)
{
    output_set_bytes(o, "host", tenure_str(host));
    json_object_set_new(o, "pid", json_integer(pid));
    json_object_set_new(o, "since_ms", json_integer(since_ms));
    json_object_set_new(o, "lease", output_lease(lease));
    json_object_set_new(o, "token", json_integer(token));
    output_set_bytes(o, "purpose", tenure_str(purpose));
}

/* NULL: nobody is there any more, or it failed. */
static json_t *ask_lock(struct top *t, const char *name, struct tenure_error *err)
{
    struct tenure_lock_list *r = NULL;
    size_t holders = 0;
    if (tenure_lock_list(t->client, name, NULL, &r, err) < 0 || r->n == 0) {
        tenure_lock_list_free(r);
        return NULL;
    }
    for (size_t i = 0; i < r->n; i++)
        holders += r->shares[i].holds;
    json_t *o = json_object();
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "holders", json_integer((json_int_t)holders));
    json_object_set_new(o, "waiting", json_integer((json_int_t)(r->n - holders)));
    const struct tenure_lock_entry *e = &r->entries[0];
    set_who(o, e->host, e->pid, e->since_ms, e->lease, e->purpose, e->token);
    tenure_lock_list_free(r);
    return o;
}

static json_t *ask_election(struct top *t, const char *name, struct tenure_error *err)
{
    struct tenure_election_list *r = NULL;
    if (tenure_election_list(t->client, name, NULL, &r, err) < 0 || r->n == 0) {
        tenure_election_list_free(r);
        return NULL;
    }
    json_t *o = json_object();
    const struct tenure_election_entry *e = &r->entries[0];
    output_set_bytes(o, "name", tenure_str(name));
    output_set_bytes(o, "proposal", e->value);
    json_object_set_new(o, "waiting", json_integer((json_int_t)r->n - 1));
    set_who(o, e->host, e->pid, e->since_ms, e->lease, e->purpose, e->token);
    tenure_election_list_free(r);
    return o;
}

typedef json_t *ask_queue(struct top *t, const char *name, struct tenure_error *err);

/* Of the longest queues, so many as are asked for, in what order is the picture's matter. */
static void ask_each(struct top *t, const char *what, struct queue *queues, size_t n, ask_queue *ask, json_t *list)
{
    char name[512];
    qsort(queues, n, sizeof *queues, by_keys);
    for (size_t i = 0; i < n && i < QUEUES_MAX && !t->is_away; i++) {
        struct tenure_error err = {0};
        if (queues[i].len >= sizeof name || memchr(queues[i].name, 0, queues[i].len))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)queues[i].len, queues[i].name);
        json_t *o = ask(t, name, &err);
        if (o)
            json_array_append_new(list, o);
        else if (err.code)
            failed(t, what, &err);
    }
    if (n > QUEUES_MAX)
        note(t, what, "the 40 longest queues are shown");
}

static void ask_queues(struct top *t, const char *what, const char *prefix, ask_queue *ask)
{
    struct tenure_error err = {0};
    struct tenure_get_options o = {.size = sizeof o, .prefix = true, .keys_only = true, .limit = KEYS_MAX};
    struct tenure_get_result *r = NULL;
    json_t *list = json_array();
    size_t n = 0;
    if (!t->is_away && tenure_get(t->client, tenure_str(prefix), &o, &r, &err) < 0)
        failed(t, what, &err);
    struct queue *queues = r && r->n_kvs ? calloc(r->n_kvs, sizeof *queues) : NULL;
    if (queues) {
        n = queues_of(r, strlen(prefix), queues);
        ask_each(t, what, queues, n, ask, list);
    }
    if (r && r->more)
        note(t, what, "the first 2000 keys are looked at");
    free(queues);
    tenure_get_free(r);
    json_object_set_new(t->document, what, list);
}

/* ---- leases ---- */

/* NULL: it has ended, or it failed. */
static json_t *ask_lease(struct top *t, int64_t id)
{
    struct tenure_error err = {0};
    struct tenure_lease_info *r = NULL;
    json_t *o = NULL;
    if (tenure_lease_ttl(t->client, id, true, &r, &err) < 0) {
        failed(t, "leases", &err);
    } else if (r->ttl_s >= 0) {
        o = json_object();
        json_object_set_new(o, "lease", output_lease(r->id));
        json_object_set_new(o, "ttl", json_integer(r->ttl_s));
        json_object_set_new(o, "granted_ttl", json_integer(r->granted_ttl_s));
        json_object_set_new(o, "keys", json_integer((json_int_t)r->n_keys));
        if (r->n_keys)
            output_set_bytes(o, "key", r->keys[0]);
    }
    tenure_lease_info_free(r);
    return o;
}

static void ask_leases(struct top *t)
{
    struct tenure_error err = {0};
    struct tenure_lease_list *r = NULL;
    json_t *list = json_array();
    if (!t->is_away && tenure_lease_list(t->client, &r, &err) < 0)
        failed(t, "leases", &err);
    for (size_t i = 0; r && i < r->n && i < LEASES_MAX && !t->is_away; i++) {
        json_t *o = ask_lease(t, r->ids[i]);
        if (o)
            json_array_append_new(list, o);
    }
    if (r)
        json_object_set_new(t->document, "n_leases", json_integer((json_int_t)r->n));
    if (r && r->n > LEASES_MAX)
        note(t, "leases", "100 are looked at");
    json_object_set_new(t->document, "leases", list);
    tenure_lease_list_free(r);
}

json_t *top_ask(struct top *t)
{
    t->document = json_object();
    t->notes = json_array();
    json_object_set_new(t->document, "at_ms", json_integer(io_wall_ms()));
    ask_servers(t);
    ask_queues(t, "elections", "/election/", ask_election);
    ask_queues(t, "locks", "/locks/", ask_lock);
    ask_leases(t);
    json_object_set_new(t->document, "notes", t->notes);
    return t->document;
}
