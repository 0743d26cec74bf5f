/* What instances' keys say: ours, Go's, and what is made of values that anybody wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/instance_value.h"

static const char *const tags[] = {"blue", "\xc3\xa9"};
static const struct tenure_meta meta[] = {{"owner", "team a"}, {"empty", ""}};
static const struct tenure_instance whole = {.service = "billing",
                                             .name = "b-1",
                                             .address = "10.0.0.7",
                                             .port = 8080,
                                             .tags = tags,
                                             .n_tags = 2,
                                             .meta = meta,
                                             .n_meta = 2,
                                             .weight = 7,
                                             .zone = "eu-1",
                                             .version = "1.2",
                                             .health = TENURE_HEALTH_WARNING,
                                             .draining = true,
                                             .maintenance = true,
                                             .leaving = true,
                                             .host = "h",
                                             .pid = 12,
                                             .since_ms = 1700000000000};
static const struct tenure_instance least = {
    .service = "s", .name = "n", .address = "::1", .weight = 1, .zone = "", .version = "", .host = ""};

static struct instance *read_text(const char *value)
{
    struct tenure_kv kv = {.value = tenure_str(value), .create_revision = 3, .mod_revision = 4, .lease = 5};
    struct instance *i = instance_read(bytes_str("billing"), bytes_str("b-1"), &kv);
    assert_non_null(i);
    assert_string_equal(i->pub.service, "billing");
    assert_string_equal(i->pub.name, "b-1");
    assert_int_equal(i->pub.create_revision, 3);
    assert_int_equal(i->pub.mod_revision, 4);
    assert_int_equal(i->pub.lease, 5);
    assert_int_equal(i->pub.value.len, strlen(value));
    assert_string_equal(i->pub.value.data, value);
    return i;
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    char *value = instance_write(&whole, bytes_of(NULL, 0));
    struct instance *i = read_text(value);
    assert_null(i->pub.error);
    assert_string_equal(i->pub.address, "10.0.0.7");
    assert_string_equal(i->pub.endpoint, "10.0.0.7:8080");
    assert_int_equal(i->pub.port, 8080);
    assert_int_equal(i->pub.n_tags, 2);
    assert_string_equal(i->pub.tags[0], "blue");
    assert_string_equal(i->pub.tags[1], "\xc3\xa9");
    assert_int_equal(i->pub.n_meta, 2);
    assert_string_equal(i->pub.meta[0].name, "owner");
    assert_string_equal(i->pub.meta[0].value, "team a");
    assert_string_equal(i->pub.meta[1].value, "");
    assert_int_equal(i->pub.weight, 7);
    assert_string_equal(i->pub.zone, "eu-1");
    assert_string_equal(i->pub.version, "1.2");
    assert_int_equal(i->pub.health, TENURE_HEALTH_WARNING);
    assert_true(i->pub.draining && i->pub.maintenance && i->pub.leaving && !i->pub.is_grpc);
    assert_string_equal(i->pub.host, "h");
    assert_int_equal(i->pub.pid, 12);
    assert_int_equal(i->pub.since_ms, 1700000000000);
    instance_unref(i);
    free(value);
}

static void what_there_is_nothing_to_say_of_is_left_out(void **state)
{
    (void)state;
    char *value = instance_write(&least, bytes_of(NULL, 0));
    assert_string_equal(value, "{\"address\":\"::1\",\"health\":\"passing\"}");
    struct instance *i = read_text(value);
    assert_string_equal(i->pub.endpoint, "::1");
    assert_int_equal(i->pub.weight, 1);
    assert_true(tenure_instance_serves(&i->pub));
    instance_unref(i);
    free(value);
}

static void what_others_added_is_kept(void **state)
{
    (void)state;
    static const char *const base =
        "{\"address\":\"old\",\"owner\":{\"x\":[1,2.5]},\"draining\":true,\"weight\":9,\"tags\":[\"gone\"]}";
    char *value = instance_write(&least, bytes_str(base));
    assert_string_equal(value, "{\"address\":\"::1\",\"owner\":{\"x\":[1,2.5]},\"health\":\"passing\"}");
    free(value);
    value = instance_write(&least, bytes_str("no JSON"));
    assert_string_equal(value, "{\"address\":\"::1\",\"health\":\"passing\"}");
    free(value);
    value = instance_write(&least, bytes_str("[1]"));
    assert_string_equal(value, "{\"address\":\"::1\",\"health\":\"passing\"}");
    free(value);
}

static void addresses_and_ports_become_endpoints(void **state)
{
    static const struct {
        const char *address;
        int32_t port;
        const char *wanted;
    } rows[] = {{"10.0.0.7", 80, "10.0.0.7:80"},
                {"db.example", 5432, "db.example:5432"},
                {"::1", 80, "[::1]:80"},
                {"[::1]", 80, "[::1]:80"},
                {"/run/x.sock", 0, "/run/x.sock"}};
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        char *endpoint = instance_endpoint(rows[k].address, rows[k].port);
        assert_string_equal(endpoint, rows[k].wanted);
        free(endpoint);
    }
}

/* ---- what others wrote ---- */

