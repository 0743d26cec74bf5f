/* tenure config schema: shows, stores, tries or takes away the JSON Schema of the keys below a prefix. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf_text.h"
#include "cli/connect.h"
#include "lib/config_schema_valid.h"

static int show(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p)
{
    struct tenure_error err = {0};
    char *schema = NULL;
    if (tenure_config_schema_get(c, keys, &p->o, &schema, &err) < 0)
        return conf_failed(g, &err);
    fputs(schema, stdout);
    if (!*schema || schema[strlen(schema) - 1] != '\n')
        putchar('\n');
    free(schema);
    return EXIT_OK;
}

/* Whether what there is would fit. */
static int try(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
               const char *schema)
{
    struct tenure_error err = {0};
    struct tenure_config_list *list = NULL;
    int code = conf_read(c, g, keys, p, &list);
    if (code != EXIT_OK)
        return code;
    if (tenure_config_check(list, keys, schema, &err) < 0) {
        conf_failed(g, &err);
        code = EXIT_FAILED;
    }
    tenure_config_list_free(list);
    return code;
}

static int store(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
                 const char *schema)
{
    struct tenure_error err = {0};
    if (tenure_config_schema_set(c, keys, schema, &p->o, &err) == 0)
        return EXIT_OK;
    return conf_failed(g, &err);
}

/* A file that is wrong, which is said before anybody is asked. */
static bool is_schema(const char *path, const char *schema)
{
    struct tenure_error err = {0};
    json_t *j = NULL;
    int rc = config_schema_read(bytes_str(schema), &j, &err);
    rc = rc ? rc : config_schema_valid(j, &err);
    json_decref(j);
    if (rc)
        fprintf(stderr, "tenure config: %s: %s\n", path, connect_text("config", &err));
    return rc == 0;
}

static int act(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
               const char *path)
{
    char *schema;
    size_t len;
    if (!path)
        return conf_opt.remove ? store(c, g, keys, p, NULL) : show(c, g, keys, p);
    if (!(schema = conf_file_text(path, &len)))
        return EXIT_USAGE; /* a file that is wrong */
    if (!is_schema(path, schema)) {
        free(schema);
        return EXIT_USAGE;
    }
    int code = conf_opt.dry ? try(c, g, keys, p, schema) : store(c, g, keys, p, schema);
    free(schema);
    return code;
}

int conf_schema(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    if (n > 1 && conf_opt.remove)
        return conf_usage("schema: --remove takes a PREFIX and no FILE");
    if (!conf_place_of(&p, NULL, g))
        return EXIT_USAGE;
    char *keys = conf_prefix(words[0]);
    tenure_client *c = connect_open("config", g);
    int code = c ? act(c, g, keys, &p, n > 1 ? words[1] : NULL) : connect_code();
    tenure_close(c);
    conf_place_fini(&p);
    free(keys);
    return code;
}
