/* tenure cache get, list, leader: from the file, where that is new enough, else from the servers, where that is wanted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/cache.h"
#include "cli/cache_file.h"
#include "cli/connect.h"
#include "cli/paths.h"
#include "cli/wait.h"

bool cache_path(const struct cache_flags *f, char *out, size_t size)
{
    bool fits = f->file ? (size_t)snprintf(out, size, "%s", f->file) < size : paths_state("cache", out, size);
    if (!fits)
        fprintf(stderr, "tenure cache: there is no folder for the copy\ntry: --file FILE\n");
    return fits;
}

/* ---- the file ---- */

enum { ASK = -1 }; /* in place of an exit code */

static int too_old(const struct cache_flags *f, const char *path, int64_t age)
{
    if (f->ask)
        return ASK;
    if (age < 0)
        fprintf(stderr, "tenure cache: %s: a clock was set back since, and so it is not known how old it is\n", path);
    else
        fprintf(stderr,
                "tenure cache: %s: the copy may be %" PRId64 " ms old, allowed are %" PRId64 " ms\n"
                "try: --ask, or see whether `tenure cache run` runs\n",
                path, age, f->max_stale_ms);
    return EXIT_UNAVAILABLE;
}

static int unreadable(const struct cache_flags *f, const struct tenure_error *err)
{
    if (f->ask)
        return ASK;
    fprintf(stderr, "tenure cache: %s\n%s", err->text,
            err->code == TENURE_ENOTFOUND ? "try: tenure cache run PREFIX, which keeps it, or --ask\n" : "");
    return EXIT_USAGE;
}

/* EXIT_OK: *ret is the copy, young enough and with all keys that begin with prefix; to be freed. ASK, or an exit code. */
static int open_copy(const struct cache_flags *f, const char *prefix, struct cache_copy *ret, int64_t *ret_age)
{
    char path[4096];
    struct tenure_error err = {0};
    if (!cache_path(f, path, sizeof path))
        return EXIT_USAGE;
    if (cache_copy_read(path, ret, &err) < 0)
        return unreadable(f, &err);
    struct cache_time now = cache_time_now();
    int64_t age = cache_time_age(&ret->as_of, &now);
    int code = EXIT_OK;
    if (f->max_stale_ms >= 0 && (age < 0 || age > f->max_stale_ms))
        code = too_old(f, path, age);
    else if (cache_copy_revision(ret, prefix) == 0 && f->ask)
        code = ASK;
    else if (cache_copy_revision(ret, prefix) == 0) {
        fprintf(stderr, "tenure cache: %s: it does not hold what begins with '%s'\n", path, prefix);
        code = EXIT_USAGE;
    }
    *ret_age = age;
    if (code != EXIT_OK)
        cache_copy_fini(ret);
    return code;
}

static int damaged(void)
{
    fprintf(stderr, "tenure cache: a line of the copy cannot be read\n");
    return EXIT_FAILED;
}

/* ---- keys ---- */

static const struct output_form kv_form = {
    .columns = (const struct output_column[]){OUTPUT_KV_COLUMNS(""),
                                              {.path = "stale_ms", .heading = "STALE MS", .kind = OUTPUT_NUMBER},
                                              {0}},
};
static const struct output_form list_form = {
    .lists = {"kvs"},
    .columns = (const struct output_column[]){OUTPUT_KV_COLUMNS(""), {0}},
};

static void set_age(json_t *o, int64_t revision, int64_t stale_ms)
{
    json_object_set_new(o, "revision", json_integer(revision));
    if (stale_ms >= 0)
        json_object_set_new(o, "stale_ms", json_integer(stale_ms));
}

/* One that is there. */
static void print_kv(const struct global_options *g, const struct tenure_kv *kv, int64_t revision, int64_t stale_ms)
{
    if (output_is_text(g)) {
        output_kv_text(kv, false, true);
        return;
    }
    json_t *o = output_kv(kv);
    set_age(o, revision, stale_ms);
    output_print(g, &kv_form, o);
}

struct reading {
    const struct global_options *g;
    int64_t revision, stale_ms;
    json_t *kvs;
};

static void on_one(void *user, const struct tenure_kv *kv)
{
    struct reading *r = user;
    print_kv(r->g, kv, r->revision, r->stale_ms);
}

static void on_each(void *user, const struct tenure_kv *kv)
{
    struct reading *r = user;
    if (output_is_text(r->g))
        output_kv_text(kv, true, true);
    else
        json_array_append_new(r->kvs, output_kv(kv));
}

static void print_list(struct reading *r)
{
    if (output_is_text(r->g)) {
        json_decref(r->kvs);
        return;
    }
    json_t *o = json_object();
    set_age(o, r->revision, r->stale_ms);
    json_object_set_new(o, "kvs", r->kvs);
    output_print(r->g, &list_form, o);
}

