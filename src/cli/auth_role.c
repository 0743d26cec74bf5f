/* tenure auth role: add, delete, get, list, grant, revoke. */
#include <stdio.h>
#include <string.h>

#include "cli/auth.h"
#include "cli/connect.h"
#include "cli/output.h"

static const char *const types[] = {"read", "write", "readwrite"};

static int add(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    int rc = tenure_role_add(c, words[0], &err);
    return auth_done(g, rc, &err, "role", words[0], "added");
}

static int delete (tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    int rc = tenure_role_delete(c, words[0], &err);
    return auth_done(g, rc, &err, "role", words[0], "deleted");
}

static int list(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_names *roles = NULL;
    (void)words;
    if (tenure_role_list(c, &roles, &err) < 0)
        return connect_failed("auth", g, &err);
    return auth_print_names(g, "roles", roles);
}

/* ---- permissions ---- */

static const char *type_name(enum tenure_permission_type type)
{
    return (unsigned)type < sizeof types / sizeof *types ? types[type] : "none";
}

static bool is_zero(struct tenure_bytes b)
{
    return b.len == 1 && *(const char *)b.data == 0;
}

/* Whether end is the first key behind all that begin with key. */
static bool is_prefix_of(struct tenure_bytes key, struct tenure_bytes end)
{
    const unsigned char *k = key.data, *e = end.data;
    return key.len > 0 && key.len == end.len && memcmp(k, e, key.len - 1) == 0 && k[key.len - 1] + 1 == e[key.len - 1];
}

/* Of a permission: "/a", "/a*" (prefix), "/a..." (and behind), "/a .. /b". */
static void show_keys(const json_t *record, struct buf *to)
{
    const json_t *k = json_object_get(record, "key"), *e = json_object_get(record, "range_end");
    struct tenure_bytes key = {json_string_value(k), json_string_length(k)};
    struct tenure_bytes end = {json_string_value(e), json_string_length(e)};
    if (!k || !e)
        buf_printf(to, "(not text)");
    else if (is_zero(key) && is_zero(end))
        buf_printf(to, "*");
    else
        buf_append(to, key.data, key.len);
    if (!k || !e || is_zero(key) || end.len == 0)
        return;
    if (is_zero(end))
        buf_printf(to, "...");
    else if (is_prefix_of(key, end))
        buf_printf(to, "*");
    else
        buf_printf(to, " .. %s", (const char *)end.data);
}

static const struct output_form form = {
    .lists = {"permissions"},
    .columns = (const struct output_column[]){{.path = "type", .heading = "TYPE"},
                                              {.path = "key", .heading = "KEYS", .show = show_keys},
                                              {0}},
};

static void print_text(const struct tenure_permission *p)
{
    printf("%-9s  ", type_name(p->type));
    if (is_zero(p->key) && is_zero(p->range_end))
        puts("all keys");
    else if (p->range_end.len == 0)
        printf("%.*s\n", (int)p->key.len, (const char *)p->key.data);
    else if (is_zero(p->range_end))
        printf("%.*s and all keys behind it\n", (int)p->key.len, (const char *)p->key.data);
    else if (is_prefix_of(p->key, p->range_end))
        printf("%.*s* (prefix)\n", (int)p->key.len, (const char *)p->key.data);
    else
        printf("from %.*s up to %.*s\n", (int)p->key.len, (const char *)p->key.data, (int)p->range_end.len,
               (const char *)p->range_end.data);
}

static int get(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_permissions *r = NULL;
    if (tenure_role_get(c, words[0], &r, &err) < 0)
        return connect_failed("auth", g, &err);
    json_t *all = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < r->n; i++) {
        if (!all) {
            print_text(&r->permissions[i]);
            continue;
        }
        json_t *one = json_pack("{s:s}", "type", type_name(r->permissions[i].type));
        output_set_bytes(one, "key", r->permissions[i].key);
        output_set_bytes(one, "range_end", r->permissions[i].range_end);
        json_array_append_new(all, one);
    }
    if (all)
        output_print(g, &form, json_pack("{s:s,s:o}", "role", words[0], "permissions", all));
    tenure_permissions_free(r);
    return EXIT_OK;
}

static struct tenure_permission_range range_of_options(const char *key)
{
    return (struct tenure_permission_range){
        .key = tenure_str(key),
        .prefix = auth_opt.prefix,
        .from_key = auth_opt.from_key,
        .range_end = tenure_str(auth_opt.range_end ? auth_opt.range_end : ""),
    };
}

static int grant(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_permission_range range = range_of_options(words[2]);
    size_t type = 0;
    while (type < sizeof types / sizeof *types && strcmp(words[1], types[type]) != 0)
        type++;
    if (type == sizeof types / sizeof *types) {
        fprintf(stderr, "tenure auth role grant: '%s' is no permission: expected read, write or readwrite\n", words[1]);
        return EXIT_USAGE;
    }
    int rc = tenure_role_grant(c, words[0], (enum tenure_permission_type)type, &range, &err);
    return auth_done(g, rc, &err, "role", words[0], "changed");
}

static int revoke(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_permission_range range = range_of_options(words[1]);
    int rc = tenure_role_revoke(c, words[0], &range, &err);
    return auth_done(g, rc, &err, "role", words[0], "changed");
}

const struct auth_action auth_role_actions[] = {
    {"add", 1, 1, "NAME", add},
    {"delete", 1, 1, "NAME", delete},
    {"get", 1, 1, "NAME", get},
    {"list", 0, 0, "", list},
    {"grant", 3, 3, "NAME read|write|readwrite KEY", grant},
    {"revoke", 2, 2, "NAME KEY", revoke},
    {NULL, 0, 0, NULL, NULL},
};
