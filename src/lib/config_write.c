/* See config_write.h.
 *
 *     read    each key, and its newest version                                    one transaction of reads
 *     commit  if all keys are as they were read: values and versions              one transaction
 *
 * When it fails, somebody was faster: again from the read. When its answer is lost, the version that it would have made says
 * whether it was applied: it carries an id that was drawn for this call; and sending it again is safe, because the first copy
 * that is applied breaks the guards of all others. Without history there is no such record, and the transaction is exact
 * (kv.h) instead.
 */
#include "lib/config_write.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/config_history.h"
#include "lib/config_home.h"
#include "lib/config_read.h"
#include "lib/config_schema.h"
#include "lib/handle.h"
#include "lib/result.h"
#include "lib/view.h"

enum { FLAT_MAX = 20, WHO_SIZE = 400 };

/* A key that is written: what is to be there, and what is. */
struct job {
    const struct tenure_config_write *w;
    bytes value; /* data NULL = deleted */
    const char *path, *history;
    int64_t revision; /* its mod_revision; 0 = absent */
    bytes present;
    int64_t version;  /* the newest; 0 = none */
    bool is_recorded; /* that version is what is there */
    bool is_idle;     /* nothing is to be done */
};

struct writing {
    tenure_client *client;
    const tenure_client *root;
    const struct tenure_config_options *o;
    struct config_place *place;
    struct arena arena; /* of one attempt */
    struct job *jobs;
    size_t n;
    struct config_home home; /* of the global layer's, where they have one */
    tn_ms until;
    int64_t history; /* versions kept; 0 = none */
    char who[WHO_SIZE], id[CONFIG_ID_SIZE];
    const char *sent; /* the version's key that an attempt in doubt would have made; NULL = none */
    struct tenure_error doubt;
    int64_t revision; /* of the store when it was read; where it was applied */
};

/* ---- who writes ---- */

static void name_writer(struct writing *w)
{
    char host[256] = "", buffer[1024];
    struct passwd entry, *user = NULL;
    gethostname(host, sizeof host - 1);
    if (w->o->who)
        snprintf(w->who, sizeof w->who, "%s", w->o->who);
    else if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &user) == 0 && user)
        snprintf(w->who, sizeof w->who, "%.100s@%s", user->pw_name, host);
    else
        snprintf(w->who, sizeof w->who, "%lu@%s", (unsigned long)geteuid(), host);
    w->who[bytes_utf8_cut(bytes_str(w->who), sizeof w->who - 1)] = 0;
}

static void draw_id(struct writing *w)
{
    uint64_t n[2] = {0};
    const struct lib_kit *kit = w->root->kit;
    if (kit) {
        n[0] = kit->random(w->root->kit_user);
        n[1] = kit->random(w->root->kit_user);
    } else if (getrandom(n, sizeof n, 0) != sizeof n) {
        n[0] = (uint64_t)getpid();
        n[1] = (uint64_t)handle_clock(w->root);
    }
    snprintf(w->id, sizeof w->id, "%016" PRIx64 "%016" PRIx64, n[0], n[1]);
}

static int64_t left_ms(const struct writing *w)
{
    tn_ms left = w->until - handle_clock(w->root);
    return left > 0 ? left : 1;
}

/* ---- the read ---- */

static int no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "config: out of memory");
}

static int note(struct writing *w, struct job *j, const struct tenure_get_result *key,
                const struct tenure_get_result *record)
{
    j->revision = key->n_kvs ? key->kvs[0].mod_revision : 0;
    j->present = bytes_of(NULL, 0);
    if (key->n_kvs)
        j->present = arena_copy(&w->arena, result_bytes_in(key->kvs[0].value));
    if (key->n_kvs && !j->present.data)
        return TENURE_ENOMEM;
    j->version = record->n_kvs ? config_version_of(result_bytes_in(record->kvs[0].key), strlen(j->history)) : 0;
    j->is_recorded = record->n_kvs && record->kvs[0].mod_revision == j->revision;
    j->is_idle = !j->value.data ? j->revision == 0 : j->revision > 0 && bytes_equal(j->value, j->present);
    return 0;
}

/* Whether the attempt in doubt was applied: 1 = yes, 0 = no, or not yet; it may be sent again. */
static int find_sent(struct writing *w, const struct tenure_get_result *get)
{
    struct config_record r;
    if (get->n_kvs == 0 || !config_record_read(result_bytes_in(get->kvs[0].value), &w->arena, &r) || !r.id ||
        strcmp(r.id, w->id) != 0)
        return 0;
    w->revision = get->kvs[0].mod_revision;
    return 1;
}

