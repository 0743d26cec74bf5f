/* Files of a configuration: what is written is read as it was, and what people write by hand is read as they mean it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "lib/config_list.h"

static struct tenure_error err;

static struct tenure_config_list *read_as(enum tenure_config_format format, const char *text)
{
    struct tenure_config_list *l = NULL;
    int rc = tenure_config_parse(text, strlen(text), "b/", format, &l, &err);
    if (rc)
        fail_msg("%s: %s", err.text, text);
    return l;
}

static void has(const struct tenure_config_list *l, const char *key, const char *value)
{
    const struct tenure_config_entry *e = tenure_config_find(l, key);
    if (!e)
        fail_msg("there is no %s", key);
    assert_string_equal(e->value, value);
}

static void is_refused(enum tenure_config_format format, const char *text, const char *why)
{
    struct tenure_config_list *l = NULL;
    assert_int_equal(tenure_config_parse(text, strlen(text), "b/", format, &l, &err), TENURE_EINVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void same_again(const struct tenure_config_list *l, enum tenure_config_format format)
{
    char *text = NULL;
    struct tenure_config_list *back = NULL;
    struct tenure_config_differences *d = NULL;
    assert_int_equal(tenure_config_format(l, "b/", format, &text, &err), 0);
    if (tenure_config_parse(text, strlen(text), "b/", format, &back, &err))
        fail_msg("%s: %s", err.text, text);
    assert_int_equal(tenure_config_diff(l, back, &d, &err), 0);
    if (d->n)
        fail_msg("%s differs: %s", d->changes[0].key, text);
    tenure_config_differences_free(d);
    tenure_config_list_free(back);
    free(text);
}

static void json_is_read_nested_and_flat(void **state)
{
    (void)state;
    struct tenure_config_list *l = read_as(
        TENURE_CONFIG_JSON, "{\"db\": {\"url\": \"x\", \"port\": 5432}, \"a/b\": true, \"l\": [1, {\"x\": 2.5}],"
                            " \"r\": 0.1, \"e\": {}, \"s\": \"\"}");
    assert_int_equal(l->n, 6);
    has(l, "b/db/url", "x");
    has(l, "b/db/port", "5432");
    has(l, "b/a/b", "true");
    has(l, "b/l", "[1,{\"x\":2.5}]");
    has(l, "b/r", "0.1");
    has(l, "b/s", "");
    tenure_config_list_free(l);
}

static void yaml_is_read_and_its_scalars_keep_their_text(void **state)
{
    (void)state;
    struct tenure_config_list *l =
        read_as(TENURE_CONFIG_YAML, "# c\ndb:\n  url: x y\n  port: 05432\non: yes\nq: \"\"\n"
                                    "l: [1, two, {a: 3}]\ntext: |\n  one\n  two\na/b: 1.50\n");
    has(l, "b/db/url", "x y");
    has(l, "b/db/port", "05432");
    has(l, "b/on", "yes");
    has(l, "b/q", "");
    has(l, "b/l", "[1,\"two\",{\"a\":3}]");
    has(l, "b/text", "one\ntwo\n");
    has(l, "b/a/b", "1.50");
    tenure_config_list_free(l);
    l = read_as(TENURE_CONFIG_YAML, "");
    assert_int_equal(l->n, 0);
    tenure_config_list_free(l);
}

static void dotenv_is_read_as_shells_write_it(void **state)
{
    (void)state;
    struct tenure_config_list *l = read_as(
        TENURE_CONFIG_DOTENV, "# c\nexport DB__URL = \"a\\n$\\$ b\" # c\nPLAIN=a b # c\nHASH=a#b\nS='a\\n\"'\n\n"
                              "# tenure: max-conn\nMAX_CONN=5\r\nEMPTY=\nLINES=\"1\n2\"\nMAX_CONN=6");
    has(l, "b/db/url", "a\n$$ b");
    has(l, "b/plain", "a b");
    has(l, "b/hash", "a#b");
    has(l, "b/s", "a\\n\"");
    has(l, "b/max-conn", "5");
    has(l, "b/max_conn", "6");
    has(l, "b/empty", "");
    has(l, "b/lines", "1\n2");
    tenure_config_list_free(l);
}

static void what_cannot_be_meant_is_refused_with_its_place(void **state)
{
    (void)state;
    is_refused(TENURE_CONFIG_JSON, "{\n\"a\": }", "line 2");
    is_refused(TENURE_CONFIG_JSON, "[1]", "no object");
    is_refused(TENURE_CONFIG_JSON, "{\"a\": null}", "b/a\" is null");
    is_refused(TENURE_CONFIG_JSON, "{\"a\": \"1\", \"a\": \"2\"}", "duplicate");
    is_refused(TENURE_CONFIG_JSON, "{\"a/b\": \"1\", \"a\": {\"b\": \"2\"}}", "twice");
    is_refused(TENURE_CONFIG_JSON, "{\"a//b\": 1}", "empty part");
    is_refused(TENURE_CONFIG_JSON, "{\"@env\": 1}", "@");
    is_refused(TENURE_CONFIG_YAML, "a:\n", "null");
    is_refused(TENURE_CONFIG_YAML, "a: 1\na: 2\n", "line 2");
    is_refused(TENURE_CONFIG_YAML, "a: &x 1\nb: *x\n", "aliases");
    is_refused(TENURE_CONFIG_YAML, "a: !!int 1\n", "tags");
    is_refused(TENURE_CONFIG_YAML, "a: 1\n---\nb: 1\n", "more than one document");
    is_refused(TENURE_CONFIG_YAML, "a: [1\n", "line");
    is_refused(TENURE_CONFIG_YAML, "- a\n", "no object");
    is_refused(TENURE_CONFIG_DOTENV, "A=1\nB\n", "line 2");
    is_refused(TENURE_CONFIG_DOTENV, "A=\"1\n", "line 1: a quote");
    is_refused(TENURE_CONFIG_DOTENV, "A=\"1\" 2\n", "behind");
    is_refused(TENURE_CONFIG_DOTENV, "A=1\na=2\n", "twice");
}

static void what_a_format_cannot_hold_is_refused(void **state)
{
    (void)state;
    char *text = NULL;
    struct tenure_config_list *l = read_as(TENURE_CONFIG_JSON, "{\"a\": 1, \"a-c\": 3, \"a/b\": 2}");
    assert_int_equal(tenure_config_format(l, "b/", TENURE_CONFIG_JSON, &text, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "b/a/b"));
    same_again(l, TENURE_CONFIG_JSON_FLAT);
    same_again(l, TENURE_CONFIG_YAML_FLAT);
    same_again(l, TENURE_CONFIG_DOTENV);
    assert_int_equal(tenure_config_format(l, "c/", TENURE_CONFIG_JSON, &text, &err), TENURE_EINVALID);
    tenure_config_list_free(l);
    l = read_as(TENURE_CONFIG_JSON, "{\"a-b\": 1, \"a.b\": 3}");
    assert_int_equal(tenure_config_format(l, "b/", TENURE_CONFIG_DOTENV, &text, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "A_B"));
    tenure_config_list_free(l);
    struct config_pair raw[] = {{"b/a", "\xff", 1}};
    assert_int_equal(config_list_of(raw, 1, &l, &err), 0);
    for (int f = TENURE_CONFIG_JSON; f <= TENURE_CONFIG_DOTENV; f++)
        assert_int_equal(tenure_config_format(l, "b/", (enum tenure_config_format)f, &text, &err), TENURE_EINVALID);
    tenure_config_list_free(l);
}

static void numbers_are_written_as_numbers_where_they_read_back_the_same(void **state)
{
    char *text = NULL;
    (void)state;
    struct config_pair pairs[] = {{"b/a", "12", 2},        {"b/b", "1.50", 4},   {"b/c", "true", 4},
                                  {"b/d", "[1,\"x\"]", 7}, {"b/e", "[1, 2]", 6}, {"b/f", "0.25", 4},
                                  {"b/g/h", "x\"\n", 3}};
    struct tenure_config_list *l;
    assert_int_equal(config_list_of(pairs, 7, &l, &err), 0);
    assert_int_equal(tenure_config_format(l, "b/", TENURE_CONFIG_JSON, &text, &err), 0);
    assert_string_equal(text,
                        "{\n  \"a\": 12,\n  \"b\": \"1.50\",\n  \"c\": true,\n  \"d\": [1,\"x\"],\n  \"e\": \"[1, 2]\","
                        "\n  \"f\": 0.25,\n  \"g\": {\n    \"h\": \"x\\\"\\n\"\n  }\n}\n");
    free(text);
    assert_int_equal(tenure_config_format(l, "b/", TENURE_CONFIG_YAML, &text, &err), 0);
    assert_string_equal(text,
                        "\"a\": 12\n\"b\": \"1.50\"\n\"c\": true\n\"d\": [1,\"x\"]\n\"e\": \"[1, 2]\"\n\"f\": 0.25\n"
                        "\"g\":\n  \"h\": \"x\\\"\\n\"\n");
    free(text);
    tenure_config_list_free(l);
}

/* Texts made of what is special somewhere. */
static size_t random_text(struct rng *r, char *out, bool is_key)
{
    static const char *const pieces[] = {"a",
                                         "B",
                                         "/",
                                         "-",
                                         ".",
                                         "1",
                                         "0",
                                         "_",
                                         "é",
                                         "\xf0\x9f\x98\x80",
                                         "true",
                                         "\"",
                                         "\\",
                                         "'",
                                         " ",
                                         "\n",
                                         "\xc2\x85",
                                         "\t",
                                         "#",
                                         "$",
                                         "[",
                                         "]",
                                         ":",
                                         "{",
                                         "1e5",
                                         "`",
                                         "\r",
                                         "\x1b",
                                         "\xe2\x80\xa8",
                                         "="};
    size_t n = rng_below(r, 6) + (is_key ? 1 : 0), len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[rng_below(r, is_key ? 10 : ARRAY_LEN(pieces))];
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    out[len] = 0;
    return len;
}

