#include "lib/config_schema_valid.h"

#include <stdio.h>
#include <string.h>

enum { SCHEMA_BYTES_MAX = 1024 * 1024, DEPTH_MAX = 64, WHERE_SIZE = 120 };

/* ---- as it is used ---- */

static const char *const later[] = {"const", "if", "contains", "propertyNames", "$defs", "dependentRequired"};

static int check_is_known(const json_t *schema, struct tenure_error *err)
{
    const char *draft = json_string_value(json_object_get(schema, "$schema"));
    if (draft && !strstr(draft, "draft-04") && !strstr(draft, "//json-schema.org/schema#"))
        return error_set(err, TENURE_EINVALID, "config: the schema is of %.100s; draft 4 is what can be checked",
                         draft);
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        if (json_object_get(schema, later[i]))
            return error_set(err, TENURE_EINVALID, "config: \"%s\" in the schema is of a later draft than 4", later[i]);
    return 0;
}

int config_schema_read(bytes text, json_t **ret, struct tenure_error *err)
{
    json_error_t why;
    if (text.len > SCHEMA_BYTES_MAX)
        return error_set(err, TENURE_ELIMIT, "config: a schema of more than 1 MiB");
    json_t *j = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(j)) {
        int rc = error_set(err, TENURE_EINVALID, "config: it is no JSON Schema: line %d: %.120s", j ? 1 : why.line,
                           j ? "not an object" : why.text);
        json_decref(j);
        return rc;
    }
    int rc = check_is_known(j, err);
    if (rc)
        json_decref(j);
    else
        *ret = j;
    return rc;
}

/* ---- the whole of it ---- */

/* Where a keyword stands: the way there, as a JSON pointer without its escapes. */
struct place {
    const struct place *above;
    const char *name;
    int depth;
    struct tenure_error *err;
};

static size_t way(const struct place *p, char *out, size_t len)
{
    if (!p->above)
        return 0;
    size_t at = way(p->above, out, len);
    return at +
           (size_t)snprintf(out + (at < len ? at : len - 1), at < len ? len - at : 1, "%s%s", at ? "/" : "", p->name);
}

static int wrong(const struct place *p, const char *expected)
{
    char where[WHERE_SIZE] = "";
    way(p, where, sizeof where);
    where[bytes_utf8_cut(bytes_str(where), sizeof where - 1)] = 0;
    return error_set(p->err, TENURE_EINVALID, "config: it is no JSON Schema: \"%s\": expected %s", where, expected);
}

static int check_schema(const json_t *schema, const struct place *p);

static struct place below(const struct place *p, const char *name)
{
    return (struct place){p, name, p->depth + 1, p->err};
}

/* ---- the kinds of values ---- */

static int check_type_name(const json_t *v, const struct place *p)
{
    static const char *const names[] = {"array", "boolean", "integer", "null", "number", "object", "string"};
    char said[160];
    const char *name = json_string_value(v);
    for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return 0;
    snprintf(said, sizeof said, "array, boolean, integer, null, number, object or string%s%.40s%s",
             name ? ", not \"" : "", name ? name : "", name ? "\"" : "");
    return wrong(p, said);
}

static int check_type(const json_t *v, const struct place *p)
{
    int rc = json_is_array(v) ? 0 : check_type_name(v, p);
    if (json_is_array(v) && json_array_size(v) == 0)
        return wrong(p, "a type");
    for (size_t i = 0; rc == 0 && i < json_array_size(v); i++)
        rc = check_type_name(json_array_get(v, i), p);
    return rc;
}

