/* What is to come of config.h: refuses what has to be refused, and answers that it is not there yet. */
#include <tenure/config.h>

#include <stdlib.h>

#include "base/error.h"

static int none(int bad, struct tenure_error *err)
{
    return error_set(err, bad ? TENURE_EINVALID : TENURE_EUNIMPLEMENTED,
                     bad ? "config: an argument is NULL" : "config: not there yet");
}
const char *tenure_config_layer_string(enum tenure_config_layer layer)
{
    (void)layer;
    ;
    static const char *const names[] = {"default", "environment", "service", "instance"};
    return (unsigned)layer < 4 ? names[layer] : "?";
}

void tenure_config_list_free(struct tenure_config_list *list)
{
    (void)list;
}

char *tenure_config_get(tenure_client *c, const char *key, const char *fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!c || !key, err);
    return NULL;
}

int tenure_config_read(tenure_client *c, const char *keys, const struct tenure_config_options *o,
                       struct tenure_config_list **ret, struct tenure_error *err)
{
    (void)o;
    return none(!c || !keys || !ret, err);
}

const struct tenure_config_entry *tenure_config_find(const struct tenure_config_list *list, const char *key)
{
    (void)list, (void)key;
    return NULL;
}

tenure_config *tenure_config_open(tenure_client *c, const char *keys, const struct tenure_config_options *o,
                                  struct tenure_error *err)
{
    (void)o;
    none(!c || !keys, err);
    return NULL;
}

void tenure_config_close(tenure_config *v)
{
    (void)v;
}

enum tenure_config_state tenure_config_state(const tenure_config *v)
{
    (void)v;
    return TENURE_CONFIG_ENDED;
}

int64_t tenure_config_stale_ms(const tenure_config *v)
{
    (void)v;
    return 0;
}

int64_t tenure_config_revision(const tenure_config *v)
{
    (void)v;
    return 0;
}

struct tenure_config_list *tenure_config_list(tenure_config *v)
{
    (void)v;
    return NULL;
}

int tenure_config_fd(tenure_config *v)
{
    (void)v;
    return -1;
}

bool tenure_config_changed(tenure_config *v)
{
    (void)v;
    return 0;
}

int tenure_config_wait(tenure_config *v, int64_t revision, int64_t timeout_ms, struct tenure_error *err)
{
    (void)revision, (void)timeout_ms;
    return none(!v, err);
}

char *tenure_config_string(tenure_config *v, const char *key, const char *fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return NULL;
}

int64_t tenure_config_int(tenure_config *v, const char *key, int64_t fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return fallback;
}

double tenure_config_float(tenure_config *v, const char *key, double fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return fallback;
}

bool tenure_config_bool(tenure_config *v, const char *key, bool fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return fallback;
}

int64_t tenure_config_duration_ms(tenure_config *v, const char *key, int64_t fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return fallback;
}

int64_t tenure_config_size_bytes(tenure_config *v, const char *key, int64_t fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return fallback;
}

char *tenure_config_json(tenure_config *v, const char *key, const char *fallback, struct tenure_error *err)
{
    (void)fallback;
    none(!v || !key, err);
    return NULL;
}

int tenure_config_apply(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                        const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err)
{
    (void)n, (void)o, (void)ret_revision;
    return none(!c || !writes, err);
}

int tenure_config_set(tenure_client *c, const char *key, const char *value, enum tenure_config_layer layer,
                      int64_t if_revision, const struct tenure_config_options *o, int64_t *ret_revision,
                      struct tenure_error *err)
{
    (void)layer, (void)if_revision, (void)o, (void)ret_revision;
    return none(!c || !key || !value, err);
}

int tenure_config_delete(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t if_revision,
                         const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err)
{
    (void)layer, (void)if_revision, (void)o, (void)ret_revision;
    return none(!c || !key, err);
}

int tenure_config_history(tenure_client *c, const char *key, enum tenure_config_layer layer,
                          const struct tenure_config_options *o, struct tenure_config_versions **ret,
                          struct tenure_error *err)
{
    (void)layer, (void)o;
    return none(!c || !key || !ret, err);
}

void tenure_config_versions_free(struct tenure_config_versions *r)
{
    (void)r;
}

int tenure_config_rollback(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t version,
                           int64_t if_revision, const struct tenure_config_options *o, int64_t *ret_revision,
                           struct tenure_error *err)
{
    (void)layer, (void)version, (void)if_revision, (void)o, (void)ret_revision;
    return none(!c || !key, err);
}

int tenure_config_diff(const struct tenure_config_list *from, const struct tenure_config_list *to,
                       struct tenure_config_differences **ret, struct tenure_error *err)
{
    return none(!from || !to || !ret, err);
}

void tenure_config_differences_free(struct tenure_config_differences *r)
{
    (void)r;
}

int tenure_config_schema_set(tenure_client *c, const char *keys, const char *schema,
                             const struct tenure_config_options *o, struct tenure_error *err)
{
    (void)schema, (void)o;
    return none(!c || !keys, err);
}

int tenure_config_schema_get(tenure_client *c, const char *keys, const struct tenure_config_options *o, char **ret,
                             struct tenure_error *err)
{
    (void)o;
    return none(!c || !keys || !ret, err);
}

int tenure_config_check(const struct tenure_config_list *list, const char *keys, const char *schema,
                        struct tenure_error *err)
{
    return none(!list || !keys || !schema, err);
}

int tenure_config_key_new(const char *key_file, struct tenure_error *err)
{
    return none(!key_file, err);
}

int tenure_config_seal(const char *key_file, const char *key, const void *value, size_t value_len, char **ret,
                       struct tenure_error *err)
{
    (void)value_len;
    return none(!key_file || !key || !value || !ret, err);
}

int tenure_config_unseal(const char *key_file, const char *key, const char *sealed, char **ret, size_t *ret_len,
                         struct tenure_error *err)
{
    (void)ret_len;
    return none(!key_file || !key || !sealed || !ret, err);
}

int tenure_config_format(const struct tenure_config_list *list, const char *keys, enum tenure_config_format format,
                         char **ret, struct tenure_error *err)
{
    (void)format;
    return none(!list || !keys || !ret, err);
}

int tenure_config_parse(const char *text, size_t len, const char *keys, enum tenure_config_format format,
                        struct tenure_config_list **ret, struct tenure_error *err)
{
    (void)len, (void)format;
    return none(!text || !keys || !ret, err);
}