static bool clashes(const struct config_pair *pairs, size_t n, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(pairs[i].key), least = other < len ? other : len;
        if (strncmp(pairs[i].key, key, least) == 0 &&
            (other == len || (other > len ? pairs[i].key : key)[least] == '/'))
            return true;
    }
    return false;
}

static void whatever_is_written_is_read_as_it_was(void **state)
{
    struct rng r;
    (void)state;
    rng_init(&r, 7);
    for (int round = 0; round < 2000; round++) {
        static char keys[8][64], values[8][64];
        struct config_pair pairs[8];
        size_t n = 0;
        for (size_t i = 0; i < 8; i++) {
            memcpy(keys[n], "b/", 2);
            random_text(&r, keys[n] + 2, true);
            size_t len = random_text(&r, values[n], false);
            char *at = keys[n];
            bool ok = !strstr(at, "//") && at[strlen(at) - 1] != '/' && !clashes(pairs, n, at);
            if (ok) {
                pairs[n] = (struct config_pair){keys[n], values[n], len};
                n++;
            }
        }
        struct tenure_config_list *l;
        assert_int_equal(config_list_of(pairs, n, &l, &err), 0);
        for (int f = TENURE_CONFIG_JSON; f <= TENURE_CONFIG_YAML_FLAT; f++)
            same_again(l, (enum tenure_config_format)f);
        char *text = NULL;
        if (tenure_config_format(l, "b/", TENURE_CONFIG_DOTENV, &text, &err) == 0)
            same_again(l, TENURE_CONFIG_DOTENV);
        else
            assert_non_null(strstr(err.text, "would both be named"));
        free(text);
        tenure_config_list_free(l);
    }
}