/* The servers, by a read of the library's that proves how old its answer is as well. */
static int ask_servers(const struct global_options *g, const char *key, bool prefix, struct tenure_cache_list **ret)
{
    struct tenure_error err = {0};
    struct tenure_cache_options o = {.size = sizeof o, .prefix = prefix};
    tenure_client *c = connect_open("cache", g);
    if (!c)
        return connect_code();
    tenure_cache *k = tenure_cache_open(c, tenure_str(key), &o, &err);
    int rc = k ? tenure_cache_list(k, tenure_str(""), NULL, ret, &err) : err.code;
    int code = rc ? connect_failed("cache", g, &err) : EXIT_OK;
    tenure_cache_close(k);
    tenure_close(c);
    return code;
}

static int no_key(const struct global_options *g, const char *key)
{
    if (output_is_text(g))
        fprintf(stderr, "tenure cache: there is no key '%s'\n", key);
    return EXIT_FAILED;
}

static int get_asked(const struct global_options *g, const char *key)
{
    struct tenure_cache_list *l = NULL;
    int code = ask_servers(g, key, false, &l);
    if (code != EXIT_OK)
        return code;
    if (l->n > 0)
        print_kv(g, &l->kvs[0], l->revision, l->stale_ms);
    code = l->n > 0 ? EXIT_OK : no_key(g, key);
    tenure_cache_list_free(l);
    return code;
}

int cache_get(const struct global_options *g, const struct cache_flags *f, const char *key)
{
    struct cache_copy copy;
    struct reading r = {.g = g};
    int code = open_copy(f, key, &copy, &r.stale_ms);
    if (code == ASK)
        code = get_asked(g, key);
    else if (code == EXIT_OK) {
        r.revision = cache_copy_revision(&copy, key);
        int64_t n = cache_copy_each(&copy, tenure_str(key), true, on_one, &r);
        code = n < 0 ? damaged() : n > 0 ? EXIT_OK : no_key(g, key);
        cache_copy_fini(&copy);
    }
    return code;
}

int cache_list(const struct global_options *g, const struct cache_flags *f, const char *prefix)
{
    struct cache_copy copy;
    struct reading r = {.g = g, .kvs = json_array()};
    int code = open_copy(f, prefix, &copy, &r.stale_ms);
    if (code == EXIT_OK) {
        r.revision = cache_copy_revision(&copy, prefix);
        code = cache_copy_each(&copy, tenure_str(prefix), false, on_each, &r) < 0 ? damaged() : EXIT_OK;
        cache_copy_fini(&copy);
    } else if (code == ASK) {
        struct tenure_cache_list *l = NULL;
        code = ask_servers(g, prefix, true, &l);
        for (size_t i = 0; code == EXIT_OK && i < l->n; i++)
            on_each(&r, &l->kvs[i]);
        r.revision = l ? l->revision : 0;
        r.stale_ms = l ? l->stale_ms : 0;
        tenure_cache_list_free(l);
    }
    if (code == EXIT_OK)
        print_list(&r);
    else
        json_decref(r.kvs);
    return code;
}

/* ---- who leads ---- */

static const struct output_form leader_form = {
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "proposal", .heading = "LEADER"},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "key", .heading = "KEY"},
                                              {0}},
};
static const struct output_form leaders_form = {
    .lists = {"leaders"},
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "proposal", .heading = "LEADER"},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "key", .heading = "KEY"},
                                              {0}},
};

static json_t *json_of(const struct tenure_leader *l, bool with_age)
{
    json_t *o = json_object();
    output_set_bytes(o, "name", tenure_str(l->name));
    json_object_set_new(o, "leads", json_boolean(l->exists));
    if (l->exists) {
        output_set_bytes(o, "proposal", l->value);
        output_set_bytes(o, "key", l->key);
        json_object_set_new(o, "token", json_integer(l->token));
        json_object_set_new(o, "lease", output_lease(l->lease));
    }
    if (with_age)
        set_age(o, l->revision, l->stale_ms);
    return o;
}

static void print_text(const struct tenure_leader *l, bool with_name)
{
    if (with_name)
        printf("%s  ", l->name);
    if (!l->exists) {
        puts("nobody leads");
        return;
    }
    fwrite(l->value.data, 1, l->value.len, stdout);
    printf("  token %" PRId64 "  %s\n", l->token, (const char *)l->key.data);
}

static int print_leader(const struct global_options *g, const struct tenure_leader *l)
{
    if (output_is_text(g))
        print_text(l, false);
    else
        output_print(g, &leader_form, json_of(l, true));
    return l->exists ? EXIT_OK : EXIT_FAILED;
}

static void print_leaders(const struct global_options *g, const struct tenure_leader_list *all)
{
    json_t *array = json_array();
    for (size_t i = 0; i < all->n; i++) {
        if (output_is_text(g))
            print_text(&all->leaders[i], true);
        else
            json_array_append_new(array, json_of(&all->leaders[i], false));
    }
    if (output_is_text(g)) {
        json_decref(array);
        return;
    }
    json_t *o = json_object();
    set_age(o, all->revision, all->stale_ms);
    json_object_set_new(o, "leaders", array);
    output_print(g, &leaders_form, o);
}

