/* Configuration on a real server: layers, views over kills and compactions, writes with history. */
#include "lib.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tenure_config_options in_prod(void)
{
    return (struct tenure_config_options){
        .size = sizeof(struct tenure_config_options), .environment = "prod", .service = "billing", .instance = "b-1"};
}

static int64_t set_in(tenure_client *c, const char *key, const char *value, enum tenure_config_layer layer)
{
    struct tenure_error err = {0};
    struct tenure_config_options o = in_prod();
    int64_t revision = 0;
    no_error(tenure_config_set(c, key, value, layer, 0, &o, &revision, &err), &err);
    return revision;
}

static int64_t set(tenure_client *c, const char *key, const char *value)
{
    return set_in(c, key, value, TENURE_CONFIG_DEFAULT);
}

static void is_value(const char *wanted, char *value)
{
    assert_non_null(value);
    assert_string_equal(value, wanted);
    free(value);
}

static tenure_config *open_view_with(tenure_client *c, const char *keys, const struct tenure_config_options *o)
{
    struct tenure_error err = {0};
    tenure_config *v = tenure_config_open(c, keys, o, &err);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

/* ---- values ---- */

static void a_value_is_read_and_a_default_where_there_is_none(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    set(c, "one/db-url", "postgres://db/x");
    is_value("postgres://db/x", tenure_config_get(c, "one/db-url", "none", &err));
    assert_int_equal(err.code, 0);
    is_value("none", tenure_config_get(c, "one/other", "none", &err));
    assert_int_equal(err.code, 0);
    is_value("none", tenure_config_get(c, "one//x", "none", &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    is_value("postgres://db/x", get(c, "/config/one/db-url")); /* as programs in other languages see it */
    tenure_close(c);
}

static void the_highest_layer_wins_and_all_are_told(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_config_options o = in_prod();
    struct tenure_config_list *list = NULL;
    set_in(c, "layers/a", "default", TENURE_CONFIG_DEFAULT);
    set_in(c, "layers/a", "prod", TENURE_CONFIG_ENVIRONMENT);
    set_in(c, "layers/a", "b-1", TENURE_CONFIG_INSTANCE);
    set_in(c, "layers/b", "billing", TENURE_CONFIG_SERVICE);
    no_error(tenure_config_read(c, "layers/", &o, &list, &err), &err);
    assert_int_equal(list->n, 2);
    const struct tenure_config_entry *a = tenure_config_find(list, "layers/a");
    assert_string_equal(a->value, "b-1");
    assert_int_equal(a->layer, TENURE_CONFIG_INSTANCE);
    assert_int_equal(a->n_layers, 3);
    assert_string_equal(a->layers[0].value, "default");
    assert_string_equal(a->layers[1].value, "prod");
    assert_true(a->revision > a->layers[1].revision);
    tenure_config_list_free(list);
    o.layers = 1u << TENURE_CONFIG_ENVIRONMENT;
    no_error(tenure_config_read(c, "layers/", &o, &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_string_equal(list->entries[0].value, "prod");
    tenure_config_list_free(list);
    o = (struct tenure_config_options){.size = sizeof o};
    no_error(tenure_config_read(c, "", &o, &list, &err), &err); /* everything, but what the layers' keys are */
    a = tenure_config_find(list, "layers/a");
    assert_string_equal(a->value, "default");
    for (size_t i = 0; i < list->n; i++)
        assert_null(strchr(list->entries[i].key, '@'));
    tenure_config_list_free(list);
    assert_int_equal(tenure_config_set(c, "layers/a", "x", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_config_set(c, "@env/x", "x", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "@"));
    tenure_close(c);
}

static void values_have_types(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    set(c, "types/int", "-12");
    set(c, "types/float", "2.5e3");
    set(c, "types/bool", "Yes");
    set(c, "types/time", "1m30s");
    set(c, "types/size", "1.5KiB");
    set(c, "types/json", "{\"a\": [1, 2]}");
    set(c, "types/word", "many");
    tenure_config *v = open_view_with(c, "types/", NULL);
    assert_int_equal(tenure_config_int(v, "types/int", 1, &err), -12);
    assert_true(tenure_config_float(v, "types/float", 1, &err) == 2500);
    assert_true(tenure_config_bool(v, "types/bool", false, &err));
    assert_int_equal(tenure_config_duration_ms(v, "types/time", 1, &err), 90000);
    assert_int_equal(tenure_config_size_bytes(v, "types/size", 1, &err), 1536);
    is_value("{\"a\": [1, 2]}", tenure_config_json(v, "types/json", NULL, &err));
    assert_int_equal(err.code, 0);
    assert_int_equal(tenure_config_int(v, "types/none", 7, &err), 7);
    assert_int_equal(err.code, 0);
    assert_int_equal(tenure_config_int(v, "types/word", 7, &err), 7);
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_non_null(strstr(err.text, "\"types/word\" is \"many\", not a whole number"));
    assert_null(tenure_config_json(v, "types/word", NULL, &err));
    assert_int_equal(tenure_config_duration_ms(v, "types/int", 7, &err), 7);
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_config_close(v);
    tenure_close(c);
}

/* ---- views ---- */

struct seen {
    pthread_mutex_t mutex;
    char last[256], all[65536];
    size_t len;
    int64_t revision;
    atomic_int states, wrong, current, stale, good, ended;
    struct tenure_error why;
};

static struct seen *seen_new(void)
{
    struct seen *s = calloc(1, sizeof *s);
    pthread_mutex_init(&s->mutex, NULL);
    return s;
}

static void on_change(tenure_config *v, int64_t revision, const struct tenure_config_change *changes, size_t n,
                      void *user)
{
    struct seen *s = user;
    (void)v;
    pthread_mutex_lock(&s->mutex);
    atomic_fetch_add(&s->states, 1);
    if (revision <= s->revision || (n == 0 && s->revision > 0))
        atomic_fetch_add(&s->wrong, 1);
    s->revision = revision;
    for (size_t i = 0; i < n; i++) {
        const struct tenure_config_change *ch = &changes[i];
        snprintf(s->last, sizeof s->last, "%s:%.60s>%.60s ", ch->key, ch->was ? ch->was->value : "-",
                 ch->now ? ch->now->value : "-");
        if (s->len + strlen(s->last) + 3 < sizeof s->all)
            s->len += (size_t)snprintf(s->all + s->len, sizeof s->all - s->len, "%s", s->last);
    }
    s->len += (size_t)snprintf(s->all + s->len, sizeof s->all - s->len, "; ");
    pthread_mutex_unlock(&s->mutex);
}

static void on_state(tenure_config *v, enum tenure_config_state now, const struct tenure_error *err, void *user)
{
    struct seen *s = user;
    (void)v;
    if (err)
        s->why = *err;
    atomic_int *const counts[] = {&s->wrong, &s->current, &s->stale, &s->good, &s->ended};
    atomic_fetch_add(counts[now], 1);
}

static struct tenure_config_options watched(struct seen *s)
{
    struct tenure_config_options o = in_prod();
    o.on_change = on_change;
    o.on_state = on_state;
    o.user = s;
    return o;
}

struct wanted {
    struct seen *s;
    const char *text;
};

static bool has_text(void *user)
{
    struct wanted *w = user;
    pthread_mutex_lock(&w->s->mutex);
    bool has = strstr(w->s->all, w->text) != NULL;
    pthread_mutex_unlock(&w->s->mutex);
    return has;
}

static void await_text(struct seen *s, const char *text)
{
    struct wanted w = {s, text};
    if (!test_await(has_text, &w))
        fail_msg("'%s' did not come; there was '%s'", text, s->all);
}

static void a_view_tells_the_first_state_and_then_each_one_once(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    set(c, "view/a", "1");
    set_in(c, "view/b", "2", TENURE_CONFIG_SERVICE);
    tenure_config *v = open_view_with(c, "view/", &o);
    assert_int_equal(tenure_config_state(v), TENURE_CONFIG_CURRENT);
    assert_int_equal(tenure_config_stale_ms(v), 0);
    await_text(s, "view/a:->1 view/b:->2 ; ");
    set_in(c, "view/a", "3", TENURE_CONFIG_ENVIRONMENT);
    await_text(s, "view/a:1>3 ; ");
    set(c, "view/a", "4");                            /* overridden: nothing to tell */
    set_in(c, "view/b", "2", TENURE_CONFIG_INSTANCE); /* the same value from above */
    struct tenure_config_write both[] = {{.key = "view/a", .value = "5", .layer = TENURE_CONFIG_INSTANCE},
                                         {.key = "view/b", .layer = TENURE_CONFIG_INSTANCE},
                                         {.key = "view/b", .value = "6", .layer = TENURE_CONFIG_SERVICE},
                                         {.key = "view/c", .value = "7"}};
    int64_t revision = 0;
    no_error(tenure_config_apply(c, both, 4, &o, &revision, &err), &err);
    no_error(tenure_config_wait(v, revision - 1, 20000, &err), &err);
    assert_int_equal(tenure_config_revision(v), revision);
    is_value("6", tenure_config_string(v, "view/b", NULL, &err));
    await_text(s, "7 ; ");
    assert_string_equal(s->all, "view/a:->1 view/b:->2 ; view/a:1>3 ; view/a:3>5 view/b:2>6 view/c:->7 ; ");
    assert_int_equal(tenure_config_wait(v, revision, 50, &err), TENURE_ETIMEOUT);
    assert_int_equal(atomic_load(&s->wrong), 0);
    tenure_config_close(v);
    tenure_close(c);
    free(s);
}

static void the_global_layer_shows_where_the_region_says_nothing(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    struct tenure_config_list *list = NULL;
    set_in(c, "global/a", "all", TENURE_CONFIG_GLOBAL);
    is_value("all", get(c, "/config/@global/global/a"));
    no_error(tenure_config_read(c, "global/", &o, &list, &err), &err);
    assert_int_equal(list->n, 0); /* nobody asked for it */
    tenure_config_list_free(list);
    o.global = 1;
    tenure_config *v = open_view_with(c, "global/", &o);
    await_text(s, "global/a:->all ; ");
    set(c, "global/a", "here");
    await_text(s, "global/a:all>here ; ");
    set_in(c, "global/a", "all 2", TENURE_CONFIG_GLOBAL); /* overridden */
    no_error(tenure_config_delete(c, "global/a", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), &err);
    await_text(s, "global/a:here>all 2 ; ");
    struct tenure_config_write both[] = {{.key = "global/a", .layer = TENURE_CONFIG_GLOBAL},
                                         {.key = "global/a", .value = "here 2"}};
    no_error(tenure_config_apply(c, both, 2, &o, NULL, &err), &err);
    await_text(s, "here 2 ; ");
    assert_string_equal(s->all, "global/a:->all ; global/a:all>here ; global/a:here>all 2 ; global/a:all 2>here 2 ; ");
    tenure_config_close(v);
    tenure_close(c);
    free(s);
}

static void the_global_layer_is_written_at_its_home_alone(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    no_error(tenure_region_init(c, "eu", &err), &err);
    no_error(tenure_home_put(c, "/config/@global/", "us", 1, &err), &err);
    assert_int_equal(tenure_config_set(c, "homes/a", "1", TENURE_CONFIG_GLOBAL, 0, NULL, NULL, &err), TENURE_ECONFLICT);
    assert_non_null(strstr(err.text, "has its home in region 'us' (epoch 1), and this is 'eu'"));
    set(c, "homes/a", "0"); /* of this region */
    no_error(tenure_home_put(c, "/config/@global/", "eu", 2, &err), &err);
    set_in(c, "homes/a", "1", TENURE_CONFIG_GLOBAL);
    no_error(tenure_home_put(c, "/config/@global/homes/", "us", 1, &err), &err);
    struct tenure_config_write two[] = {{.key = "homes/a", .value = "2", .layer = TENURE_CONFIG_GLOBAL},
                                        {.key = "others/a", .value = "2", .layer = TENURE_CONFIG_GLOBAL}};
    assert_int_equal(tenure_config_apply(c, two, 2, NULL, NULL, &err), TENURE_ECONFLICT);
    no_error(tenure_config_apply(c, two + 1, 1, NULL, NULL, &err), &err);
    struct tenure_delete_result *r = NULL; /* as no program does it: the other tests' writes have no home again */
    struct tenure_delete_options all = {.size = sizeof all, .prefix = true};
    no_error(tenure_delete(c, S("/federation/"), &all, &r, &err), &err);
    tenure_delete_free(r);
    tenure_close(c);
}

static void a_descriptor_tells_of_changes(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_config *v = open_view_with(c, "fd/", NULL);
    struct pollfd p = {.fd = tenure_config_fd(v), .events = POLLIN};
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 0), 1); /* the first state */
    assert_true(tenure_config_changed(v));
    assert_false(tenure_config_changed(v));
    assert_int_equal(poll(&p, 1, 0), 0);
    set(c, "fd/a", "1");
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_true(tenure_config_changed(v));
    tenure_config_close(v);
    tenure_close(c);
}

static bool is_current(void *v)
{
    return tenure_config_state(v) == TENURE_CONFIG_CURRENT;
}
static bool is_stale(void *v)
{
    return tenure_config_state(v) == TENURE_CONFIG_STALE;
}

static void a_view_says_that_it_is_stale_and_finds_what_it_missed(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server), *other = NULL;
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    set(c, "stale/a", "1");
    set(c, "stale/b", "1");
    tenure_config *v = open_view_with(c, "stale/", &o);
    server_kill(server);
    assert_true(test_await(is_stale, v));
    is_value("1", tenure_config_string(v, "stale/a", NULL, &err));
    assert_true(tenure_config_stale_ms(v) >= 0);
    server_restart(server);
    other = open_on(server);
    set(other, "stale/a", "2");
    await_text(s, "stale/a:1>2 ; ");
    assert_true(test_await(is_current, v));
    assert_int_equal(atomic_load(&s->wrong), 0);
    tenure_close(other);
    tenure_config_close(v);
    tenure_close(c);
    free(s);
}

static int64_t revision_of(tenure_client *c, const char *key)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S(key), NULL, &r, &err), &err);
    int64_t revision = r->revision;
    tenure_get_free(r);
    return revision;
}

