/* Caches on a real server: what is read is what is there, and says how old it is; over kills, restarts and compactions; in all three
 * ways in. */
#include "lib.h"
#include "proxy.h"

#include <poll.h>
#include <unistd.h>
#include <uv.h>

#define NEED(...)                                                                                                      \
    (&(struct tenure_cache_need){.size = sizeof(struct tenure_cache_need), .timeout_ms = 20000, __VA_ARGS__})

static tenure_cache *follow(tenure_client *c, const char *key, struct tenure_cache_options o)
{
    struct tenure_error err = {0};
    o.size = sizeof o;
    tenure_cache *k = tenure_cache_open(c, S(key), &o, &err);
    if (!k)
        fail_msg("%s", err.text);
    return k;
}

static tenure_cache *follow_prefix(tenure_client *c, const char *prefix)
{
    return follow(c, prefix, (struct tenure_cache_options){.prefix = true});
}

static struct tenure_cache_item *item(tenure_cache *k, const char *key, const struct tenure_cache_need *need)
{
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    no_error(tenure_cache_get(k, S(key), need, &i, &err), &err);
    return i;
}

/* And frees it. wanted NULL: there is no such key. */
static void holds(struct tenure_cache_item *i, const char *key, const char *wanted)
{
    assert_int_equal(i->exists, wanted != NULL);
    assert_string_equal(i->kv.key.data, key);
    assert_string_equal(i->kv.value.data, wanted ? wanted : "");
    assert_true(i->stale_ms > 0);
    assert_true(i->revision >= i->kv.mod_revision);
    tenure_cache_item_free(i);
}

static struct tenure_cache_list *list(tenure_cache *k, const char *prefix, const struct tenure_cache_need *need)
{
    struct tenure_error err = {0};
    struct tenure_cache_list *l = NULL;
    no_error(tenure_cache_list(k, S(prefix), need, &l, &err), &err);
    return l;
}

/* "key=value key=value", and frees it. */
static void lists(struct tenure_cache_list *l, const char *wanted)
{
    char text[1024] = "";
    for (size_t i = 0; i < l->n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s=%s", i ? " " : "",
                 (const char *)l->kvs[i].key.data, (const char *)l->kvs[i].value.data);
    assert_string_equal(text, wanted);
    tenure_cache_list_free(l);
}

static int64_t write_at(tenure_client *c, const char *key, const char *value)
{
    struct tenure_error err = {0};
    struct tenure_put_result *r = NULL;
    no_error(tenure_put(c, S(key), S(value), NULL, &r, &err), &err);
    int64_t revision = r->revision;
    tenure_put_free(r);
    return revision;
}

static void erase(tenure_client *c, const char *key)
{
    struct tenure_error err = {0};
    no_error(tenure_delete(c, S(key), NULL, NULL, &err), &err);
}

/* ---- reading ---- */

static void keys_of_a_prefix_are_followed(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    put(other, "f/b", "1");
    put(other, "f0", "beside");
    tenure_cache *k = follow_prefix(c, "f/");
    lists(list(k, "", NEED(.linearizable = true)), "f/b=1");
    put(other, "f/a", "2");
    put(other, "f/bb", "3");
    int64_t at = write_at(other, "f/c", "");
    lists(list(k, "", NEED(.min_revision = at)), "f/a=2 f/b=1 f/bb=3 f/c=");
    lists(list(k, "f/b", NULL), "f/b=1 f/bb=3");
    lists(list(k, "f/x", NULL), "");
    holds(item(k, "f/b", NULL), "f/b", "1");
    holds(item(k, "f/", NULL), "f/", NULL);
    erase(other, "f/b");
    holds(item(k, "f/b", NEED(.linearizable = true)), "f/b", NULL);
    size_t n = 0;
    struct tenure_error err = {0};
    no_error(tenure_cache_count(k, S(""), NULL, &n, &err), &err);
    assert_int_equal(n, 3);
    no_error(tenure_cache_count(k, S("f/b"), NULL, &n, &err), &err);
    assert_int_equal(n, 1);
    tenure_cache_close(k);
    tenure_close(c);
    tenure_close(other);
}