static int check_map(const json_t *v, const struct place *p)
{
    const char *name;
    json_t *member;
    if (!json_is_object(v))
        return wrong(p, "an object of schemas");
    json_object_foreach((json_t *)v, name, member)
    {
        struct place at = below(p, name);
        int rc = check_schema(member, &at);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_list(const json_t *v, const struct place *p)
{
    int rc = 0;
    if (!json_is_array(v) || json_array_size(v) == 0)
        return wrong(p, "a list of schemas");
    for (size_t i = 0; rc == 0 && i < json_array_size(v); i++)
        rc = check_schema(json_array_get(v, i), p);
    return rc;
}

static int check_items(const json_t *v, const struct place *p)
{
    return json_is_array(v) ? check_list(v, p) : check_schema(v, p);
}

static int check_additional(const json_t *v, const struct place *p)
{
    return json_is_boolean(v) ? 0 : check_schema(v, p);
}

static int check_names(const json_t *v, const struct place *p)
{
    if (!json_is_array(v) || json_array_size(v) == 0)
        return wrong(p, "a list of names (draft 4)");
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)))
            return wrong(p, "a list of names (draft 4)");
    return 0;
}

static int check_dependencies(const json_t *v, const struct place *p)
{
    const char *name;
    json_t *member;
    if (!json_is_object(v))
        return wrong(p, "an object of schemas or lists of names");
    json_object_foreach((json_t *)v, name, member)
    {
        struct place at = below(p, name);
        int rc = json_is_array(member) ? check_names(member, &at) : check_schema(member, &at);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_number(const json_t *v, const struct place *p)
{
    return json_is_number(v) ? 0 : wrong(p, "a number");
}

static int check_multiple(const json_t *v, const struct place *p)
{
    return json_is_number(v) && json_number_value(v) > 0 ? 0 : wrong(p, "a number above 0");
}

static int check_count(const json_t *v, const struct place *p)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 ? 0 : wrong(p, "a whole number from 0 on");
}

static int check_flag(const json_t *v, const struct place *p)
{
    return json_is_boolean(v) ? 0 : wrong(p, "true or false (draft 4)");
}

static int check_text(const json_t *v, const struct place *p)
{
    return json_is_string(v) ? 0 : wrong(p, "a string");
}

static int check_values(const json_t *v, const struct place *p)
{
    return json_array_size(v) > 0 ? 0 : wrong(p, "a list of values");
}

static int check_later(const json_t *v, const struct place *p)
{
    (void)v;
    return wrong(p, "draft 4, which does not have it");
}

static const struct keyword {
    const char *name;
    int (*check)(const json_t *v, const struct place *p);
} keywords[] = {{"type", check_type},
                {"properties", check_map},
                {"patternProperties", check_map},
                {"definitions", check_map},
                {"allOf", check_list},
                {"anyOf", check_list},
                {"oneOf", check_list},
                {"not", check_schema},
                {"items", check_items},
                {"additionalItems", check_additional},
                {"additionalProperties", check_additional},
                {"required", check_names},
                {"dependencies", check_dependencies},
                {"minimum", check_number},
                {"maximum", check_number},
                {"multipleOf", check_multiple},
                {"exclusiveMinimum", check_flag},
                {"exclusiveMaximum", check_flag},
                {"uniqueItems", check_flag},
                {"minLength", check_count},
                {"maxLength", check_count},
                {"minItems", check_count},
                {"maxItems", check_count},
                {"minProperties", check_count},
                {"maxProperties", check_count},
                {"pattern", check_text},
                {"$ref", check_text},
                {"enum", check_values}};

static int check_schema(const json_t *schema, const struct place *p)
{
    int rc = 0;
    if (!json_is_object(schema))
        return wrong(p, "an object");
    if (p->depth > DEPTH_MAX)
        return wrong(p, "fewer schemas in one another");
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(keywords) + ARRAY_LEN(later); i++) {
        const char *name = i < ARRAY_LEN(keywords) ? keywords[i].name : later[i - ARRAY_LEN(keywords)];
        const json_t *v = json_object_get(schema, name);
        struct place at = below(p, name);
        if (v)
            rc = i < ARRAY_LEN(keywords) ? keywords[i].check(v, &at) : check_later(v, &at);
    }
    return rc;
}

int config_schema_valid(const json_t *schema, struct tenure_error *err)
{
    return check_schema(schema, &(struct place){.err = err});
}
