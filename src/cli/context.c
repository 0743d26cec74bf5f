#include "cli/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/paths.h"
#include "io/atomic_file.h"

#define FILE_MAX_BYTES (1 << 20)

/* ---- the fields ---- */

#define FIELD(name, member)                                                                                            \
    static const char *get_##member(const struct global_options *g)                                                    \
    {                                                                                                                  \
        return g->member;                                                                                              \
    }
FIELD("endpoints", endpoints)
FIELD("discovery-srv", discovery_srv)
FIELD("discovery-srv-name", discovery_srv_name)
FIELD("user", user)
FIELD("cacert", ca_file)
FIELD("cert", cert_file)
FIELD("key", key_file)
#undef FIELD

const struct context_field context_fields[] = {
    {"endpoints", get_endpoints},
    {"discovery-srv", get_discovery_srv},
    {"discovery-srv-name", get_discovery_srv_name},
    {"user", get_user},
    {"cacert", get_ca_file},
    {"cert", get_cert_file},
    {"key", get_key_file},
    {NULL, NULL},
};

/* ---- the file ---- */

static bool file_path(const char *who, char *out, size_t size)
{
    const char *named = getenv("TENURE_CONTEXTS");
    bool fits =
        named && *named ? (size_t)snprintf(out, size, "%s", named) < size : paths_config("contexts.json", out, size);
    if (!fits)
        fprintf(stderr, "%s: there is no folder for contexts: set HOME, XDG_CONFIG_HOME or TENURE_CONTEXTS\n", who);
    return fits;
}

static bool bad_file(const char *who, const char *path, const char *why)
{
    fprintf(stderr, "%s: contexts in %s: %s\n", who, path, why);
    return false;
}

/* NULL without a word: it does not exist. */
static json_t *read_file(const char *who, const char *path, bool *ret_bad)
{
    json_error_t error;
    struct stat st;
    FILE *f = fopen(path, "re");
    *ret_bad = true;
    if (!f) {
        *ret_bad = errno != ENOENT && errno != ENOTDIR && !bad_file(who, path, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
        bad_file(who, path, "not a file of at most 1 MiB");
        fclose(f);
        return NULL;
    }
    json_t *all = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    fclose(f);
    json_t *contexts = all ? json_object_get(all, "contexts") : NULL;
    if (!all)
        fprintf(stderr, "%s: contexts in %s: line %d: %s\n", who, path, error.line, error.text);
    else if (!json_is_object(contexts))
        bad_file(who, path, "expected an object with \"contexts\", an object of names");
    else
        *ret_bad = false;
    if (*ret_bad) {
        json_decref(all);
        return NULL;
    }
    return all;
}

json_t *context_load(const char *who)
{
    char path[4096];
    bool bad;
    if (!file_path(who, path, sizeof path))
        return NULL;
    json_t *all = read_file(who, path, &bad);
    return all || bad ? all : json_pack("{s:{}}", "contexts");
}

bool context_save(const char *who, const json_t *all)
{
    char path[4096];
    struct atomic_file file;
    struct tenure_error err = {0};
    if (!file_path(who, path, sizeof path))
        return false;
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (!text)
        return bad_file(who, path, "out of memory");
    paths_make_parents(path);
    bool ok = atomic_file_begin(&file, path, 0600, bytes_str(text), &err) == 0 && atomic_file_commit(&file, &err) == 0;
    atomic_file_fini(&file);
    free(text);
    return ok || bad_file(who, path, err.text);
}

bool context_name_is_good(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len > 0 && len <= 64 && name[len] == 0;
}

/* ---- taking one ---- */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

static bool servers_are_named(const struct global_options *g)
{
    return g->endpoints || g->discovery_srv || is_set("TENURE_ENDPOINTS") || is_set("TENURE_DISCOVERY_SRV");
}

static void take(const json_t *context, const char *name, const char **member)
{
    const char *value = json_string_value(json_object_get(context, name));
    if (!*member && value && *value)
        *member = value;
}

static void fill(const json_t *context, struct global_options *g)
{
    bool named = g->endpoints || g->discovery_srv; /* by an option: the context's are other servers */
    if (!named) {
        take(context, "endpoints", &g->endpoints);
        take(context, "discovery-srv", &g->discovery_srv);
        take(context, "discovery-srv-name", &g->discovery_srv_name);
        if (g->endpoints || g->discovery_srv) { /* what the environment names is not meant */
            unsetenv("TENURE_ENDPOINTS");
            unsetenv("TENURE_DISCOVERY_SRV");
            unsetenv("TENURE_DISCOVERY_SRV_NAME");
        }
    }
    take(context, "user", &g->user);
    take(context, "cacert", &g->ca_file);
    take(context, "cert", &g->cert_file);
    take(context, "key", &g->key_file);
}

static bool unknown(const char *who, const char *name)
{
    fprintf(stderr, "%s: there is no context '%.80s'\ntry: tenure context list\n", who, name);
    return false;
}

bool context_apply(const char *who, struct global_options *g)
{
    static json_t *all; /* what g points into */
    const char *name = g->context ? g->context : getenv("TENURE_CONTEXT");
    bool chosen = name && *name, bad;
    char path[4096];
    if (!chosen && servers_are_named(g))
        return true;
    if (!chosen && !is_set("TENURE_CONTEXTS") && !paths_config("contexts.json", path, sizeof path))
        return true;
    if (!file_path(who, path, sizeof path))
        return false;
    json_decref(all);
    all = read_file(who, path, &bad);
    if (!all)
        return !bad && (!chosen || unknown(who, name));
    if (!chosen)
        name = json_string_value(json_object_get(all, "current"));
    const json_t *context = name ? json_object_get(json_object_get(all, "contexts"), name) : NULL;
    if (!context)
        return !name || unknown(who, name);
    fill(context, g);
    g->context = name;
    /* Commands that are run under a lock mean the same servers. */
    return setenv("TENURE_CONTEXT", name, 1) == 0;
}
