/* The template language: the mustache's own specification (mustache/, as its authors publish it), and what is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "cli/template.h"

static struct tenure_error err;
static struct buf out;

static int load_from_object(void *user, const char *name, struct buf *ret, struct tenure_error *e)
{
    const char *text = json_string_value(json_object_get(user, name));
    if (!text)
        return error_set(e, TENURE_ENOTFOUND, "there is no partial '%s'", name);
    buf_append_bytes(ret, bytes_str(text));
    return 0;
}

static int render_with(const char *text, const char *data, const char *partials, const struct template_options *o)
{
    struct template_options all = *o;
    json_t *d = json_loads(data, JSON_DECODE_ANY, NULL), *p = partials ? json_loads(partials, 0, NULL) : NULL;
    assert_non_null(d);
    all.name = "t";
    all.load = p ? load_from_object : NULL;
    all.user = p;
    buf_fini(&out);
    buf_init(&out);
    int rc = template_render(bytes_str(text), d, &all, &out, &err);
    buf_append_byte(&out, 0);
    json_decref(d);
    json_decref(p);
    return rc;
}

static int render(const char *text, const char *data)
{
    return render_with(text, data, NULL, &(struct template_options){.escape = TEMPLATE_PLAIN});
}

static void gives(const char *text, const char *data, const char *wanted)
{
    if (render(text, data) < 0)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal((const char *)out.data, wanted);
}

static void refused(const char *text, const char *data, int code, const char *says)
{
    assert_int_equal(render(text, data), code);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("'%s' says '%s', without '%s'", text, err.text, says);
}

/* ---- the specification ---- */

static void one_of_spec(const char *file, json_t *test)
{
    json_t *partials = json_object_get(test, "partials");
    struct template_options o = {.name = json_string_value(json_object_get(test, "name")),
                                 .escape = TEMPLATE_HTML,
                                 .lenient = true,
                                 .load = partials ? load_from_object : NULL,
                                 .user = partials};
    const char *wanted = json_string_value(json_object_get(test, "expected"));
    struct buf got;
    buf_init(&got);
    int rc = template_render(bytes_str(json_string_value(json_object_get(test, "template"))),
                             json_object_get(test, "data"), &o, &got, &err);
    buf_append_byte(&got, 0);
    if (rc < 0)
        fail_msg("%s, %s: %s", file, o.name, err.text);
    if (strcmp((const char *)got.data, wanted) != 0)
        fail_msg("%s, %s: got '%s', wanted '%s'", file, o.name, (const char *)got.data, wanted);
    buf_fini(&got);
}

static void the_specification_holds(void **state)
{
    static const char *const files[] = {"comments", "delimiters", "interpolation", "inverted", "partials", "sections"};
    size_t i, n = 0;
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        char path[512];
        json_t *test;
        snprintf(path, sizeof path, "%s/%s.json", MUSTACHE_SPEC, files[f]);
        json_t *all = json_load_file(path, 0, NULL);
        assert_non_null(all);
        json_array_foreach(json_object_get(all, "tests"), i, test)
        {
            one_of_spec(files[f], test);
            n++;
        }
        json_decref(all);
    }
    assert_true(n > 120); /* it was read */
}

/* ---- ours ---- */

static void values_are_found_by_path(void **state)
{
    static const char data[] = "{\"db\":{\"url\":\"u\",\"a.b\":\"dotted\"},\"top\":\"t\",\"x.y\":\"whole\"}";
    (void)state;
    gives("{{db/url}} {{db.url}} {{ top }}", data, "u u t");
    gives("{{db/a.b}} {{./x.y}}", data, "dotted whole");
    gives("{{#db}}{{./url}}{{./top:-}}{{/db}}", data, "u");
    gives("{{#db}}{{url}} {{top}}{{/db}}", data, "u t");
}

static void a_missing_value_is_an_error_that_names_the_line(void **state)
{
    (void)state;
    refused("a\nb {{port}}\n", "{}", TENURE_ENOTFOUND, "t:2: there is no 'port'");
    refused("{{db/url}}", "{\"db\":{}}", TENURE_ENOTFOUND, "{{db/url:-VALUE}}");
    refused("{{#db}}{{url}}{{/db}}", "{\"db\":{\"x\":\"\"}}", TENURE_ENOTFOUND, "'url'");
    gives("{{#port}}p{{/port}}{{^port}}none{{/port}}", "{}", "none");
}