/* 0, 1: the attempt in doubt was applied, or an error. */
static int read_all(struct writing *w, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(w->client);
    for (size_t i = 0; i < w->n; i++) {
        tenure_then_get(t, tenure_str(w->jobs[i].path), NULL);
        config_get_versions(t, &w->arena, w->jobs[i].history, 1);
    }
    if (w->sent)
        tenure_then_get(t, tenure_str(w->sent), NULL);
    int rc = tenure_txn_commit(t, left_ms(w), &r, err);
    if (rc == 0 && r->n_ops != 2 * w->n + (w->sent ? 1 : 0))
        rc = error_set(err, TENURE_EPROTOCOL, "config: the answer has not as many parts as the question");
    if (rc == 0) {
        w->revision = r->revision;
        if (w->sent)
            rc = find_sent(w, r->ops[2 * w->n].get);
    }
    for (size_t i = 0; rc == 0 && i < w->n; i++)
        if (note(w, &w->jobs[i], r->ops[2 * i].get, r->ops[2 * i + 1].get))
            rc = no_memory(err);
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

static int check_revisions(const struct writing *w, struct tenure_error *err)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct job *j = &w->jobs[i];
        int64_t wanted = j->w->if_revision;
        if (wanted > 0 && j->revision == 0)
            return error_set(err, TENURE_ECONFLICT, "config: \"%.100s\" is not there any more (revision %" PRId64 ")",
                             j->w->key, wanted);
        if (wanted == -1 && j->revision > 0)
            return error_set(err, TENURE_ECONFLICT, "config: \"%.100s\" is there already, of revision %" PRId64,
                             j->w->key, j->revision);
        if (wanted > 0 && wanted != j->revision)
            return error_set(err, TENURE_ECONFLICT,
                             "config: \"%.100s\" was changed: it is of revision %" PRId64 ", not %" PRId64, j->w->key,
                             j->revision, wanted);
    }
    return 0;
}

/* ---- the commit ---- */

static void put_record(struct writing *w, tenure_txn *t, const struct job *j, int64_t version,
                       const struct config_record *r, bool *ok)
{
    const char *key = config_version_key(&w->arena, j->history, version);
    char *text = key ? config_record_write(r) : NULL;
    *ok = *ok && text;
    if (text)
        tenure_then_put(t, tenure_str(key), tenure_str(text), 0);
    free(text);
}

/* One that was written past us is kept first. */
static void put_history(struct writing *w, tenure_txn *t, const struct job *j, bool *ok)
{
    int64_t version = j->version;
    if (j->revision > 0 && !j->is_recorded) {
        struct config_record found = {.value = j->present, .revision = j->revision};
        put_record(w, t, j, ++version, &found, ok);
    }
    struct config_record made = {.value = j->value,
                                 .was = j->revision,
                                 .at_ms = handle_wall_ms(w->root),
                                 .who = w->who,
                                 .comment = w->o->comment,
                                 .id = w->id};
    put_record(w, t, j, ++version, &made, ok);
    if (version <= w->history)
        return;
    const char *first = config_version_key(&w->arena, j->history, 0);
    const char *end = config_version_key(&w->arena, j->history, version - w->history + 1);
    struct tenure_delete_options o = {.size = sizeof o, .range_end = tenure_str(end ? end : "")};
    *ok = *ok && first && end;
    if (first && end)
        tenure_then_delete(t, tenure_str(first), &o);
}

/* The number that the version of this write will have. */
static int64_t next_version(const struct job *j)
{
    return j->version + 1 + (j->revision > 0 && !j->is_recorded);
}

static void put_guard(struct writing *w, tenure_txn *t, const struct job *j, bool *ok)
{
    tenure_if_mod_revision(t, tenure_str(j->path), TENURE_EQ, j->revision);
    if (j->revision > 0 || w->history == 0)
        return; /* versions come with their key */
    const char *next = config_version_key(&w->arena, j->history, next_version(j));
    *ok = *ok && next;
    if (next)
        tenure_if_create_revision(t, tenure_str(next), TENURE_EQ, 0);
}

static void put_job(struct writing *w, tenure_txn *t, const struct job *j, bool *ok)
{
    if (j->value.data)
        tenure_then_put(t, tenure_str(j->path), result_bytes(j->value), 0);
    else
        tenure_then_delete(t, tenure_str(j->path), NULL);
    if (w->history > 0)
        put_history(w, t, j, ok);
}

/* Servers allow so many operations in one transaction, but each of these may be one itself. */
static void put_nested(struct writing *w, tenure_txn *t, const struct job *j, bool *ok)
{
    tenure_txn *inner = tenure_txn_new(w->client);
    *ok = *ok && inner;
    put_job(w, inner, j, ok);
    tenure_then_txn(t, inner);
    tenure_txn_free(inner);
}