/* How often the server is killed: KILLS in the environment, for longer runs. */
static int kills(void)
{
    const char *n = getenv("KILLS");
    return n ? atoi(n) : 3;
}

/* Half of what was written comes while the watcher's servers are gone, and is compacted away before they are back. */
static void a_watcher_through_kills_and_compactions_sees_the_last_state_and_none_twice_W16(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    char value[32], wanted[64];
    set(c, "kills/a", "start");
    tenure_config *v = open_view_with(c, "kills/", &o);
    for (int i = 0; i < kills(); i++) {
        server_kill(server);
        server_restart(server);
        tenure_client *other = open_on(server);
        for (int j = 0; j < 3; j++) {
            snprintf(value, sizeof value, "%d.%d", i, j);
            struct tenure_config_write w[] = {{.key = "kills/a", .value = value},
                                              {.key = "kills/b", .value = value, .layer = TENURE_CONFIG_ENVIRONMENT}};
            no_error(tenure_config_apply(other, w, 2, &o, NULL, &err), &err);
        }
        no_error(tenure_compact(other, revision_of(other, "/config/kills/a"), true, 0, &err), &err);
        tenure_close(other);
        snprintf(wanted, sizeof wanted, ">%d.2 ; ", i);
        await_text(s, wanted);
        /* Both keys of a transaction change together. */
        char *a = tenure_config_string(v, "kills/a", NULL, &err), *b = tenure_config_string(v, "kills/b", NULL, &err);
        assert_string_equal(a, value);
        assert_string_equal(b, value);
        free(a);
        free(b);
        pthread_mutex_lock(&s->mutex);
        s->len = 0;
        s->all[0] = 0;
        pthread_mutex_unlock(&s->mutex);
    }
    assert_int_equal(atomic_load(&s->wrong), 0);
    assert_int_equal(atomic_load(&s->ended), 0);
    assert_true(test_await(is_current, v));
    tenure_config_close(v);
    tenure_close(c);
    free(s);
}