static void a_default_stands_for_what_is_missing_or_empty(void **state)
{
    (void)state;
    gives("{{port:-8080}} {{ p :- a b }} {{q:-\" x \"}} {{r:-}}", "{}", "8080 a b  x  ");
    gives("{{port:-8080}}", "{\"port\":\"1\"}", "1");
    gives("{{port:-8080}}", "{\"port\":\"\"}", "8080");
    gives("{{url:-http://h:80/}}", "{}", "http://h:80/");
}

static void entries_of_an_object_come_in_turn(void **state)
{
    static const char data[] = "{\"hosts\":{\"a\":\"1\",\"b\":\"2\"},\"deep\":{\"x\":{\"v\":\"7\"}},\"s\":\"str\"}";
    (void)state;
    gives("{{#hosts.*}}{{*}}={{.}};{{/hosts.*}}", data, "a=1;b=2;");
    gives("{{#hosts/*}}{{*}};{{/hosts/*}}", data, "a;b;");
    gives("{{#deep.*}}{{*}}:{{v}}{{/deep.*}}", data, "x:7");
    gives("{{#s.*}}never{{/s.*}}{{^s.*}}no entries{{/s.*}}", data, "no entries");
    gives("{{#.*}}{{*}} {{/.*}}", "{\"a\":1}", "");
    refused("{{*}}", data, TENURE_ENOTFOUND, "'*'");
}

static void false_words_of_a_store_are_false(void **state)
{
    static const char *const words[] = {"", "false", "no", "off", "0"};
    char data[64];
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(data, sizeof data, "{\"tls\":\"%s\"}", words[i]);
        gives("{{#tls}}on{{/tls}}{{^tls}}off{{/tls}}", data, "off");
    }
    gives("{{#tls}}on{{/tls}}", "{\"tls\":\"true\"}", "on");
}

static void a_string_that_holds_json_is_looked_into(void **state)
{
    static const char data[] =
        "{\"l\":\" [{\\\"h\\\":\\\"a\\\"},{\\\"h\\\":\\\"b\\\"}]\",\"o\":\"{\\\"k\\\": 1.5}\",\"n\":\"{no\"}";
    (void)state;
    gives("{{#l}}{{h}} {{/l}}{{#l}}{{h}}{{/l}}", data, "a b ab");
    gives("{{o/k}} {{o}}", data, "1.5 {\"k\": 1.5}");
    gives("{{n}}{{#n}}!{{/n}}", data, "{no!");
    refused("{{n/k}}", data, TENURE_ENOTFOUND, "n/k");
}

static void a_key_that_has_others_below_it_has_its_own_value(void **state)
{
    (void)state;
    gives("{{a}} {{a/b}} {{#a.*}}{{*}}{{/a.*}}", "{\"a\":{\"\":\"own\",\"b\":\"x\"}}", "own x b");
}

static void values_are_escaped_for_where_they_go(void **state)
{
    static const char data[] = "{\"v\":\"a'b\\\"c\\\\d\\ne<&\\u0001\"}";
    (void)state;
    gives("{{v}}", data, "a'b\"c\\d\ne<&\x01");
    assert_int_equal(
        render_with("'{{v}}'{{{v}}}", "{\"v\":\"a'b\"}", NULL, &(struct template_options){.escape = TEMPLATE_SHELL}),
        0);
    assert_string_equal((const char *)out.data, "'a'\\''b'a'b");
    assert_int_equal(render_with("\"{{v}}\"", data, NULL, &(struct template_options){.escape = TEMPLATE_JSON}), 0);
    assert_string_equal((const char *)out.data, "\"a'b\\\"c\\\\d\\ne<&\\u0001\"");
    assert_int_equal(render_with("{{v:-<}}", "{}", NULL, &(struct template_options){.escape = TEMPLATE_HTML}), 0);
    assert_string_equal((const char *)out.data, "&lt;");
}

static void numbers_are_as_they_were_written(void **state)
{
    (void)state;
    gives("{{a}} {{b}} {{c}} {{d}}", "{\"a\":0.1,\"b\":1e300,\"c\":-9007199254740993,\"d\":true}",
          "0.1 1e+300 -9007199254740993 true");
}