static void is_an_error(const char *value)
{
    struct instance *i = read_text(value);
    if (!i->pub.error)
        fail_msg("believed: %s", value);
    assert_false(tenure_instance_serves(&i->pub));
    assert_int_equal(i->pub.n_tags, 0);
    assert_int_equal(i->pub.n_meta, 0);
    instance_unref(i);
}

static void what_is_no_such_value_is_shown_as_an_error(void **state)
{
    (void)state;
    static const char *const values[] = {"",
                                         "x",
                                         "12",
                                         "[]",
                                         "{",
                                         "{}",
                                         "{\"address\":12}",
                                         "{\"address\":\"\"}",
                                         "{\"address\":\"a\",\"port\":\"80\"}",
                                         "{\"address\":\"a\",\"port\":-1}",
                                         "{\"address\":\"a\",\"port\":65536}",
                                         "{\"address\":\"a\",\"port\":99999999999999999999}",
                                         "{\"address\":\"a\",\"tags\":\"x\"}",
                                         "{\"address\":\"a\",\"tags\":[\"x\",1]}",
                                         "{\"address\":\"a\",\"meta\":[]}",
                                         "{\"address\":\"a\",\"weight\":-1}",
                                         "{\"address\":\"a\",\"weight\":1.5}",
                                         "{\"address\":\"a\\u0000b\"}",
                                         "{\"address\":\"\xff\"}",
                                         "{\"Addr\":\"\",\"Op\":0}",
                                         "{\"Addr\":12}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        is_an_error(values[i]);
    size_t len = ((size_t)1 << 20) + 2;
    char *large = malloc(len + 1);
    memset(large, ' ', len);
    large[0] = '{';
    large[len - 1] = '}';
    large[len] = 0;
    is_an_error(large);
    free(large);
}

static void what_is_odd_but_clear_is_taken(void **state)
{
    (void)state;
    struct instance *i = read_text("{\"address\":\"a\",\"port\":1,\"health\":\"purple\",\"weight\":70000,\"zone\":3,"
                                   "\"meta\":{\"n\":1,\"o\":{\"x\":true}},\"draining\":\"yes\",\"pid\":\"x\"}");
    assert_null(i->pub.error);
    assert_int_equal(i->pub.health, TENURE_HEALTH_CRITICAL);
    assert_int_equal(i->pub.weight, 65535);
    assert_string_equal(i->pub.zone, "");
    assert_string_equal(i->pub.meta[0].value, "1");
    assert_string_equal(i->pub.meta[1].value, "{\"x\":true}");
    assert_false(i->pub.draining);
    assert_int_equal(i->pub.pid, 0);
    instance_unref(i);
}

static void who_serves_is_told_by_all_that_forbids_it(void **state)
{
    static const char *const no[] = {"\"health\":\"critical\"", "\"draining\":true", "\"maintenance\":true",
                                     "\"leaving\":true", "\"weight\":0"};
    char value[128];
    (void)state;
    for (size_t k = 0; k < sizeof no / sizeof no[0]; k++) {
        snprintf(value, sizeof value, "{\"address\":\"a\",%s}", no[k]);
        struct instance *i = read_text(value);
        assert_null(i->pub.error);
        assert_false(tenure_instance_serves(&i->pub));
        instance_unref(i);
    }
    struct instance *i = read_text("{\"address\":\"a\",\"health\":\"warning\",\"draining\":false}");
    assert_true(tenure_instance_serves(&i->pub));
    instance_unref(i);
    assert_false(tenure_instance_serves(NULL));
}

/* ---- Go's ---- */

static void go_s_endpoints_are_read(void **state)
{
    static const struct {
        const char *value, *address;
        int32_t port;
    } rows[] = {
        {"{\"Op\":0,\"Addr\":\"127.0.0.1:8080\",\"Metadata\":null}", "127.0.0.1", 8080},
        {"{\"Op\":0,\"Addr\":\"[::1]:8080\",\"Metadata\":{\"a\":1}}", "::1", 8080},
        {"{\"Op\":0,\"Addr\":\"::1\",\"Metadata\":null}", "::1", 0},
        {"{\"Op\":0,\"Addr\":\"unix:///x\",\"Metadata\":\"m\"}", "unix:///x", 0},
        {"{\"Addr\":\"host\"}", "host", 0},
        {"{\"Addr\":\"host:http\"}", "host:http", 0},
        {"{\"Addr\":\"host:70000\"}", "host:70000", 0},
        {"{\"Addr\":\":80\"}", ":80", 0},
        {"{\"Addr\":\"h:80\",\"Metadata\":{\"tags\":1}}", "h", 80},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct instance *i = read_text(rows[k].value);
        assert_null(i->pub.error);
        assert_true(i->pub.is_grpc);
        assert_string_equal(i->pub.address, rows[k].address);
        assert_int_equal(i->pub.port, rows[k].port);
        assert_true(strstr(rows[k].value, i->pub.endpoint) != NULL);
        assert_true(tenure_instance_serves(&i->pub));
        instance_unref(i);
    }
    struct instance *i = read_text(rows[3].value);
    assert_int_equal(i->pub.n_meta, 1);
    assert_string_equal(i->pub.meta[0].name, "Metadata");
    assert_string_equal(i->pub.meta[0].value, "m");
    instance_unref(i);
}

static void what_is_written_for_go_comes_back(void **state)
{
    (void)state;
    char *value = instance_write_grpc(&least);
    assert_string_equal(value, "{\"Op\":0,\"Addr\":\"::1\",\"Metadata\":null}");
    free(value);
    value = instance_write_grpc(&whole);
    assert_non_null(strstr(value, "\"Metadata\":\"{")); /* a text: Go compares it with == */
    struct instance *i = read_text(value);
    assert_true(i->pub.is_grpc);
    assert_string_equal(i->pub.endpoint, "10.0.0.7:8080");
    assert_int_equal(i->pub.port, 8080);
    assert_int_equal(i->pub.weight, 7);
    assert_string_equal(i->pub.zone, "eu-1");
    assert_int_equal(i->pub.n_tags, 2);
    assert_string_equal(i->pub.meta[0].value, "team a");
    instance_unref(i);
    free(value);
}

/* ---- filters, names ---- */

static void filters_want_all_they_name(void **state)
{
    (void)state;
    const char *both[] = {"blue", "\xc3\xa9"}, *other[] = {"blue", "red"};
    struct tenure_instance_filter f = {0};
    struct tenure_instance serves = whole;
    serves.draining = serves.maintenance = serves.leaving = false;
    assert_true(instance_matches(&whole, &f));
    f = (struct tenure_instance_filter){.tags = both, .n_tags = 2, .zone = "eu-1", .version = "1.2"};
    assert_true(instance_matches(&whole, &f));
    f.serving = true;
    assert_false(instance_matches(&whole, &f));
    assert_true(instance_matches(&serves, &f));
    f.tags = other;
    assert_false(instance_matches(&serves, &f));
    f = (struct tenure_instance_filter){.zone = "eu"};
    assert_false(instance_matches(&whole, &f));
    f = (struct tenure_instance_filter){.version = ""};
    assert_false(instance_matches(&whole, &f));
    assert_true(instance_matches(&least, &f));
}

static void keys_are_split_at_one_slash(void **state)
{
    bytes service, name;
    (void)state;
    assert_true(instance_split(bytes_str("s/n"), &service, &name));
    assert_true(bytes_equal(service, bytes_str("s")) && bytes_equal(name, bytes_str("n")));
    static const char *const no[] = {"", "s", "/", "s/", "/n", "s/n/x", "s//n"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(instance_split(bytes_str(no[i]), &service, &name));
}

static void what_cannot_be_written_is_refused(void **state)
{
    static const char *const bad_tags[] = {"ok", "\xff"}, *const null_tags[] = {NULL};
    static const struct tenure_meta bad_meta[] = {{"a", NULL}};
    struct tenure_error err = {0};
    struct tenure_instance i[] = {least, least, least, least, least, least, least, least, least};
    (void)state;
    assert_int_equal(instance_check(&whole, &err), 0);
    assert_int_equal(instance_check(&least, &err), 0);
    i[0].address = "";
    i[1].port = -1;
    i[2].port = 65536;
    i[3].weight = 65536;
    i[4].zone = "\xff";
    i[5].tags = bad_tags;
    i[5].n_tags = 2;
    i[6].meta = bad_meta;
    i[6].n_meta = 1;
    i[7].health = (enum tenure_health)3;
    i[8].tags = null_tags;
    i[8].n_tags = 1;
    for (size_t k = 0; k < sizeof i / sizeof i[0]; k++)
        assert_int_equal(instance_check(&i[k], &err), TENURE_EINVALID);
}

static void a_name_that_is_none_is_named(void **state)
{
    static const struct {
        const char *name, *says;
    } bad[] = {{"", "\"\", is none: it is empty"}, {NULL, "it is empty"}, {"a/b", "\"a/b\", is none: it has a slash"}};
    struct tenure_error err = {0};
    char name[4098];
    (void)state;
    assert_int_equal(instance_name_check("service", "a b", &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(instance_name_check("service", bad[i].name, &err), TENURE_EINVALID);
        assert_non_null(strstr(err.text, "the name of the service"));
        assert_non_null(strstr(err.text, bad[i].says));
    }
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(instance_name_check("instance", name, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "longer than 4,096"));
    name[4096] = 0;
    assert_int_equal(instance_name_check("instance", name, &err), 0);
}

static void lists_share_what_they_hold(void **state)
{
    (void)state;
    struct instance *all[] = {read_text("{\"address\":\"a\"}"), read_text("{\"address\":\"b\"}")};
    struct tenure_instances *list = instance_list(all, 2, 9);
    instance_unref(all[0]);
    instance_unref(all[1]);
    assert_int_equal(list->n, 2);
    assert_int_equal(list->revision, 9);
    assert_string_equal(list->instances[1].address, "b");
    tenure_instances_free(list);
    list = instance_list(NULL, 0, 1);
    assert_int_equal(list->n, 0);
    tenure_instances_free(list);
    tenure_instances_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(what_there_is_nothing_to_say_of_is_left_out),
        cmocka_unit_test(what_others_added_is_kept),
        cmocka_unit_test(addresses_and_ports_become_endpoints),
        cmocka_unit_test(what_is_no_such_value_is_shown_as_an_error),
        cmocka_unit_test(what_is_odd_but_clear_is_taken),
        cmocka_unit_test(who_serves_is_told_by_all_that_forbids_it),
        cmocka_unit_test(go_s_endpoints_are_read),
        cmocka_unit_test(what_is_written_for_go_comes_back),
        cmocka_unit_test(filters_want_all_they_name),
        cmocka_unit_test(keys_are_split_at_one_slash),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_name_that_is_none_is_named),
        cmocka_unit_test(lists_share_what_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