static void a_close_of_the_handle_ends_views(void **state)
{
    tenure_client *c = open_on(*state);
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    open_view_with(c, "closed/", &o);
    tenure_close(c);
    assert_int_equal(atomic_load(&s->wrong), 0);
    free(s);
}

static void a_view_on_a_namespace_is_below_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_client *ns = tenure_namespace(c, S("app1/"), &err);
    assert_non_null(ns);
    set(ns, "ns/a", "inside");
    set(c, "ns/a", "outside");
    tenure_config *v = open_view_with(ns, "ns/", NULL);
    is_value("inside", tenure_config_string(v, "ns/a", NULL, &err));
    is_value("inside", get(c, "app1//config/ns/a"));
    tenure_config_close(v);
    tenure_close(ns);
    tenure_close(c);
}

static void nobody_there_is_an_error_in_time(void **state)
{
    char url[64];
    struct tenure_error err = {0};
    (void)state;
    snprintf(url, sizeof url, "127.0.0.1:%u", port_unused());
    tenure_client *c = tenure_open(url, NULL, &err);
    struct tenure_config_options o = {.size = sizeof o, .timeout_ms = 200};
    assert_null(tenure_config_open(c, "x/", &o, &err));
    assert_int_equal(err.code, TENURE_EUNAVAILABLE);
    tenure_scope *scope = tenure_scope_new(NULL, &err);
    tenure_scope_cancel(scope);
    tenure_scope_use(scope);
    assert_null(tenure_config_open(c, "x/", NULL, &err));
    assert_int_equal(err.code, TENURE_ECANCELLED);
    tenure_scope_use(NULL);
    tenure_scope_free(scope);
    tenure_close(c);
}