static void a_single_key_is_followed_alone(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_cache_item *none = NULL;
    tenure_cache *k = follow(c, "single", (struct tenure_cache_options){.check_ms = 0});
    holds(item(k, "single", NULL), "single", NULL);
    put(c, "single2", "x");
    put(c, "single", "1");
    holds(item(k, "single", NEED(.linearizable = true)), "single", "1");
    lists(list(k, "", NULL), "single=1");
    assert_int_equal(tenure_cache_get(k, S("single2"), NULL, &none, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cache_cached(k, S(""), NULL, &none, &err), TENURE_EINVALID);
    tenure_cache_close(k);
    tenure_close(c);
}

static void what_is_not_followed_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    struct tenure_cache_list *l = NULL;
    tenure_cache *k = follow_prefix(c, "refused/");
    struct tenure_cache_options bad = {.size = sizeof bad, .check_ms = -1};
    assert_int_equal(tenure_cache_get(k, S("refuse"), NULL, &i, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cache_list(k, S("refused"), NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cache_get(k, S("refused/x"), NEED(.max_stale_ms = -1), &i, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cache_cached(k, S("refused/x"), NEED(.linearizable = true), &i, &err), TENURE_EINVALID);
    assert_null(tenure_cache_open(c, S("x"), &bad, &err));
    assert_null(tenure_cache_open(c, S(""), NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_cache_close(k);
    tenure_close(c);
}

static void what_is_needed_holds_or_is_refused(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    tenure_cache *k = follow_prefix(c, "need/");
    for (int n = 0; n < 30; n++) {
        char text[16];
        snprintf(text, sizeof text, "%d", n);
        int64_t revision = write_at(other, "need/a", text);
        holds(item(k, "need/a", n % 2 ? NEED(.linearizable = true) : NEED(.min_revision = revision)), "need/a", text);
    }
    int64_t revision = write_at(other, "beside", "x"); /* which no event tells it of */
    assert_int_equal(tenure_cache_cached(k, S("need/a"), NEED(.min_revision = revision), &i, &err), TENURE_ESTALE);
    assert_non_null(strstr(err.text, "revision"));
    assert_int_equal(err.kind, TENURE_KIND_UNAVAILABLE);
    i = item(k, "need/a", NEED(.min_revision = revision));
    assert_true(i->revision >= revision);
    tenure_cache_item_free(i);
    assert_int_equal(tenure_cache_get(k, S("need/a"), NEED(.min_revision = revision + 1000), &i, &err), TENURE_EFUTURE);
    int64_t before = test_now();
    i = item(k, "need/a", NEED(.max_stale_ms = 1));
    assert_true(i->stale_ms <= test_now() - before + 3);
    int64_t was = i->stale_ms;
    tenure_cache_item_free(i);
    poll(NULL, 0, 5);
    assert_int_equal(tenure_cache_cached(k, S("need/a"), NEED(.max_stale_ms = 3), &i, &err), TENURE_ESTALE);
    assert_non_null(strstr(err.text, "3 ms"));
    no_error(tenure_cache_cached(k, S("need/a"), NEED(.max_stale_ms = 600000), &i, &err), &err);
    assert_true(i->stale_ms > was);
    tenure_cache_item_free(i);
    no_error(tenure_cache_wait(k, NEED(.linearizable = true), &err), &err);
    tenure_cache_close(k);
    tenure_close(c);
    tenure_close(other);
}

static void a_snapshot_stays_what_it_is(void **state)
{
    tenure_client *c = open_on(*state);
    put(c, "snap/a", "1");
    put(c, "snap/b", "2");
    tenure_cache *k = follow_prefix(c, "snap/");
    struct tenure_cache_list *l = list(k, "", NULL);
    struct tenure_cache_item *i = item(k, "snap/a", NULL);
    put(c, "snap/a", "3");
    erase(c, "snap/b");
    lists(list(k, "", NEED(.linearizable = true)), "snap/a=3");
    tenure_cache_close(k);
    tenure_close(c);
    lists(l, "snap/a=1 snap/b=2");
    holds(i, "snap/a", "1");
}

/* A transaction's keys are never seen apart, whoever reads when. */
struct pair {
    tenure_cache *k;
    atomic_int stop, torn, back, reads;
};

static void *read_pairs(void *user)
{
    struct pair *p = user;
    int64_t last = 0;
    while (!atomic_load(&p->stop)) {
        struct tenure_cache_list *l = NULL;
        if (tenure_cache_cached_list(p->k, S(""), NULL, &l, NULL))
            continue;
        atomic_fetch_add(&p->reads, 1);
        atomic_fetch_add(&p->torn, l->n != 2 || strcmp(l->kvs[0].value.data, l->kvs[1].value.data) != 0);
        atomic_fetch_add(&p->back, l->revision < last);
        last = l->revision;
        tenure_cache_list_free(l);
    }
    return NULL;
}

static void write_pair(tenure_client *c, int n)
{
    char text[16];
    struct tenure_error err = {0};
    snprintf(text, sizeof text, "%d", n);
    tenure_txn *t = tenure_txn_new(c);
    tenure_then_put(t, S("pair/a"), S(text), 0);
    tenure_then_put(t, S("pair/b"), S(text), 0);
    no_error(tenure_txn_commit(t, 20000, NULL, &err), &err);
    tenure_txn_free(t);
}

static void other_threads_read_whole_revisions(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    pthread_t threads[2];
    write_pair(other, 0);
    struct pair p = {.k = follow_prefix(c, "pair/")};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &p), 0);
    for (int i = 1; i <= 60; i++)
        write_pair(other, i);
    lists(list(p.k, "", NEED(.linearizable = true)), "pair/a=60 pair/b=60");
    atomic_store(&p.stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(p.torn, 0);
    assert_int_equal(p.back, 0);
    tenure_cache_close(p.k);
    tenure_close(c);
    tenure_close(other);
}

static void keys_lie_below_namespaces(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_client *ns = tenure_namespace(c, S("space/"), &err);
    put(c, "space/n/a", "1");
    put(c, "n/b", "2");
    tenure_cache *k = follow_prefix(ns, "n/"), *all = follow_prefix(ns, "");
    lists(list(k, "", NULL), "n/a=1");
    holds(item(k, "n/a", NULL), "n/a", "1");
    holds(item(k, "n/b", NULL), "n/b", NULL);
    lists(list(all, "", NULL), "n/a=1");
    tenure_cache_close(k);
    tenure_cache_close(all);
    tenure_close(c);
}

/* ---- kept for a time ---- */

static tenure_ttl_cache *keep(tenure_client *c, int64_t ttl_ms)
{
    struct tenure_error err = {0};
    struct tenure_ttl_cache_options o = {.size = sizeof o, .ttl_ms = ttl_ms};
    tenure_ttl_cache *k = tenure_ttl_cache_open(c, &o, &err);
    if (!k)
        fail_msg("%s", err.text);
    return k;
}

static struct tenure_cache_item *kept(tenure_ttl_cache *k, const char *key, const struct tenure_cache_need *need)
{
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    no_error(tenure_ttl_cache_get(k, S(key), need, &i, &err), &err);
    return i;
}

static void what_is_asked_for_is_kept_for_a_time(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    tenure_ttl_cache *k = keep(c, 600000);
    assert_int_equal(tenure_ttl_cache_cached(k, S("kept"), NULL, &i, &err), TENURE_EUNAVAILABLE);
    put(other, "kept", "1");
    holds(kept(k, "kept", NULL), "kept", "1");
    holds(kept(k, "absent", NULL), "absent", NULL);
    int64_t revision = write_at(other, "kept", "2");
    holds(kept(k, "kept", NULL), "kept", "1");
    no_error(tenure_ttl_cache_cached(k, S("kept"), NULL, &i, &err), &err);
    holds(i, "kept", "1");
    assert_int_equal(tenure_ttl_cache_cached(k, S("kept"), NEED(.min_revision = revision), &i, &err), TENURE_ESTALE);
    holds(kept(k, "kept", NEED(.min_revision = revision)), "kept", "2");
    put(other, "kept", "3");
    holds(kept(k, "kept", NEED(.linearizable = true)), "kept", "3");
    put(other, "kept", "4");
    poll(NULL, 0, 5);
    holds(kept(k, "kept", NEED(.max_stale_ms = 2)), "kept", "4");
    put(other, "kept", "5");
    no_error(tenure_ttl_cache_forget(k, S("kept"), &err), &err);
    holds(kept(k, "kept", NULL), "kept", "5");
    tenure_ttl_cache_close(k);
    tenure_ttl_cache *brief = keep(c, 1);
    holds(kept(brief, "kept", NULL), "kept", "5");
    put(other, "kept", "6");
    poll(NULL, 0, 5);
    assert_int_equal(tenure_ttl_cache_cached(brief, S("kept"), NULL, &i, &err), TENURE_EUNAVAILABLE);
    holds(kept(brief, "kept", NULL), "kept", "6");
    tenure_close(c); /* with the cache on it */
    tenure_close(other);
}

/* Of many threads that want one key one reads it. */
struct crowd {
    tenure_ttl_cache *k;
    atomic_int wrong;
};

static void *want_one(void *user)
{
    struct crowd *crowd = user;
    for (int i = 0; i < 200; i++) {
        struct tenure_cache_item *is = NULL;
        int rc = tenure_ttl_cache_get(crowd->k, S("crowd"), NEED(.max_stale_ms = i % 4 ? 0 : 1), &is, NULL);
        atomic_fetch_add(&crowd->wrong, rc != 0 || strcmp(is->kv.value.data, "x") != 0);
        tenure_cache_item_free(is);
    }
    return NULL;
}

static void many_threads_read_what_is_kept(void **state)
{
    tenure_client *c = open_on(*state);
    struct crowd crowd = {.k = keep(c, 5)};
    pthread_t threads[3];
    put(c, "crowd", "x");
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, want_one, &crowd), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.wrong, 0);
    tenure_ttl_cache_close(crowd.k);
    tenure_close(c);
}

/* ---- changes ---- */

struct told {
    char text[2048];
    atomic_int calls, wrong, ended, code;
    int64_t last;
};

static void say(struct told *t, const char *text)
{
    if (strlen(t->text) + strlen(text) < sizeof t->text)
        strcat(t->text, text);
}

static void on_change(tenure_cache *k, const struct tenure_cache_changes *all, void *user)
{
    struct told *t = user;
    struct tenure_cache_list *l = NULL;
    char text[200];
    bool fine = tenure_cache_cached_list(k, S(""), NULL, &l, NULL) == 0 && l->revision == all->revision &&
                all->revision > t->last && all->stale_ms > 0;
    tenure_cache_list_free(l);
    atomic_fetch_add(&t->wrong, !fine);
    t->last = all->revision;
    say(t, all->first ? "[" : ";");
    for (size_t i = 0; i < all->n; i++) {
        const struct tenure_cache_change *change = &all->changes[i];
        const struct tenure_kv *kv = change->now ? change->now : change->was;
        snprintf(text, sizeof text, " %s:%s>%s", (const char *)kv->key.data,
                 change->was ? (const char *)change->was->value.data : "",
                 change->now ? (const char *)change->now->value.data : "");
        say(t, text);
    }
    say(t, all->first ? " ]" : "");
    atomic_fetch_add(&t->calls, 1);
}

static void on_end(tenure_cache *k, int code, const struct tenure_error *err, void *user)
{
    struct told *t = user;
    (void)k;
    atomic_fetch_add(&t->wrong, err->code != code);
    atomic_store(&t->code, code);
    atomic_store(&t->ended, 1);
}

static tenure_cache *follow_told(tenure_client *c, const char *prefix, struct told *t, size_t keys_max)
{
    return follow(c, prefix,
                  (struct tenure_cache_options){
                      .prefix = true, .keys_max = keys_max, .on_change = on_change, .on_end = on_end, .user = t});
}

static void changes_are_told_and_show_at_the_descriptor(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct told t = {.calls = 0};
    put(other, "told/a", "1");
    tenure_cache *k = follow_told(c, "told/", &t, 0);
    struct pollfd fd = {.fd = tenure_cache_fd(k), .events = POLLIN};
    for (int i = 0; i < 4; i++) {
        uint64_t n;
        assert_int_equal(poll(&fd, 1, 20000), 1);
        assert_int_equal(read(fd.fd, &n, sizeof n), sizeof n);
        if (i == 0)
            put(other, "told/b", "2");
        if (i == 1)
            put(other, "told/a", "3");
        if (i == 2)
            erase(other, "told/b");
    }
    no_error(tenure_cache_wait(k, NEED(.linearizable = true), NULL), &(struct tenure_error){0});
    tenure_cache_close(k);
    put(other, "told/a", "after");
    tenure_close(other);
    tenure_close(c);
    assert_string_equal(t.text, "[ told/a:>1 ]; told/b:>2; told/a:1>3; told/b:2>");
    assert_int_equal(t.wrong, 0);
    assert_int_equal(t.ended, 0);
}

static void too_many_keys_end_it_clearly(void **state)
{
    tenure_client *c = open_on(*state);
    struct told t = {.calls = 0};
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    put(c, "many/1", "x");
    put(c, "many/2", "x");
    tenure_cache *k = follow_told(c, "many/", &t, 3);
    holds(item(k, "many/1", NULL), "many/1", "x");
    put(c, "many/3", "x");
    put(c, "many/4", "x");
    await_flag(&t.ended);
    assert_int_equal(t.code, TENURE_ELIMIT);
    assert_int_equal(tenure_cache_cached(k, S("many/1"), NULL, &i, &err), TENURE_ELIMIT);
    assert_non_null(strstr(err.text, "more than 3 keys"));
    assert_int_equal(tenure_cache_get(k, S("many/1"), NULL, &i, &err), TENURE_ELIMIT);
    tenure_cache_close(k);
    tenure_close(c);
}

/* ---- losses ---- */

struct expected {
    tenure_cache *k;
    const char *key, *value;
};

static bool copy_is(void *user)
{
    struct expected *e = user;
    struct tenure_cache_item *i = NULL;
    if (tenure_cache_cached(e->k, S(e->key), NULL, &i, NULL))
        return false;
    bool is = e->value ? i->exists && strcmp(i->kv.value.data, e->value) == 0 : !i->exists;
    tenure_cache_item_free(i);
    return is;
}

static void a_bound_that_cannot_be_kept_is_not_served_by_an_old_copy(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct tenure_error err = {0};
    struct tenure_cache_item *i = NULL;
    tenure_client *c = tenure_open(proxy_url(p), NULL, &err);
    put(c, "bound/a", "1");
    tenure_cache *k = follow_prefix(c, "bound/");
    holds(item(k, "bound/a", NEED(.linearizable = true)), "bound/a", "1");
    proxy_set(p, PROXY_HALF_OPEN);
    int64_t cut_at = test_now();
    struct tenure_cache_need need = {.size = sizeof need, .linearizable = true, .timeout_ms = 150};
    assert_int_equal(tenure_cache_get(k, S("bound/a"), &need, &i, &err), TENURE_ETIMEOUT);
    assert_true(test_now() - cut_at >= 150);
    need = (struct tenure_cache_need){.size = sizeof need, .max_stale_ms = 100, .timeout_ms = 50};
    assert_int_equal(tenure_cache_get(k, S("bound/a"), &need, &i, &err), TENURE_ETIMEOUT);
    assert_int_equal(tenure_cache_cached(k, S("bound/a"), &need, &i, &err), TENURE_ESTALE);
    no_error(tenure_cache_cached(k, S("bound/a"), NULL, &i, &err), &err);
    assert_true(i->stale_ms >= test_now() - cut_at);
    holds(i, "bound/a", "1");
    tenure_cache_close(k);
    proxy_set(p, PROXY_PASS);
    tenure_close(c);
    proxy_free(p);
}

/* No update is missed, none told twice, over kills and a compaction in between. */
static void it_goes_on_over_kills_and_compactions(void **state)
{
    struct server *s = server_start();
    tenure_client *c = open_on(s), *other = open_on(s);
    struct told t = {.calls = 0};
    struct tenure_error err = {0};
    char wanted[16] = "";
    (void)state;
    tenure_cache *k = follow_told(c, "kill/", &t, 0);
    no_error(tenure_cache_wait(k, NEED(.linearizable = true), &err), &err);
    for (int round = 0; round < 2; round++) {
        snprintf(wanted, sizeof wanted, "%d", round);
        put(other, "kill/a", "between");
        int64_t at = write_at(other, "kill/a", wanted);
        if (round % 2)
            no_error(tenure_compact(other, at, false, 0, &err), &err);
        server_kill(s);
        struct tenure_cache_item *i = NULL;
        no_error(tenure_cache_cached(k, S("kill/a"), NULL, &i, &err), &err);
        tenure_cache_item_free(i);
        server_restart(s);
        assert_true(test_await(copy_is, &(struct expected){k, "kill/a", wanted}));
    }
    holds(item(k, "kill/a", NEED(.linearizable = true)), "kill/a", wanted);
    assert_int_equal(t.wrong, 0);
    tenure_cache_close(k);
    tenure_close(c);
    tenure_close(other);
    server_free(s);
}

/* By the member that a proxy before all of them leads to; another one may have been asked for the compaction. */
static void is_compacted_behind_the_proxy(const struct server *s, int64_t revision)
{
    const char *comma = strrchr(server_url(s), ',');
    struct tenure_error err = {0};
    struct tenure_get_options o = {.size = sizeof o, .revision = revision - 1};
    tenure_client *c = tenure_open(comma ? comma + 1 : server_url(s), NULL, &err);
    assert_int_equal(tenure_get(c, S("away/a"), &o, NULL, &err), TENURE_ECOMPACTED);
    tenure_close(c);
}

static void what_was_compacted_while_it_was_away_is_told_as_the_difference(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct tenure_error err = {0};
    struct told t = {.calls = 0};
    tenure_client *c = tenure_open(proxy_url(p), NULL, &err), *other = open_on(*state);
    put(other, "away/a", "1");
    put(other, "away/b", "1");
    tenure_cache *k = follow_told(c, "away/", &t, 0);
    lists(list(k, "", NEED(.linearizable = true)), "away/a=1 away/b=1");
    proxy_set(p, PROXY_REFUSE);
    proxy_drop(p);
    put(other, "away/a", "2");
    erase(other, "away/b");
    put(other, "away/c", "x");
    int64_t revision = write_at(other, "away/c", "3");
    no_error(tenure_compact(other, revision, true, 0, &err), &err);
    is_compacted_behind_the_proxy(*state, revision);
    proxy_set(p, PROXY_PASS);
    assert_true(test_await(copy_is, &(struct expected){k, "away/c", "3"}));
    lists(list(k, "", NEED(.linearizable = true)), "away/a=2 away/c=3");
    tenure_cache_close(k);
    tenure_close(c);
    tenure_close(other);
    proxy_free(p);
    assert_string_equal(t.text, "[ away/a:>1 away/b:>1 ]; away/a:1>2 away/b:1> away/c:>3");
    assert_int_equal(t.wrong, 0);
}

/* ---- scopes and closing ---- */

struct ending {
    atomic_int done;
    int code;
    struct tenure_cache_item *item;
};

static void on_item(void *user, int code, struct tenure_cache_item *i, const struct tenure_error *err)
{
    struct ending *e = user;
    (void)err;
    e->code = code;
    e->item = i;
    atomic_store(&e->done, 1);
}

static void reads_that_wait_can_be_given_up(void **state)
{
    struct server *s = server_start();
    tenure_client *c = open_on(s);
    struct tenure_error err = {0};
    (void)state;
    tenure_cache *k = follow_prefix(c, "given/");
    no_error(tenure_cache_wait(k, NULL, &err), &err);
    server_pause(s);
    struct ending cancelled = {0}, closed = {0};
    tenure_scope *scope = tenure_scope_new(NULL, &err), *before = tenure_scope_use(scope);
    no_error(tenure_cache_get_start(k, S("given/up"), NEED(.linearizable = true), on_item, &cancelled, &err), &err);
    tenure_scope_cancel(scope);
    struct tenure_cache_item *none = NULL;
    assert_int_equal(tenure_cache_get(k, S("given/up"), NULL, &none, &err), TENURE_ECANCELLED);
    tenure_scope_use(before);
    await_flag(&cancelled.done);
    assert_int_equal(cancelled.code, TENURE_ECANCELLED);
    assert_null(cancelled.item);
    no_error(tenure_cache_get_start(k, S("given/up"), NEED(.linearizable = true), on_item, &closed, &err), &err);
    tenure_cache_close(k);
    await_flag(&closed.done);
    assert_int_equal(closed.code, TENURE_ECLOSED);
    tenure_scope_free(scope);
    server_resume(s);
    tenure_close(c);
    server_free(s);
}

static void a_handle_that_closes_ends_its_caches(void **state)
{
    tenure_client *c = open_on(*state);
    struct told t = {.calls = 0};
    struct ending waiting = {0};
    tenure_cache *k = follow_told(c, "ends/", &t, 0);
    assert_int_equal(tenure_cache_get_start(k, S("ends/a"), NEED(.linearizable = true), on_item, &waiting, NULL), 0);
    tenure_close(c);
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.code, TENURE_ECLOSED);
    assert_int_equal(waiting.done, 1);
    tenure_cache_item_free(waiting.item);
}

/* ---- the other ways in ---- */

struct flow {
    tenure_cache *k;
    tenure_ttl_cache *ttl;
    struct ending first, second;
    atomic_int lists, waits;
    int code;
};

static void on_list(void *user, int code, struct tenure_cache_list *l, const struct tenure_error *err)
{
    struct flow *f = user;
    (void)err;
    f->code = code;
    if (code == 0)
        lists(l, "flow/a=1");
    atomic_store(&f->lists, 1);
}

static void on_wait(void *user, int code, const struct tenure_error *err)
{
    struct flow *f = user;
    (void)err;
    f->code = code;
    atomic_store(&f->waits, 1);
}

static void flow_begin(struct flow *f, tenure_client *c)
{
    struct tenure_error err = {0};
    f->k = follow_prefix(c, "flow/");
    no_error(tenure_cache_get_start(f->k, S("flow/a"), NULL, on_item, &f->first, &err), &err);
    no_error(tenure_cache_list_start(f->k, S(""), NEED(.max_stale_ms = 1000), on_list, f, &err), &err);
    no_error(tenure_cache_wait_start(f->k, NEED(.linearizable = true), on_wait, f, &err), &err);
    f->ttl = keep(c, 0);
    no_error(tenure_ttl_cache_get_start(f->ttl, S("flow/a"), NULL, on_item, &f->second, &err), &err);
    struct tenure_cache_item *none = NULL;
    assert_int_equal(tenure_cache_cached(f->k, S("flow/a"), NULL, &none, &err), TENURE_EUNAVAILABLE);
}

static bool flow_is_over(const struct flow *f)
{
    return f->first.done && f->second.done && f->lists && f->waits;
}

static void flow_end(struct flow *f)
{
    assert_int_equal(f->first.code, 0);
    holds(f->first.item, "flow/a", "1");
    assert_int_equal(f->code, 0);
    holds(f->second.item, "flow/a", "1");
    tenure_cache_close(f->k);
    tenure_ttl_cache_close(f->ttl);
}

static void closed(void *user)
{
    *(int *)user = 1;
}

static void it_works_on_libuv(void **state)
{
    uv_loop_t loop;
    struct flow f = {.code = 0};
    struct tenure_error err = {0};
    int is_closed = 0;
    tenure_client *other = open_on(*state);
    put(other, "flow/a", "1");
    assert_int_equal(uv_loop_init(&loop), 0);
    tenure_client *c = tenure_open_uv(&loop, server_url(*state), NULL, &err);
    assert_non_null(c);
    flow_begin(&f, c);
    while (!flow_is_over(&f))
        uv_run(&loop, UV_RUN_ONCE);
    flow_end(&f);
    tenure_close_start(c, closed, &is_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(is_closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    tenure_close(other);
}

static void it_works_on_a_foreign_loop(void **state)
{
    struct flow f = {.code = 0};
    struct tenure_error err = {0};
    tenure_client *other = open_on(*state);
    put(other, "flow/a", "1");
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, &err);
    assert_non_null(c);
    flow_begin(&f, c);
    while (!flow_is_over(&f)) {
        struct pollfd fd = {.fd = tenure_fd(c), .events = POLLIN};
        poll(&fd, 1, (int)tenure_timeout_ms(c));
        tenure_turn(c);
    }
    flow_end(&f);
    tenure_close(c);
    tenure_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_a_prefix_are_followed),
        cmocka_unit_test(a_single_key_is_followed_alone),
        cmocka_unit_test(what_is_not_followed_is_refused),
        cmocka_unit_test(what_is_needed_holds_or_is_refused),
        cmocka_unit_test(a_snapshot_stays_what_it_is),
        cmocka_unit_test(other_threads_read_whole_revisions),
        cmocka_unit_test(keys_lie_below_namespaces),
        cmocka_unit_test(what_is_asked_for_is_kept_for_a_time),
        cmocka_unit_test(many_threads_read_what_is_kept),
        cmocka_unit_test(changes_are_told_and_show_at_the_descriptor),
        cmocka_unit_test(too_many_keys_end_it_clearly),
        cmocka_unit_test(a_bound_that_cannot_be_kept_is_not_served_by_an_old_copy),
        cmocka_unit_test(it_goes_on_over_kills_and_compactions),
        cmocka_unit_test(what_was_compacted_while_it_was_away_is_told_as_the_difference),
        cmocka_unit_test(reads_that_wait_can_be_given_up),
        cmocka_unit_test(a_handle_that_closes_ends_its_caches),
        cmocka_unit_test(it_works_on_libuv),
        cmocka_unit_test(it_works_on_a_foreign_loop),
    };
    return cmocka_run_group_tests_name("caches", tests, setup_server, teardown_server);
}
