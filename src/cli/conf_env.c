#include "cli/conf_env.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* malloc'd; a digit in front gets an underscore before it. */
static char *name_of(const char *key, bool upcase)
{
    size_t n = strlen(key), at = 0;
    char *name = malloc(n + 2);
    if (!name)
        return NULL;
    if (isdigit((unsigned char)*key))
        name[at++] = '_';
    for (; *key; key++) {
        unsigned char c = (unsigned char)*key;
        bool fits = c < 0x80 && isalnum(c);
        name[at++] = (char)(!fits ? '_' : upcase ? toupper(c) : c);
    }
    name[at] = 0;
    return name;
}

static int by_name(const void *a, const void *b)
{
    const struct spawn_variable *const *va = a, *const *vb = b;
    return strcmp((*va)->name, (*vb)->name);
}

/* Two keys that would be one variable: which of them counted would be chance. */
static int find_twins(const struct conf_env *e, const struct tenure_config_list *list, struct tenure_error *err)
{
    const struct spawn_variable **sorted = calloc(e->n + 1, sizeof *sorted);
    int rc = sorted ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; sorted && i < e->n; i++)
        sorted[i] = &e->all[i];
    if (sorted)
        qsort(sorted, e->n, sizeof *sorted, by_name);
    for (size_t i = 1; rc == 0 && i < e->n; i++) {
        size_t a = (size_t)(sorted[i - 1] - e->all), b = (size_t)(sorted[i] - e->all);
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            rc = error_set(err, TENURE_EINVALID, "%s and %s would both be the variable %s",
                           list->entries[a < b ? a : b].key, list->entries[a < b ? b : a].key, sorted[i]->name);
    }
    free(sorted);
    return rc;
}

static int add(struct conf_env *e, const struct tenure_config_entry *from, size_t cut, bool upcase,
               struct tenure_error *err)
{
    if (from->problem)
        return error_set(err, TENURE_EDENIED, "%s: %s", from->key, from->problem);
    if (memchr(from->value, 0, from->value_len))
        return error_set(err, TENURE_EINVALID, "%s: its value has a byte 0, which no variable can have", from->key);
    struct spawn_variable v = {name_of(from->key + cut, upcase), strndup(from->value, from->value_len)};
    e->all[e->n++] = v;
    return v.name && v.value ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

int conf_env_make(struct conf_env *ret, const struct tenure_config_list *list, const char *keys, bool upcase,
                  struct tenure_error *err)
{
    *ret = (struct conf_env){.all = calloc(list->n + 1, sizeof *ret->all)};
    int rc = ret->all ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = add(ret, &list->entries[i], strlen(keys), upcase, err);
    if (rc == 0)
        rc = find_twins(ret, list, err);
    if (rc < 0)
        conf_env_fini(ret);
    return rc;
}

void conf_env_fini(struct conf_env *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free((char *)e->all[i].name);
        free((char *)e->all[i].value);
    }
    free(e->all);
    *e = (struct conf_env){0};
}

bool conf_env_equal(const struct conf_env *a, const struct conf_env *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->all[i].name, b->all[i].name) != 0 || strcmp(a->all[i].value, b->all[i].value) != 0)
            return false;
    return true;
}