/* ---- writing ---- */

static void a_write_may_ask_what_it_replaces(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t first = 0;
    no_error(tenure_config_set(c, "cas/a", "1", TENURE_CONFIG_DEFAULT, -1, NULL, &first, &err), &err);
    assert_int_equal(tenure_config_set(c, "cas/a", "2", TENURE_CONFIG_DEFAULT, -1, NULL, NULL, &err), TENURE_ECONFLICT);
    no_error(tenure_config_set(c, "cas/a", "2", TENURE_CONFIG_DEFAULT, first, NULL, NULL, &err), &err);
    assert_int_equal(tenure_config_set(c, "cas/a", "3", TENURE_CONFIG_DEFAULT, first, NULL, NULL, &err),
                     TENURE_ECONFLICT);
    assert_non_null(strstr(err.text, "\"cas/a\" was changed"));
    struct tenure_config_write two[] = {{.key = "cas/b", .value = "1"},
                                        {.key = "cas/a", .value = "9", .if_revision = 1}};
    assert_int_equal(tenure_config_apply(c, two, 2, NULL, NULL, &err), TENURE_ECONFLICT);
    assert_null(tenure_config_get(c, "cas/b", NULL, &err)); /* all or none */
    no_error(tenure_config_delete(c, "cas/a", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err), &err);
    assert_int_equal(tenure_config_delete(c, "cas/a", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err), TENURE_ENOTFOUND);
    tenure_close(c);
}