/* Of the candidates in the file. */
struct finding {
    char dir[4200];
    struct tenure_kv first; /* of the one who leads; its bytes are own */
};

static void free_kv(struct tenure_kv *kv)
{
    free((void *)kv->key.data);
    free((void *)kv->value.data);
    *kv = (struct tenure_kv){.lease = 0};
}

static struct tenure_bytes own_bytes(struct tenure_bytes b)
{
    char *out = malloc(b.len + 1);
    if (!out)
        abort();
    memcpy(out, b.data, b.len);
    out[b.len] = 0;
    return (struct tenure_bytes){out, b.len};
}

static void on_candidate(void *user, const struct tenure_kv *kv)
{
    struct finding *f = user;
    size_t at = strlen(f->dir);
    bool below = kv->key.len > at && !memchr((const char *)kv->key.data + at, '/', kv->key.len - at) &&
                 !memchr(kv->key.data, 0, kv->key.len);
    if (!below || (f->first.key.data && f->first.create_revision <= kv->create_revision))
        return;
    free_kv(&f->first);
    f->first = *kv;
    f->first.key = own_bytes(kv->key);
    f->first.value = own_bytes(kv->value);
}

static int leader_from_file(const struct global_options *g, const struct cache_flags *f, const char *name)
{
    struct cache_copy copy;
    struct finding find = {.dir = ""};
    struct tenure_leader l = {.name = name};
    if (!name || !*name || strlen(name) > 4096) {
        fprintf(stderr, "tenure cache: with --file, expected leader NAME\n");
        return EXIT_USAGE;
    }
    snprintf(find.dir, sizeof find.dir, "/election/%s/", name);
    int code = open_copy(f, find.dir, &copy, &l.stale_ms);
    if (code != EXIT_OK)
        return code;
    l.revision = cache_copy_revision(&copy, find.dir);
    code = cache_copy_each(&copy, tenure_str(find.dir), false, on_candidate, &find) < 0 ? damaged() : EXIT_OK;
    cache_copy_fini(&copy);
    l.exists = find.first.key.data != NULL;
    l.key = find.first.key;
    l.value = find.first.value;
    l.token = find.first.create_revision;
    l.lease = find.first.lease;
    code = code == EXIT_OK ? print_leader(g, &l) : code;
    free_kv(&find.first);
    return code;
}

struct following {
    const struct global_options *g;
    bool with_names;
    struct wait wait;
};

static void on_leader(tenure_leaders *leaders, const struct tenure_leader *now, void *user)
{
    struct following *f = user;
    (void)leaders;
    if (output_is_text(f->g))
        print_text(now, f->with_names);
    else
        output_event(f->g, &leader_form, json_of(now, true));
    if (fflush(stdout) != 0)
        wait_end(&f->wait, EXIT_FAILED);
}

static void on_end(tenure_leaders *leaders, int code, const struct tenure_error *err, void *user)
{
    struct following *f = user;
    (void)leaders, (void)code;
    wait_end(&f->wait, connect_failed("cache", f->g, err));
}

static int follow(const struct global_options *g, const char *name)
{
    struct following f = {.g = g, .with_names = !name};
    struct tenure_error err = {0};
    struct tenure_leaders_options o = {.size = sizeof o, .on_leader = on_leader, .on_end = on_end, .user = &f};
    wait_init(&f.wait);
    tenure_client *c = connect_open("cache", g);
    if (!c)
        return connect_code();
    tenure_leaders *l = tenure_leaders_open(c, name, &o, &err);
    int code = l ? wait_run(&f.wait, -1, EXIT_OK, NULL) : connect_failed("cache", g, &err);
    tenure_leaders_close(l);
    tenure_close(c);
    return code;
}

static int leader_asked(const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_leader *one = NULL;
    struct tenure_leader_list *all = NULL;
    tenure_client *c = connect_open("cache", g);
    if (!c)
        return connect_code();
    tenure_leaders *l = tenure_leaders_open(c, name, NULL, &err);
    /* Of all of them any one is waited for: they are of one revision. */
    int rc = l ? tenure_leaders_get(l, name ? name : "any", NULL, &one, &err) : err.code;
    if (rc == 0 && !name)
        rc = tenure_leaders_cached_list(l, NULL, &all, &err);
    int code = rc ? connect_failed("cache", g, &err) : EXIT_OK;
    if (all)
        print_leaders(g, all);
    else if (code == EXIT_OK)
        code = print_leader(g, one);
    tenure_leader_list_free(all);
    tenure_leader_free(one);
    tenure_leaders_close(l);
    tenure_close(c);
    return code;
}

int cache_leader(const struct global_options *g, const struct cache_flags *f, const char *name)
{
    int code = ASK;
    if (f->follow)
        return follow(g, name);
    if (f->file)
        code = leader_from_file(g, f, name);
    return code == ASK ? leader_asked(g, name) : code;
}