static tenure_txn *transaction(struct writing *w)
{
    tenure_txn *t = tenure_txn_new(w->client);
    bool ok = t != NULL;
    tenure_txn_exact(t, w->history == 0);
    if (w->home.record)
        tenure_if_mod_revision(t, tenure_str(w->home.record), TENURE_EQ, w->home.mod_revision);
    for (size_t i = 0; i < w->n; i++) {
        put_guard(w, t, &w->jobs[i], &ok);
        if (!w->jobs[i].is_idle)
            (w->n > FLAT_MAX ? put_nested : put_job)(w, t, &w->jobs[i], &ok);
    }
    if (!ok) {
        tenure_txn_free(t);
        return NULL;
    }
    return t;
}

/* The servers' word names neither the key nor what they would take. */
static int too_large(const struct writing *w, struct tenure_error *err)
{
    const struct job *most = w->jobs;
    for (size_t i = 0; i < w->n; i++)
        if (w->jobs[i].value.len > most->value.len)
            most = &w->jobs[i];
    int status = err->grpc_status;
    int rc = error_set(
        err, TENURE_ETOOLARGE,
        "config: \"%.60s\" has %zu bytes%s: more than the servers take: %sa request of theirs is 1.5 MiB unless "
        "they were told otherwise (--max-request-bytes)",
        most->w->key, most->value.len, w->n > 1 ? ", the largest of several" : "",
        w->history > 0 ? "it goes to them twice, once for its history, and " : "");
    err->grpc_status = status;
    return rc;
}

static const struct job *first_busy(const struct writing *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!w->jobs[i].is_idle)
            return &w->jobs[i];
    return NULL;
}

/* 0 = applied, 1 = again from the read, or an error. */
static int commit(struct writing *w, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    const struct job *first = first_busy(w);
    if (!first)
        return 0;
    tenure_txn *t = transaction(w);
    const char *sent = config_version_key(&w->place->arena, first->history, next_version(first));
    if (!t || !sent) {
        tenure_txn_free(t);
        return no_memory(err);
    }
    int rc = tenure_txn_commit(t, left_ms(w), &r, err);
    if (rc == 0 && r->outcome == TENURE_TXN_SUCCEEDED)
        w->revision = r->revision;
    else if (rc == 0)
        rc = 1;
    else if (w->history > 0 && err->applied == TENURE_APPLIED_MAYBE && err->code != TENURE_ECANCELLED) {
        w->sent = sent;
        w->doubt = *err;
        rc = 1;
    } else if (rc == TENURE_ETOOLARGE) {
        rc = too_large(w, err);
    }
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

/* ---- the attempts ---- */

/* Anew each time: a home that moved away meanwhile breaks the transaction. */
static int check_home(struct writing *w, struct tenure_error *err)
{
    const char *paths[TENURE_CONFIG_WRITES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->jobs[i].w->layer == TENURE_CONFIG_GLOBAL)
            paths[n++] = w->jobs[i].path;
    w->home = (struct config_home){0};
    return n == 0 || w->client != w->root ? 0 : config_home_check(w->client, paths, n, &w->arena, &w->home, err);
}

static int out_of_time(const struct writing *w, struct tenure_error *err)
{
    if (w->sent) {
        *err = w->doubt;
        return err->code;
    }
    return error_set(err, TENURE_ETIMEOUT, "config: others wrote the same keys until the deadline");
}

static int attempts(struct writing *w, struct tenure_error *err)
{
    for (;;) {
        arena_reset(&w->arena);
        int rc = read_all(w, err);
        if (rc == 1)
            return 0;
        if (rc < 0 && w->sent)
            err->applied = TENURE_APPLIED_MAYBE;
        rc = rc ? rc : check_home(w, err);
        rc = rc ? rc : check_revisions(w, err);
        rc = rc ? rc : commit(w, err);
        if (rc <= 0)
            return rc;
        if (handle_clock(w->root) >= w->until)
            return out_of_time(w, err);
    }
}

/* ---- the door ---- */

static bool same_place(const struct tenure_config_write *a, const struct tenure_config_write *b)
{
    return a->layer == b->layer && strcmp(a->key, b->key) == 0;
}

int config_writes_check(const struct tenure_config_write *writes, size_t n, struct tenure_error *err)
{
    if (n > TENURE_CONFIG_WRITES_MAX)
        return error_set(err, TENURE_ELIMIT, "config: %zu changes; one transaction takes %d", n,
                         TENURE_CONFIG_WRITES_MAX);
    for (size_t i = 0; i < n; i++) {
        int rc = config_key_check(writes[i].key, err);
        if (rc)
            return rc;
        if (writes[i].if_revision < -1)
            return error_set(err, TENURE_EINVALID, "config: \"%.100s\": a revision below 0", writes[i].key);
        for (size_t j = 0; j < i; j++)
            if (same_place(&writes[i], &writes[j]))
                return error_set(err, TENURE_EINVALID, "config: \"%.100s\" is there twice", writes[i].key);
    }
    return 0;
}

static int make_jobs(struct writing *w, const struct tenure_config_write *writes, struct tenure_error *err)
{
    for (size_t i = 0; i < w->n; i++) {
        struct job *j = &w->jobs[i];
        j->w = &writes[i];
        if (writes[i].value)
            j->value = bytes_of(writes[i].value, writes[i].value_len ? writes[i].value_len : strlen(writes[i].value));
        int rc = config_place_key(w->place, writes[i].layer, writes[i].key, &j->path, err);
        rc = rc ? rc : config_place_history(w->place, writes[i].layer, writes[i].key, &j->history, err);
        if (rc)
            return rc;
    }
    return 0;
}

int config_write(tenure_client *c, const struct tenure_config_write *writes, size_t n, struct config_place *place,
                 const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err)
{
    tenure_client *root = c;
    view_of(&root);
    int64_t timeout_ms = o->timeout_ms ? o->timeout_ms : root->call_timeout_ms;
    struct writing w = {.client = c, .root = root, .o = o, .place = place, .n = n};
    w.until = handle_clock(root) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS);
    w.history = o->history < 0 ? 0 : o->history ? o->history : CONFIG_HISTORY;
    w.jobs = calloc(n + 1, sizeof *w.jobs);
    if (!w.jobs)
        return no_memory(err);
    arena_init(&w.arena, 0);
    name_writer(&w);
    draw_id(&w);
    for (size_t i = 0; i < n; i++)
        place->reads_global = place->reads_global || writes[i].layer == TENURE_CONFIG_GLOBAL;
    int rc = make_jobs(&w, writes, err);
    rc = rc ? rc : config_schema_check_writes(c, writes, n, place, o, err);
    rc = rc ? rc : attempts(&w, err);
    if (rc == 0 && ret_revision)
        *ret_revision = w.revision;
    arena_fini(&w.arena);
    free(w.jobs);
    return rc;
}