static void as_many_keys_as_are_allowed_fit_into_one_transaction(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    static char keys[TENURE_CONFIG_WRITES_MAX + 1][32];
    struct tenure_config_write w[TENURE_CONFIG_WRITES_MAX + 1] = {0};
    struct tenure_config_list *list = NULL;
    struct tenure_config_options o = {.size = sizeof o, .history = 1};
    for (int i = 0; i <= TENURE_CONFIG_WRITES_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "many/%03d", i);
        w[i] = (struct tenure_config_write){.key = keys[i], .value = "x"};
    }
    no_error(tenure_config_apply(c, w, TENURE_CONFIG_WRITES_MAX, &o, NULL, &err), &err);
    for (int i = 0; i < TENURE_CONFIG_WRITES_MAX; i++)
        w[i].value = "y";
    no_error(tenure_config_apply(c, w, TENURE_CONFIG_WRITES_MAX, &o, NULL, &err), &err);
    assert_int_equal(tenure_config_apply(c, w, TENURE_CONFIG_WRITES_MAX + 1, &o, NULL, &err), TENURE_ELIMIT);
    no_error(tenure_config_read(c, "many/", NULL, &list, &err), &err);
    assert_int_equal(list->n, TENURE_CONFIG_WRITES_MAX);
    assert_string_equal(list->entries[59].value, "y");
    tenure_config_list_free(list);
    tenure_close(c);
}

static struct tenure_config_versions *history(tenure_client *c, const char *key)
{
    struct tenure_error err = {0};
    struct tenure_config_versions *v = NULL;
    no_error(tenure_config_history(c, key, TENURE_CONFIG_DEFAULT, NULL, &v, &err), &err);
    return v;
}

static void versions_are_kept_with_who_and_when_and_can_be_gone_back_to(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_config_options o = {.size = sizeof o, .who = "ann@db-1", .comment = "more", .history = 3};
    no_error(tenure_config_set(c, "past/a", "1", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), &err);
    no_error(tenure_config_set(c, "past/a", "2", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), &err);
    no_error(tenure_config_set(c, "past/a", "2", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), &err); /* nothing new */
    put(c, "/config/past/a", "by hand");
    put(c, "/config-history/past/a/@/junk", "{}");
    put(c, "/config-history/past/a/@/0000000000000000", "{");
    struct tenure_config_versions *v = history(c, "past/a");
    assert_int_equal(v->n, 3);
    assert_string_equal(v->versions[0].value, "by hand");
    assert_true(v->versions[0].is_current);
    assert_int_equal(v->versions[0].version, 3);
    assert_string_equal(v->versions[1].value, "2");
    assert_string_equal(v->versions[1].who, "ann@db-1");
    assert_string_equal(v->versions[1].comment, "more");
    assert_true(v->versions[1].at_ms > 1500000000000);
    assert_false(v->versions[1].is_current);
    tenure_config_versions_free(v);
    no_error(tenure_config_delete(c, "past/a", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err), &err);
    v = history(c, "past/a"); /* "2", by hand, deleted: three are kept */
    assert_int_equal(v->n, 3);
    assert_null(v->versions[0].value);
    assert_int_equal(v->versions[0].version, 4);
    assert_string_equal(v->versions[1].value, "by hand");
    assert_string_equal(v->versions[2].value, "2");
    tenure_config_versions_free(v);
    int64_t revision = 0;
    no_error(tenure_config_rollback(c, "past/a", TENURE_CONFIG_DEFAULT, 2, 0, NULL, &revision, &err), &err);
    is_value("2", tenure_config_get(c, "past/a", NULL, &err));
    v = history(c, "past/a");
    assert_string_equal(v->versions[0].comment, "rollback to version 2");
    assert_int_equal(v->versions[0].revision, revision);
    tenure_config_versions_free(v);
    assert_int_equal(tenure_config_rollback(c, "past/a", TENURE_CONFIG_DEFAULT, 1, 0, NULL, NULL, &err),
                     TENURE_ENOTFOUND);
    assert_int_equal(tenure_config_rollback(c, "past/a", TENURE_CONFIG_DEFAULT, 3, 1, NULL, NULL, &err),
                     TENURE_ECONFLICT);
    no_error(tenure_compact(c, revision, true, 0, &err), &err);
    v = history(c, "past/a");  /* no matter what is compacted */
    assert_int_equal(v->n, 4); /* 20 are kept by default */
    tenure_config_versions_free(v);
    tenure_close(c);
}

