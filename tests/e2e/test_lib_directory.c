/* Directories by the library: services of two regions, found, followed and picked from, whether they answer or not. */
#include "lib.h"

#include <tenure/directory.h>

static void put_region(tenure_client *c, const char *name, const char *urls)
{
    struct tenure_error err = {0};
    struct tenure_distance far = {.region = "eu", .ms = 80};
    struct tenure_region r = {.name = name, .endpoints = urls, .distances = &far, .n_distances = 1};
    no_error(tenure_region_put(c, &r, &err), &err);
}

/* Two regions, eu and us, with the service web: one in each, named as the region. */
struct two {
    struct server *far;
    tenure_client *eu, *us;
};

static struct two two_regions(void **state)
{
    struct tenure_error err = {0};
    struct two t = {.far = server_start()};
    t.eu = open_on(*state);
    t.us = open_on(t.far);
    no_error(tenure_region_init(t.eu, "eu", &err), &err);
    no_error(tenure_region_init(t.us, "us", &err), &err);
    put_region(t.eu, "us", server_url(t.far));
    put(t.eu, "/services/web/eu", "{\"address\":\"eu\",\"port\":80}");
    put(t.us, "/services/web/us", "{\"address\":\"us\",\"port\":80}");
    return t;
}

static void end(struct two *t)
{
    tenure_close(t->eu);
    tenure_close(t->us);
    server_free(t->far);
}

static tenure_directory *open_web(tenure_client *c, const struct tenure_directory_options *o)
{
    struct tenure_error err = {0};
    tenure_directory *d = tenure_directory_open(c, "web", o, &err);
    if (!d)
        fail_msg("%s", err.text);
    return d;
}

/* From where one is picked; "" = none is. */
static const char *picked(tenure_directory *d)
{
    const char *region = "";
    tenure_pick_done(tenure_directory_pick(d, S(""), &region, NULL));
    return region;
}

struct picks {
    tenure_directory *d;
    const char *wanted;
};
static bool picks(void *user)
{
    const struct picks *p = user;
    return strcmp(picked(p->d), p->wanted) == 0;
}

static void comes_to(tenure_directory *d, const char *wanted)
{
    if (!test_await(picks, &(struct picks){d, wanted}))
        fail_msg("picked from '%s', wanted '%s'", picked(d), wanted);
}

static void the_nearest_that_has_one_is_picked_from(void **state)
{
    struct tenure_error err = {0};
    struct two t = two_regions(state);
    struct tenure_instance_edit out = {.size = sizeof out, .draining = TENURE_SET};
    struct tenure_instance_edit in = {.size = sizeof in, .draining = TENURE_CLEAR};
    tenure_directory *d = open_web(t.eu, NULL);
    comes_to(d, "eu");
    no_error(tenure_directory_await(d, &err), &err);
    struct tenure_directory_list *all = tenure_directory_list(d, &err);
    assert_non_null(all);
    assert_int_equal(all->n_regions, 2);
    assert_true(all->regions[0].own && all->regions[0].answers && all->regions[0].distance_ms == 0);
    assert_true(!all->regions[1].own && all->regions[1].answers && all->regions[1].distance_ms == 80);
    assert_true(all->regions[1].revision > 0 && all->regions[1].staleness_ms >= 0 && !all->regions[1].problem);
    assert_int_equal(all->n, 2);
    assert_string_equal(all->entries[1].region, "us");
    assert_string_equal(all->entries[1].instance->endpoint, "us:80");
    tenure_directory_list_free(all);
    no_error(tenure_instance_edit(t.eu, "web", "eu", &out, &err), &err);
    comes_to(d, "us");
    no_error(tenure_instance_edit(t.us, "web", "us", &out, &err), &err);
    comes_to(d, "");
    no_error(tenure_instance_edit(t.eu, "web", "eu", &in, &err), &err);
    comes_to(d, "eu");
    tenure_directory_close(d);
    end(&t);
}

/* ---- what is told ---- */

struct told {
    pthread_mutex_t mutex;
    char text[256];
};

static void tell(struct told *t, const char *word, const char *region, const char *name)
{
    pthread_mutex_lock(&t->mutex);
    size_t len = strlen(t->text);
    snprintf(t->text + len, sizeof t->text - len, "%s %s/%s, ", word, region, name);
    pthread_mutex_unlock(&t->mutex);
}

static void on_list(tenure_directory *d, const char *region, const struct tenure_instances *list, void *user)
{
    (void)d;
    for (size_t i = 0; i < list->n; i++)
        tell(user, "here", region, list->instances[i].name);
}

static void on_change(tenure_directory *d, const char *region, enum tenure_service_change change,
                      const struct tenure_instance *i, int64_t revision, void *user)
{
    static const char *const words[] = {"", "came", "changed", "went"};
    (void)d;
    assert_true(revision > 0);
    tell(user, words[change], region, i->name);
}