static void wrong_templates_are_refused(void **state)
{
    (void)state;
    refused("a\n{{#x}}\nb", "{}", TENURE_EINVALID, "t:2: the section 'x' is not ended");
    refused("{{#x}}{{/y}}", "{}", TENURE_EINVALID, "the open one is 'x'");
    refused("{{/y}}", "{}", TENURE_EINVALID, "ends no section: 'y'");
    refused("\n\n{{x", "{}", TENURE_EINVALID, "t:3: this tag is not closed");
    refused("{{{x}}", "{\"x\":1}", TENURE_EINVALID, "not closed");
    refused("{{}}", "{}", TENURE_EINVALID, "without a name");
    refused("{{ :-x}}", "{}", TENURE_EINVALID, "without a name");
    refused("{{=x=}}", "{}", TENURE_EINVALID, "delimiters");
    refused("{{=| = |=}}", "{}", TENURE_EINVALID, "delimiters");
    refused("{{> p}}", "{}", TENURE_ENOTFOUND, "t:1: there is no partial 'p'");
}

static void a_partial_names_its_own_lines(void **state)
{
    struct template_options o = {.escape = TEMPLATE_PLAIN};
    (void)state;
    assert_int_equal(render_with("a\n{{> p}}\n", "{}", "{\"p\":\"x\\n{{y}}\"}", &o), TENURE_ENOTFOUND);
    assert_non_null(strstr(err.text, "p:2: there is no 'y'"));
}

static void depth_is_bounded(void **state)
{
    struct template_options o = {.escape = TEMPLATE_PLAIN};
    char text[TEMPLATE_DEPTH_MAX * 12 + 64], *p = text;
    (void)state;
    assert_int_equal(render_with("{{> p}}", "{}", "{\"p\":\"{{> p}}\"}", &o), TENURE_ELIMIT);
    assert_int_equal(render_with("{{> p}}", "{}", "{\"p\":\"{{> p}}{{> p}}{{^n}}{{> p}}{{/n}}\"}", &o), TENURE_ELIMIT);
    for (int i = 0; i <= TEMPLATE_DEPTH_MAX; i++)
        p += sprintf(p, "{{#a}}");
    refused(text, "{}", TENURE_ELIMIT, "sections");
}

static void work_is_bounded(void **state)
{
    struct template_options o = {.escape = TEMPLATE_PLAIN};
    (void)state;
    /* Each level of the data doubles, and none of the depth is too much. */
    const char *p = "{\"p\":\"{{#a}}{{#b}}{{> p}}{{/b}}{{/a}}{{#a}}{{#b}}{{> p}}{{/b}}{{/a}}\"}";
    assert_int_equal(render_with("{{#x}}{{> p}}{{/x}}", "{\"a\":[1,1,1],\"b\":[1,1],\"x\":1}", p, &o), TENURE_ELIMIT);
    char text[2048], *t = text;
    for (int i = 0; i < 30; i++)
        t += sprintf(t, "{{#a}}");
    for (int i = 0; i < 30; i++)
        t += sprintf(t, "{{/a}}");
    refused(text, "{\"a\":[1,2]}", TENURE_ELIMIT, "no end");
}

static void output_is_bounded(void **state)
{
    struct buf small;
    json_t *d = json_object();
    (void)state;
    buf_init(&small);
    small.len_max = 4;
    assert_int_equal(template_render(bytes_str("12345"), d, &(struct template_options){.name = "t"}, &small, &err),
                     TENURE_ETOOLARGE);
    buf_fini(&small);
    json_decref(d);
}

static int end(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specification_holds),
        cmocka_unit_test(values_are_found_by_path),
        cmocka_unit_test(a_missing_value_is_an_error_that_names_the_line),
        cmocka_unit_test(a_default_stands_for_what_is_missing_or_empty),
        cmocka_unit_test(entries_of_an_object_come_in_turn),
        cmocka_unit_test(false_words_of_a_store_are_false),
        cmocka_unit_test(a_string_that_holds_json_is_looked_into),
        cmocka_unit_test(a_key_that_has_others_below_it_has_its_own_value),
        cmocka_unit_test(values_are_escaped_for_where_they_go),
        cmocka_unit_test(numbers_are_as_they_were_written),
        cmocka_unit_test(wrong_templates_are_refused),
        cmocka_unit_test(a_partial_names_its_own_lines),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(output_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