static void bytes_that_are_no_text_are_kept_too(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_config_write w = {.key = "raw/a", .value = "a\0\xff", .value_len = 3};
    no_error(tenure_config_apply(c, &w, 1, NULL, NULL, &err), &err);
    set(c, "raw/a", "text");
    no_error(tenure_config_rollback(c, "raw/a", TENURE_CONFIG_DEFAULT, 1, 0, NULL, NULL, &err), &err);
    struct tenure_config_list *list = NULL;
    no_error(tenure_config_read(c, "raw/a", NULL, &list, &err), &err);
    assert_int_equal(list->entries[0].value_len, 3);
    assert_memory_equal(list->entries[0].value, "a\0\xff", 3);
    tenure_config_list_free(list);
    tenure_close(c);
}

static void an_old_revision_can_be_compared_with_the_present(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_config_list *old = NULL, *now = NULL;
    struct tenure_config_differences *d = NULL;
    struct tenure_config_options o = {.size = sizeof o};
    set(c, "diff/a", "1");
    o.revision = set(c, "diff/b", "1");
    set(c, "diff/a", "2");
    set(c, "diff/c", "3");
    no_error(tenure_config_delete(c, "diff/b", TENURE_CONFIG_DEFAULT, 0, NULL, NULL, &err), &err);
    no_error(tenure_config_read(c, "diff/", &o, &old, &err), &err);
    no_error(tenure_config_read(c, "diff/", NULL, &now, &err), &err);
    assert_int_equal(old->revision, o.revision);
    no_error(tenure_config_diff(old, now, &d, &err), &err);
    assert_int_equal(d->n, 3);
    assert_string_equal(d->changes[0].now->value, "2");
    assert_null(d->changes[1].now);
    assert_null(d->changes[2].was);
    tenure_config_differences_free(d);
    tenure_config_list_free(old);
    tenure_config_list_free(now);
    tenure_close(c);
}

struct writer {
    pthread_t thread;
    const struct server *server;
    int n, failed;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    char value[32];
    tenure_client *c = open_on(w->server);
    for (int i = 0; i < w->n; i++) {
        snprintf(value, sizeof value, "%p/%d", arg, i);
        w->failed += tenure_config_set(c, "race/a", value, TENURE_CONFIG_DEFAULT, 0, NULL, NULL, NULL) != 0;
    }
    tenure_close(c);
    return NULL;
}

static void of_writers_at_once_each_write_is_a_version(void **state)
{
    struct writer w[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (struct writer){.server = *state, .n = 6};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_many, &w[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].failed, 0);
    }
    tenure_client *c = open_on(*state);
    struct tenure_config_versions *v = history(c, "race/a");
    assert_int_equal(v->n, 18);
    for (size_t i = 0; i < v->n; i++)
        assert_int_equal(v->versions[i].version, 18 - (int64_t)i);
    assert_true(v->versions[0].is_current);
    tenure_config_versions_free(v);
    tenure_close(c);
}

/* ---- schemas ---- */

static const char schema_text[] = "{\"type\": \"object\", \"required\": [\"url\", \"pool\"], \"properties\": {"
                                  "  \"url\": {\"type\": \"string\", \"minLength\": 3},"
                                  "  \"pool\": {\"$ref\": \"#/definitions/pool\"},"
                                  "  \"zip\": {\"type\": \"string\"},"
                                  "  \"debug\": {\"type\": \"boolean\"}},"
                                  " \"additionalProperties\": false,"
                                  " \"definitions\": {\"pool\": {\"type\": \"object\", \"properties\": {"
                                  "   \"max\": {\"type\": \"integer\", \"maximum\": 100}}}}}";

/* Where the compiler of C++ or RapidJSON was not there, neither is what checks. */
static void schema_or_skip(tenure_client *c, const char *keys, const char *schema)
{
    struct tenure_error err = {0};
    const struct tenure_config_list none = {0};
    if (tenure_config_check(&none, "x/", "{}", &err) == TENURE_EUNAVAILABLE) {
        tenure_close(c);
        skip();
    }
    no_error(tenure_config_schema_set(c, keys, schema, NULL, &err), &err);
}