int tenure_config_apply(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                        const struct tenure_config_options *options, int64_t *ret_revision, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    err = err ? err : &own;
    int rc = writes || n == 0 ? config_enter(c, "config", options, &o, &place, err)
                              : error_set(err, TENURE_EINVALID, "config: the changes are NULL");
    rc = rc ? rc : config_writes_check(writes, n, err);
    rc = rc ? rc : config_write(c, writes, n, &place, &o, ret_revision, err);
    config_place_fini(&place);
    return rc;
}

int tenure_config_set(tenure_client *c, const char *key, const char *value, enum tenure_config_layer layer,
                      int64_t if_revision, const struct tenure_config_options *o, int64_t *ret_revision,
                      struct tenure_error *err)
{
    struct tenure_config_write w = {.key = key, .value = value, .layer = layer, .if_revision = if_revision};
    if (!value)
        return error_set(err, TENURE_EINVALID, "config: the value is NULL");
    return tenure_config_apply(c, &w, 1, o, ret_revision, err);
}

static int must_be_there(tenure_client *c, const char *key, enum tenure_config_layer layer, struct config_place *place,
                         int64_t timeout_ms, struct tenure_error *err)
{
    const char *path;
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = timeout_ms};
    int rc = config_place_key(place, layer, key, &path, err);
    rc = rc ? rc : tenure_get(c, tenure_str(path), &o, &r, err);
    if (rc == 0 && r->n_kvs == 0)
        rc = error_set(err, TENURE_ENOTFOUND, "config: \"%.100s\" is not there", key);
    tenure_get_free(r);
    return rc;
}

int tenure_config_delete(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t if_revision,
                         const struct tenure_config_options *options, int64_t *ret_revision, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    struct tenure_config_write w = {.key = key, .layer = layer, .if_revision = if_revision};
    err = err ? err : &own;
    int rc = config_enter(c, "config", options, &o, &place, err);
    rc = rc ? rc : config_writes_check(&w, 1, err);
    rc = rc ? rc : must_be_there(c, key, layer, &place, o.timeout_ms, err);
    rc = rc ? rc : config_write(c, &w, 1, &place, &o, ret_revision, err);
    config_place_fini(&place);
    return rc;
}
