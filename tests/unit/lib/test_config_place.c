/* Where a configuration's keys are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "lib/config_place.h"

static const struct tenure_config_options all = {
    .size = sizeof all, .environment = "prod", .service = "billing", .instance = "b-1"};

static void keys_that_are_none_are_named_with_the_reason(void **state)
{
    struct tenure_error err;
    static const char *const bad[] = {"", "/a", "a/", "a//b", "@env/x", "a/@b"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(config_key_check(bad[i], &err), TENURE_EINVALID);
        assert_non_null(strstr(err.text, bad[i]));
        assert_false(config_key_is_valid(bytes_str(bad[i])));
    }
    assert_int_equal(config_key_check("a/b-c.d/e@f", &err), 0);
    assert_int_equal(config_keys_check("", &err), 0);
    assert_int_equal(config_keys_check("a/b/", &err), 0);
    assert_int_equal(config_keys_check("/", &err), TENURE_EINVALID);
    assert_int_equal(config_keys_check("a//", &err), TENURE_EINVALID);
    assert_true(config_keys_are_one("a/b"));
    assert_false(config_keys_are_one("a/"));
    assert_false(config_keys_are_one(""));
}

static void layers_lie_below_the_prefix_and_history_beside_it(void **state)
{
    struct config_place p;
    struct tenure_error err;
    const char *s;
    (void)state;
    assert_int_equal(config_place_init(&p, &all, &err), 0);
    assert_int_equal(config_place_key(&p, TENURE_CONFIG_DEFAULT, "a/b", &s, &err), 0);
    assert_string_equal(s, "/config/a/b");
    assert_int_equal(config_place_key(&p, TENURE_CONFIG_ENVIRONMENT, "a/b", &s, &err), 0);
    assert_string_equal(s, "/config/@env/prod/a/b");
    assert_int_equal(config_place_key(&p, TENURE_CONFIG_INSTANCE, "a/b", &s, &err), 0);
    assert_string_equal(s, "/config/@instance/billing/b-1/a/b");
    assert_int_equal(config_place_history(&p, TENURE_CONFIG_SERVICE, "a/b", &s, &err), 0);
    assert_string_equal(s, "/config-history/@service/billing/a/b/@/");
    assert_string_equal(p.schemas, "/config-schema/");
    config_place_fini(&p);
}

static void what_the_options_do_not_say_is_no_layer(void **state)
{
    struct config_place p;
    struct tenure_error err;
    const char *s;
    struct tenure_config_options o = {.size = sizeof o, .environment = ""};
    (void)state;
    setenv("TENURE_CONFIG_ENVIRONMENT", "test", 1);
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_null(p.roots[TENURE_CONFIG_ENVIRONMENT]);
    assert_int_equal(config_place_key(&p, TENURE_CONFIG_SERVICE, "a", &s, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "TENURE_CONFIG_SERVICE"));
    config_place_fini(&p);
    o.environment = NULL;
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_string_equal(p.roots[TENURE_CONFIG_ENVIRONMENT], "/config/@env/test/");
    config_place_fini(&p);
    unsetenv("TENURE_CONFIG_ENVIRONMENT");
}

static void names_that_would_leave_their_layer_are_refused(void **state)
{
    struct config_place p;
    struct tenure_error err;
    struct tenure_config_options o = all;
    (void)state;
    o.environment = "a/b";
    assert_int_equal(config_place_init(&p, &o, &err), TENURE_EINVALID);
    config_place_fini(&p);
    o = all;
    o.service = "";
    assert_int_equal(config_place_init(&p, &o, &err), TENURE_EINVALID);
    config_place_fini(&p);
    o = all;
    o.prefix = "/config";
    assert_int_equal(config_place_init(&p, &o, &err), TENURE_EINVALID);
    config_place_fini(&p);
}

static void all_keys_are_read_around_the_layers_marks(void **state)
{
    struct config_place p;
    struct tenure_error err;
    struct config_part parts[CONFIG_PARTS_MAX];
    (void)state;
    assert_int_equal(config_place_init(&p, &all, &err), 0);
    assert_int_equal(config_place_parts(&p, "", 0, parts), 5);
    assert_string_equal(parts[0].key, "/config/");
    assert_string_equal(parts[0].range_end, "/config/@");
    assert_string_equal(parts[1].key, "/config/A");
    assert_string_equal(parts[1].range_end, "/config0");
    assert_string_equal(parts[2].key, "/config/@env/prod/");
    assert_int_equal(config_place_parts(&p, "a/", 1u << TENURE_CONFIG_SERVICE, parts), 1);
    assert_string_equal(parts[0].key, "/config/@service/billing/a/");
    assert_string_equal(parts[0].range_end, "/config/@service/billing/a0");
    assert_int_equal(config_place_parts(&p, "a", 1, parts), 1);
    assert_string_equal(parts[0].range_end, "");
    config_place_fini(&p);
}

static void the_global_layer_is_the_lowest_and_read_where_that_is_asked_for(void **state)
{
    struct config_place p;
    struct tenure_error err;
    struct config_part parts[CONFIG_PARTS_MAX];
    struct tenure_config_options o = all;
    const char *s;
    (void)state;
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_int_equal(config_place_key(&p, TENURE_CONFIG_GLOBAL, "a/b", &s, &err), 0);
    assert_string_equal(s, "/config/@global/a/b");
    assert_int_equal(config_place_history(&p, TENURE_CONFIG_GLOBAL, "a", &s, &err), 0);
    assert_string_equal(s, "/config-history/@global/a/@/");
    assert_int_equal(config_place_parts(&p, "a/", 0, parts), 4);
    assert_int_equal(config_place_parts(&p, "a/", 1u << TENURE_CONFIG_GLOBAL, parts), 1);
    assert_string_equal(parts[0].key, "/config/@global/a/");
    config_place_fini(&p);
    o.global = 1;
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_int_equal(config_place_parts(&p, "", 0, parts), CONFIG_PARTS_MAX);
    assert_int_equal(parts[0].layer, TENURE_CONFIG_GLOBAL);
    assert_int_equal(parts[1].layer, TENURE_CONFIG_DEFAULT);
    assert_int_equal(parts[5].layer, TENURE_CONFIG_INSTANCE);
    config_place_fini(&p);
    setenv("TENURE_CONFIG_GLOBAL", "1", 1);
    o.global = 0;
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_true(config_place_reads(&p, TENURE_CONFIG_GLOBAL, 0));
    assert_false(config_place_reads(&p, TENURE_CONFIG_GLOBAL, 1u << TENURE_CONFIG_DEFAULT));
    config_place_fini(&p);
    o.global = -1;
    assert_int_equal(config_place_init(&p, &o, &err), 0);
    assert_false(config_place_reads(&p, TENURE_CONFIG_GLOBAL, 0));
    config_place_fini(&p);
    unsetenv("TENURE_CONFIG_GLOBAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_are_none_are_named_with_the_reason),
        cmocka_unit_test(layers_lie_below_the_prefix_and_history_beside_it),
        cmocka_unit_test(what_the_options_do_not_say_is_no_layer),
        cmocka_unit_test(names_that_would_leave_their_layer_are_refused),
        cmocka_unit_test(all_keys_are_read_around_the_layers_marks),
        cmocka_unit_test(the_global_layer_is_the_lowest_and_read_where_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