static void odd_keys_come_back_or_are_refused(void **state)
{
    char *text = NULL;
    (void)state;
    struct tenure_config_list *l = read_as(TENURE_CONFIG_JSON, "{\"a \": 1, \"b\\t\": 2, \" c\": 3}");
    same_again(l, TENURE_CONFIG_DOTENV);
    tenure_config_list_free(l);
    l = read_as(TENURE_CONFIG_DOTENV, "# tenure: a b\r\nA_B=1\r\n");
    has(l, "b/a b", "1");
    tenure_config_list_free(l);
    /* no UTF-8, in a part that is an object's name in nested formats */
    l = read_as(TENURE_CONFIG_DOTENV, "# tenure: a\xf7/b\nA__B=1\n");
    for (int f = TENURE_CONFIG_JSON; f <= TENURE_CONFIG_DOTENV; f++)
        assert_int_equal(tenure_config_format(l, "b/", (enum tenure_config_format)f, &text, &err), TENURE_EINVALID);
    tenure_config_list_free(l);
}

/* ---- without memory ---- */

struct sweep {
    enum tenure_config_format format;
    const char *text;
};

/* Read, written, read again and compared. */
static int there_and_back(void *user)
{
    const struct sweep *s = user;
    struct tenure_config_list *l = NULL, *back = NULL;
    struct tenure_config_differences *d = NULL;
    char *text = NULL;
    int rc = tenure_config_parse(s->text, strlen(s->text), "b/", s->format, &l, &err);
    rc = rc ? rc : tenure_config_format(l, "b/", s->format, &text, &err);
    rc = rc ? rc : tenure_config_parse(text, strlen(text), "b/", s->format, &back, &err);
    rc = rc ? rc : tenure_config_diff(l, back, &d, &err);
    if (rc == 0)
        assert_int_equal(d->n, 0);
    tenure_config_differences_free(d);
    tenure_config_list_free(back);
    tenure_config_list_free(l);
    free(text);
    return rc;
}

