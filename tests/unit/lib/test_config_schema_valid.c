/* What is a JSON Schema of draft 4, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/config_schema_valid.h"

static int valid(const char *text, struct tenure_error *err)
{
    json_t *j = NULL;
    int rc = config_schema_read(bytes_str(text), &j, err);
    rc = rc ? rc : config_schema_valid(j, err);
    json_decref(j);
    return rc;
}

static void schemas_of_draft_4_are_taken(void **state)
{
    static const char *const good[] = {
        "{}",
        "{\"$schema\": \"http://json-schema.org/draft-04/schema#\", \"title\": \"x\", \"x-own\": 1}",
        "{\"type\": [\"integer\", \"string\"], \"minimum\": 1, \"exclusiveMinimum\": true, \"multipleOf\": 0.5}",
        "{\"properties\": {\"type\": {\"type\": \"string\"}, \"if\": {\"enum\": [1, \"a\", null]}}}",
        "{\"definitions\": {\"p\": {\"type\": \"integer\"}}, \"properties\": {\"a\": {\"$ref\": \"#/definitions/p\"}}}",
        "{\"items\": [{\"type\": \"string\"}], \"additionalItems\": false, \"uniqueItems\": true, \"maxItems\": 3}",
        "{\"anyOf\": [{\"required\": [\"a\"]}, {\"not\": {}}], \"dependencies\": {\"a\": [\"b\"], \"c\": {}}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct tenure_error err = {0};
        if (valid(good[i], &err) != 0)
            fail_msg("%s: %s", good[i], err.text);
    }
}

static void what_draft_4_does_not_have_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"type\": \"strnig\"}", "\"type\": expected array, boolean"},
        {"{\"type\": \"strnig\"}", "\"strnig\""},
        {"{\"type\": []}", "\"type\""},
        {"{\"type\": [\"string\", 1]}", "\"type\""},
        {"{\"properties\": {\"port\": {\"type\": \"int\"}}}", "\"properties/port/type\""},
        {"{\"properties\": {\"port\": \"integer\"}}", "\"properties/port\": expected an object"},
        {"{\"properties\": []}", "\"properties\""},
        {"{\"items\": {\"minimum\": \"1\"}}", "\"items/minimum\": expected a number"},
        {"{\"minimum\": 1, \"exclusiveMinimum\": 3}", "exclusiveMinimum"},
        {"{\"multipleOf\": 0}", "multipleOf"},
        {"{\"maxLength\": -1}", "maxLength"},
        {"{\"maxLength\": 1.5}", "maxLength"},
        {"{\"properties\": {\"a\": {\"required\": true}}}", "\"properties/a/required\": expected a list of names"},
        {"{\"required\": []}", "required"},
        {"{\"anyOf\": []}", "anyOf"},
        {"{\"anyOf\": [{\"enum\": []}]}", "\"anyOf/enum\""},
        {"{\"not\": true}", "not"},
        {"{\"additionalProperties\": \"no\"}", "additionalProperties"},
        {"{\"pattern\": 1}", "pattern"},
        {"{\"dependencies\": {\"a\": \"b\"}}", "\"dependencies/a\""},
        {"{\"properties\": {\"a\": {\"const\": 1}}}", "\"properties/a/const\": expected draft 4"},
        {"{\"const\": 1}", "later draft"},
        {"{\"$schema\": \"http://json-schema.org/draft-07/schema#\"}", "draft-07"},
        {"[]", "not an object"},
        {"{", "line 1"},
        {"{\"type\": \"string\", \"type\": \"object\"}", "duplicate"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tenure_error err = {0};
        assert_int_equal(valid(bad[i].text, &err), TENURE_EINVALID);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: nothing of %s in: %s", bad[i].text, bad[i].says, err.text);
    }
}

static void schemas_in_one_another_come_to_an_end(void **state)
{
    char text[1024] = "";
    struct tenure_error err = {0};
    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(text, "{\"not\":");
    strcat(text, "{}");
    for (int i = 0; i < 100; i++)
        strcat(text, "}");
    assert_int_equal(valid(text, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "fewer schemas"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_of_draft_4_are_taken),
        cmocka_unit_test(what_draft_4_does_not_have_is_refused_with_its_place),
        cmocka_unit_test(schemas_in_one_another_come_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