struct waits {
    struct told *told;
    const char *for_what;
};
static bool was_told(void *user)
{
    const struct waits *w = user;
    pthread_mutex_lock(&w->told->mutex);
    bool is = strstr(w->told->text, w->for_what) != NULL;
    pthread_mutex_unlock(&w->told->mutex);
    return is;
}

static void is_told(struct told *t, const char *what)
{
    if (!test_await(was_told, &(struct waits){t, what}))
        fail_msg("told '%s', wanted '%s'", t->text, what);
}

static void changes_are_told_with_their_region(void **state)
{
    struct tenure_error err = {0};
    struct two t = two_regions(state);
    struct told told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_directory_options o = {
        .size = sizeof o, .regions = "us", .on_list = on_list, .on_change = on_change, .user = &told};
    tenure_directory *d = open_web(t.eu, &o);
    is_told(&told, "here us/us, ");
    put(t.us, "/services/web/b", "{\"address\":\"b\",\"port\":80}");
    is_told(&told, "came us/b, ");
    no_error(tenure_deregister(t.us, NULL, "web", "b", &err), &err);
    is_told(&told, "went us/b, ");
    assert_string_equal(picked(d), "us");
    tenure_directory_close(d);
    assert_null(strstr(told.text, "eu"));
    end(&t);
}

static void list_all(tenure_directory *d, const char *region, const struct tenure_instances *list, void *user)
{
    struct tenure_directory_list *all = tenure_directory_list(d, NULL);
    (void)list;
    for (size_t i = 0; all && i < all->n_regions; i++)
        if (strcmp(all->regions[i].name, region) == 0)
            tell(user, all->regions[i].answers ? "answers" : "is silent", region, "");
    tenure_directory_list_free(all);
}

static void what_is_told_is_listed_already(void **state)
{
    struct two t = two_regions(state);
    struct told told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_directory_options o = {.size = sizeof o, .on_list = list_all, .user = &told};
    tenure_directory *d = open_web(t.eu, &o);
    is_told(&told, "answers eu/, ");
    is_told(&told, "answers us/, ");
    tenure_directory_close(d);
    assert_null(strstr(told.text, "silent"));
    end(&t);
}

/* ---- regions that do not answer ---- */

static void one_that_is_silent_is_named_and_comes_later(void **state)
{
    struct tenure_error err = {0};
    struct two t = two_regions(state);
    struct tenure_directory_options o = {.size = sizeof o, .wait_ms = 300};
    server_pause(t.far);
    tenure_directory *d = open_web(t.eu, &o);
    comes_to(d, "eu");
    assert_int_equal(tenure_directory_await(d, &err), TENURE_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "region 'us' does not answer at http://127.0.0.1:"));
    struct tenure_directory_list *all = tenure_directory_list(d, &err);
    assert_non_null(all);
    assert_int_equal(all->n, 1);
    assert_false(all->regions[1].answers);
    assert_non_null(strstr(all->regions[1].problem, "does not answer"));
    assert_int_equal(all->regions[1].staleness_ms, -1);
    tenure_directory_list_free(all);
    put(t.eu, "/services/web/eu", "no instance");
    comes_to(d, "");
    assert_null(tenure_directory_pick(d, S(""), NULL, &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    assert_non_null(strstr(err.text, "'us' does not answer"));
    server_resume(t.far);
    comes_to(d, "us");
    tenure_directory_close(d);
    end(&t);
}

static void what_is_no_region_is_refused(void **state)
{
    struct tenure_error err = {0};
    struct two t = two_regions(state);
    struct tenure_directory_options moon = {.size = sizeof moon, .regions = "us,moon"};
    struct tenure_directory_options none = {.size = sizeof none, .regions = ""};
    struct tenure_directory_options late = {.size = sizeof late, .wait_ms = -1};
    assert_null(tenure_directory_open(t.eu, "web", &moon, &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    assert_non_null(strstr(err.text, "region 'moon' is not known here"));
    assert_null(tenure_directory_open(t.eu, "web", &none, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_directory_open(t.eu, "web", &late, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_directory_open(t.eu, "", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    put_region(t.eu, "ap", server_url(t.far)); /* which is us */
    struct tenure_directory_options ap = {.size = sizeof ap, .regions = "ap"};
    tenure_directory *d = open_web(t.eu, &ap);
    assert_int_equal(tenure_directory_await(d, &err), TENURE_ECONFLICT);
    assert_non_null(strstr(err.text, "says that it is 'us'"));
    assert_null(tenure_directory_pick(d, S(""), NULL, &err));
    assert_int_equal(err.code, TENURE_ECONFLICT);
    tenure_directory_close(d);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_that_has_one_is_picked_from),
        cmocka_unit_test(changes_are_told_with_their_region),
        cmocka_unit_test(what_is_told_is_listed_already),
        cmocka_unit_test(one_that_is_silent_is_named_and_comes_later),
        cmocka_unit_test(what_is_no_region_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