static void without_memory_a_file_is_refused_and_nothing_is_left(void **state)
{
    static const struct sweep sweeps[] = {
        {TENURE_CONFIG_JSON,
         "{\"db\": {\"url\": \"x\", \"port\": 5432}, \"l\": [1, true, {\"y\": null}], \"t\": \"a\\nb\"}"},
        {TENURE_CONFIG_JSON_FLAT, "{\"db/url\": \"x\", \"c\": \"\"}"},
        {TENURE_CONFIG_YAML, "db:\n  url: x\n  list: [1, {a: b}]\nt: |\n  two\n  lines\n"},
        {TENURE_CONFIG_YAML_FLAT, "db/url: x\n"},
        {TENURE_CONFIG_DOTENV, "DB__URL=\"a b\"\nN=1\nE=\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        struct sweep s = sweeps[i];
        assert_int_equal(there_and_back(&s), 0); /* what is loaded once is loaded */
        assert_true(failmalloc_sweep(there_and_back, &s) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_keys_come_back_or_are_refused),
        cmocka_unit_test(without_memory_a_file_is_refused_and_nothing_is_left),
        cmocka_unit_test(json_is_read_nested_and_flat),
        cmocka_unit_test(yaml_is_read_and_its_scalars_keep_their_text),
        cmocka_unit_test(dotenv_is_read_as_shells_write_it),
        cmocka_unit_test(what_cannot_be_meant_is_refused_with_its_place),
        cmocka_unit_test(what_a_format_cannot_hold_is_refused),
        cmocka_unit_test(numbers_are_written_as_numbers_where_they_read_back_the_same),
        cmocka_unit_test(whatever_is_written_is_read_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