static void what_does_not_fit_its_schema_is_not_written(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_config_options o = in_prod();
    char *text = NULL;
    schema_or_skip(c, "schema/", schema_text);
    no_error(tenure_config_schema_get(c, "schema/", NULL, &text, &err), &err);
    is_value(schema_text, text);
    set(c, "schema/pool/max", "50"); /* what is required may come later */
    set(c, "schema/zip", "04109");   /* a string, as the schema has it */
    set(c, "schema/url", "postgres://x");
    assert_int_equal(tenure_config_set(c, "schema/pool/max", "many", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err),
                     TENURE_EINVALID);
    assert_non_null(strstr(err.text, "\"schema/pool/max\""));
    assert_non_null(strstr(err.text, "\"integer\""));
    assert_int_equal(tenure_config_set(c, "schema/pool/max", "101", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err),
                     TENURE_EINVALID);
    assert_non_null(strstr(err.text, "maximum: 100"));
    assert_int_equal(tenure_config_set(c, "schema/debug", "yes", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err),
                     TENURE_EINVALID);
    assert_int_equal(tenure_config_set(c, "schema/other", "1", TENURE_CONFIG_DEFAULT, 0, &o, NULL, &err),
                     TENURE_EINVALID);
    o.unchecked = true;
    no_error(tenure_config_set(c, "schema/debug", "yes", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err), &err);
    no_error(tenure_config_delete(c, "schema/debug", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err), &err);
    assert_int_equal(tenure_config_schema_set(c, "schema/", "{", NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_config_schema_set(c, "schema/", "{\"const\": 1}", NULL, &err), TENURE_EINVALID);
    no_error(tenure_config_schema_set(c, "schema/", NULL, NULL, &err), &err);
    assert_int_equal(tenure_config_schema_get(c, "schema/", NULL, &text, &err), TENURE_ENOTFOUND);
    tenure_close(c);
}

static void a_view_shows_no_state_that_its_schema_refuses(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct tenure_config_options o = watched(s);
    schema_or_skip(c, "strict/", schema_text);
    set(c, "strict/url", "postgres://x");
    assert_null(tenure_config_open(c, "strict/", &o, &err)); /* the pool is required */
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_non_null(strstr(err.text, "required"));
    set(c, "strict/pool/max", "10");
    tenure_config *v = open_view_with(c, "strict/", &o);
    put(c, "/config/strict/pool/max", "past this library");
    put(c, "/config/strict/pool/max", "20");
    await_text(s, "strict/pool/max:10>20 ; ");
    assert_non_null(strstr(s->why.text, "strict/pool/max"));
    is_value("20", tenure_config_string(v, "strict/pool/max", NULL, &err));
    assert_int_equal(tenure_config_state(v), TENURE_CONFIG_CURRENT);
    tenure_config_close(v);
    no_error(tenure_config_schema_set(c, "strict/", NULL, NULL, &err), &err);
    tenure_close(c);
    free(s);
}

/* ---- the copy on disk ---- */

static bool exists(void *path)
{
    return access(path, R_OK) == 0;
}

static char *file_text(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void without_servers_the_copy_on_disk_is_used_and_said_to_be_old(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct tenure_error err = {0};
    struct seen *s = seen_new();
    struct stat st;
    char folder[] = "/tmp/tenure-config-XXXXXX", file[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/copy", folder);
    set(c, "copy/a", "1");
    set_in(c, "copy/b", "sealed:v1:x", TENURE_CONFIG_SERVICE);
    struct tenure_config_options o = watched(s);
    o.cache_file = file;
    o.on_change = NULL;
    o.on_state = NULL;
    tenure_config *v = open_view_with(c, "copy/", &o);
    assert_true(test_await(exists, file));
    tenure_config_close(v);
    tenure_close(c);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_non_null(strstr(file_text(file), "\"sealed:v1:x\""));

    server_kill(server);
    c = open_on(server);
    o.timeout_ms = 200; /* nobody will come */
    o.on_change = on_change;
    o.on_state = on_state;
    v = open_view_with(c, "copy/", &o);
    assert_int_equal(tenure_config_state(v), TENURE_CONFIG_LAST_KNOWN_GOOD);
    assert_true(tenure_config_stale_ms(v) >= 0);
    is_value("1", tenure_config_string(v, "copy/a", NULL, &err));
    assert_null(tenure_config_open(c, "copy/a", &o, &err)); /* it is of another view */
    assert_int_equal(err.code, TENURE_EUNAVAILABLE);
    server_restart(server);
    assert_true(test_await(is_current, v));
    set(c, "copy/a", "2");
    await_text(s, "copy/a:1>2 ; ");
    assert_string_equal(s->all, "copy/a:->1 copy/b:->sealed:v1:x ; copy/a:1>2 ; ");
    tenure_config_close(v);
    tenure_close(c);
    assert_non_null(strstr(file_text(file), "\"copy/a\",\"2\""));

    FILE *f = fopen(file, "r+"); /* damaged */
    fseek(f, -4, SEEK_END);
    fputc('x', f);
    fclose(f);
    server_kill(server);
    c = open_on(server);
    assert_null(tenure_config_open(c, "copy/", &o, &err));
    assert_int_equal(err.code, TENURE_EUNAVAILABLE);
    tenure_close(c);
    server_restart(server);
    unlink(file);
    assert_int_equal(rmdir(folder), 0); /* and nothing is left beside */
    free(s);
}

/* ---- sealed values ---- */

static void a_sealed_value_is_opened_by_who_has_the_key_and_under_its_name_alone(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    char folder[] = "/tmp/tenure-config-XXXXXX", file[64], other[64];
    char *sealed = NULL, *plain = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/key", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    no_error(tenure_config_key_new(file, &err), &err);
    no_error(tenure_config_key_new(other, &err), &err);
    assert_int_equal(tenure_config_key_new(file, &err), TENURE_EEXISTS);
    no_error(tenure_config_seal(file, "seal/password", "hunter2", 7, &sealed, &err), &err);
    assert_int_equal(strncmp(sealed, "sealed:v1:", 10), 0);
    no_error(tenure_config_unseal(file, "seal/password", sealed, &plain, NULL, &err), &err);
    is_value("hunter2", plain);
    set(c, "seal/password", sealed);
    set(c, "seal/moved", sealed);
    struct tenure_config_options o = {.size = sizeof o, .key_file = file};
    tenure_config *v = open_view_with(c, "seal/", &o);
    is_value("hunter2", tenure_config_string(v, "seal/password", NULL, &err));
    is_value("none", tenure_config_string(v, "seal/moved", "none", &err));
    assert_int_equal(err.code, TENURE_EDENIED);
    assert_non_null(strstr(err.text, "seal/moved"));
    tenure_config_close(v);
    o.key_file = other;
    v = open_view_with(c, "seal/", &o);
    is_value("none", tenure_config_string(v, "seal/password", "none", &err));
    assert_int_equal(err.code, TENURE_EDENIED);
    assert_non_null(strstr(err.text, "seal/password"));
    tenure_config_close(v);
    v = open_view_with(c, "seal/", NULL);
    is_value("none", tenure_config_string(v, "seal/password", "none", &err));
    assert_non_null(strstr(err.text, "no key file"));
    tenure_config_close(v);
    sealed[15] = sealed[15] == 'A' ? 'B' : 'A';
    assert_int_equal(tenure_config_unseal(file, "seal/password", sealed, &plain, NULL, &err), TENURE_EDENIED);
    free(sealed);
    unlink(file);
    unlink(other);
    rmdir(folder);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_read_and_a_default_where_there_is_none),
        cmocka_unit_test(the_highest_layer_wins_and_all_are_told),
        cmocka_unit_test(values_have_types),
        cmocka_unit_test(a_view_tells_the_first_state_and_then_each_one_once),
        cmocka_unit_test(the_global_layer_shows_where_the_region_says_nothing),
        cmocka_unit_test(the_global_layer_is_written_at_its_home_alone),
        cmocka_unit_test(a_descriptor_tells_of_changes),
        cmocka_unit_test(a_view_says_that_it_is_stale_and_finds_what_it_missed),
        cmocka_unit_test(a_watcher_through_kills_and_compactions_sees_the_last_state_and_none_twice_W16),
        cmocka_unit_test(a_close_of_the_handle_ends_views),
        cmocka_unit_test(a_view_on_a_namespace_is_below_it),
        cmocka_unit_test(nobody_there_is_an_error_in_time),
        cmocka_unit_test(a_write_may_ask_what_it_replaces),
        cmocka_unit_test(as_many_keys_as_are_allowed_fit_into_one_transaction),
        cmocka_unit_test(versions_are_kept_with_who_and_when_and_can_be_gone_back_to),
        cmocka_unit_test(bytes_that_are_no_text_are_kept_too),
        cmocka_unit_test(an_old_revision_can_be_compared_with_the_present),
        cmocka_unit_test(of_writers_at_once_each_write_is_a_version),
        cmocka_unit_test(what_does_not_fit_its_schema_is_not_written),
        cmocka_unit_test(a_view_shows_no_state_that_its_schema_refuses),
        cmocka_unit_test(without_servers_the_copy_on_disk_is_used_and_said_to_be_old),
        cmocka_unit_test(a_sealed_value_is_opened_by_who_has_the_key_and_under_its_name_alone),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
