/* etcd's configuration file: a mapping of flag names to values, with two mappings inside for the certificates of clients and
 * peers and a few that mean nothing here. A list is a comma-separated value written otherwise; a key without a value is not
 * there.
 *
 * One pass over libyaml's events, nothing is kept of what has no meaning here. Failures name file and line: what is no YAML, a key that is
 * none of etcd's (etcd passes those over; one that was meant to lock a door had better be seen), a value of the wrong kind.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/serve_flags.h"
#include "cli/yaml_api.h"

#define LIBRARY    "libyaml-0.so.2"
#define FILE_MAX   ((size_t)1 << 20)
#define EVENTS_MAX 100000 /* a file of that many is no configuration */

/* ---- the library ---- */

const struct yaml *yaml_load(struct tenure_error *err)
{
    static struct yaml table;
    static bool loaded;
    void *library = loaded ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!loaded && !library) {
        error_set(err, TENURE_EUNAVAILABLE, "a configuration file needs libyaml (Debian's package libyaml-0-2): %s",
                  dlerror());
        return NULL;
    }
#define FIND(name)                                                                                                     \
    if (!loaded) {                                                                                                     \
        void *function = dlsym(library, #name);                                                                        \
        if (!function) {                                                                                               \
            error_set(err, TENURE_EUNAVAILABLE, "libyaml has no %s", #name);                                           \
            return NULL;                                                                                               \
        }                                                                                                              \
        memcpy(&table.name, &function, sizeof function);                                                               \
    }
    YAML_FUNCTIONS(FIND)
#undef FIND
    loaded = true;
    return &table;
}

/* ---- reading ---- */

struct reader {
    struct serve_flags *f;
    const struct yaml *y;
    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    bool has_event;
    unsigned events;
    const char *path;
    struct tenure_error *err;
};

static int fail(struct reader *r, size_t line, const char *fmt, const char *what)
{
    char why[sizeof r->err->text];
    snprintf(why, sizeof why, fmt, what);
    return error_set(r->err, TENURE_EINVALID, "%s:%zu: %s", r->path, line + 1, why);
}

static int next(struct reader *r)
{
    if (r->has_event)
        r->y->yaml_event_delete(&r->event);
    r->has_event = false;
    if (++r->events > EVENTS_MAX)
        return error_set(r->err, TENURE_EINVALID, "%s: too long for a configuration", r->path);
    if (!r->y->yaml_parser_parse(&r->parser, &r->event))
        return fail(r, r->parser.problem_mark.line, "not YAML: %s",
                    r->parser.problem ? r->parser.problem : "unreadable");
    r->has_event = true;
    return 0;
}

static size_t line_of(const struct reader *r)
{
    return r->event.start_mark.line;
}

/* Moves behind the present value, whatever it is. */
static int skip(struct reader *r)
{
    int depth = 0;
    do {
        yaml_event_type_t t = r->event.type;
        depth += (t == YAML_MAPPING_START_EVENT || t == YAML_SEQUENCE_START_EVENT);
        depth -= (t == YAML_MAPPING_END_EVENT || t == YAML_SEQUENCE_END_EVENT);
        int rc = next(r);
        if (rc < 0)
            return rc;
    } while (depth > 0);
    return 0;
}

static const char *scalar(const struct reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

/* A plain ~, null or nothing. */
static bool is_null(const struct reader *r)
{
    const char *v = scalar(r);
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*v || strcmp(v, "~") == 0 || strcmp(v, "null") == 0 || strcmp(v, "Null") == 0 || strcmp(v, "NULL") == 0);
}

static bool has_zero(const struct reader *r)
{
    return strlen(scalar(r)) != r->event.data.scalar.length;
}

/* The items of a list, with commas between. */
static int read_list(struct reader *r, struct buf *out)
{
    int rc = next(r);
    while (rc == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (r->event.type != YAML_SCALAR_EVENT || has_zero(r))
            return fail(r, line_of(r), "%s", "a list holds plain values");
        if (strchr(scalar(r), ','))
            return fail(r, line_of(r), "'%.80s': a value of a list has no comma", scalar(r));
        if (!is_null(r))
            buf_printf(out, "%s%s", out->len ? "," : "", scalar(r));
        rc = next(r);
    }
    return rc < 0 ? rc : next(r);
}

static int read_value(struct reader *r, struct buf *out, bool *ret_null)
{
    *ret_null = false;
    if (r->event.type == YAML_SEQUENCE_START_EVENT)
        return read_list(r, out);
    if (r->event.type != YAML_SCALAR_EVENT || has_zero(r))
        return fail(r, line_of(r), "%s", "a plain value or a list is expected");
    *ret_null = is_null(r);
    buf_append_bytes(out, bytes_str(scalar(r)));
    return next(r);
}

/* YAML knows more words for a bool than Go. */
static const char *bool_word(const char *text)
{
    static const char *const words[][2] = {{"yes", "true"}, {"on", "true"},   {"y", "true"},
                                           {"no", "false"}, {"off", "false"}, {"n", "false"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i][0]) == 0)
            return words[i][1];
    return text;
}

/* What the flag is told: etcd's file counts durations in nanoseconds. */
static const char *value_for(struct reader *r, const struct flag *flag, const char *text)
{
    if (flag->kind == FLAG_BOOL)
        text = bool_word(text);
    if (flag->kind == FLAG_DURATION && *text && strspn(text, "0123456789") == strlen(text))
        return arena_printf(&r->f->text, "%sns", text);
    return arena_strdup(&r->f->text, text);
}

static int set_flag(struct reader *r, const struct flag *flag, size_t line, const char *text)
{
    struct tenure_error why;
    const char *value = value_for(r, flag, text);
    if (!value)
        return error_set(r->err, TENURE_ENOMEM, "%s: out of memory", r->path);
    if (serve_flags_set(r->f, flag, value, FLAG_FROM_FILE, &why) < 0)
        return fail(r, line, "%s", why.text);
    return 0;
}

/* The present event is the value of this flag. */
static int read_flag(struct reader *r, const struct flag *flag)
{
    struct buf text;
    bool null;
    size_t line = line_of(r);
    buf_init(&text);
    int rc = read_value(r, &text, &null);
    buf_append_byte(&text, 0);
    if (rc == 0 && buf_error(&text))
        rc = error_set(r->err, TENURE_ENOMEM, "%s: out of memory", r->path);
    if (rc == 0 && !null)
        rc = set_flag(r, flag, line, (const char *)text.data);
    buf_fini(&text);
    return rc;
}

/* ---- keys ---- */

/* Where a mapping inside stands for flags of its own. prefix: before its keys. */
static const struct section {
    const char *key, *prefix;
    const char *const (*names)[2]; /* those that are called otherwise, NULL-terminated */
} sections[] = {
    {"client-transport-security", "",
     (const char *const[][2]){{"allowed-cn", "client-cert-allowed-cn"},
                              {"allowed-hostname", "client-cert-allowed-hostname"},
                              {"skip-client-san-verification", "peer-skip-client-san-verification"},
                              {NULL, NULL}}},
    {"peer-transport-security", "peer-",
     (const char *const[][2]){{"allowed-cn", "peer-cert-allowed-cn"},
                              {"allowed-hostname", "peer-cert-allowed-hostname"},
                              {"skip-client-san-verification", "peer-skip-client-san-verification"},
                              {NULL, NULL}}},
    {"socket-options", "socket-", (const char *const[][2]){{NULL, NULL}}},
};

/* In discovery-config: only the two that ask for something are looked at. */
static const struct section discovery = {
    "discovery-config", "discovery-",
    (const char *const[][2]){{"discovery-endpoints", "discovery-endpoints"}, {NULL, NULL}}};

static const struct section *section_of(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        if (strcmp(sections[i].key, key) == 0)
            return &sections[i];
    return strcmp(key, discovery.key) == 0 ? &discovery : NULL;
}

static const struct flag *flag_in(const struct section *s, const char *key)
{
    char name[128];
    for (const char *const(*n)[2] = s ? s->names : NULL; n && (*n)[0]; n++)
        if (strcmp((*n)[0], key) == 0)
            return serve_flag_find((*n)[1], strlen((*n)[1]));
    snprintf(name, sizeof name, "%s%s", s ? s->prefix : "", key);
    return serve_flag_find(name, strlen(name));
}

static int read_mapping(struct reader *r, const struct section *in);

/* key: the present event's; it is on its value when this is called. */
static int read_entry(struct reader *r, const struct section *in, const char *key, size_t line)
{
    const struct section *inner = in ? NULL : section_of(key);
    const struct flag *flag = flag_in(in, key);
    if (inner && r->event.type == YAML_MAPPING_START_EVENT)
        return read_mapping(r, inner);
    if (inner && r->event.type == YAML_SCALAR_EVENT && is_null(r))
        return next(r);
    if (inner)
        return fail(r, line, "%s: keys and values are expected in it", key);
    if (flag)
        return read_flag(r, flag);
    if (in == &discovery || strcmp(key, "grpc-additional-server-options") == 0)
        return skip(r);
    return fail(r, line, "'%.80s' is no key of etcd's configuration", key);
}

static int read_mapping(struct reader *r, const struct section *in)
{
    int rc = next(r);
    while (rc == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        char key[128];
        size_t line = line_of(r);
        if (r->event.type != YAML_SCALAR_EVENT || has_zero(r) || r->event.data.scalar.length >= sizeof key)
            return fail(r, line, "%s", "a key is expected");
        snprintf(key, sizeof key, "%s", scalar(r));
        rc = next(r);
        if (rc == 0)
            rc = read_entry(r, in, key, line);
    }
    return rc < 0 ? rc : next(r);
}

/* Behind "stream start" and "document start". An empty file sets nothing. */
static int read_document(struct reader *r)
{
    int rc = next(r);
    if (rc == 0)
        rc = next(r);
    if (rc < 0 || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = next(r);
    if (rc == 0 && r->event.type == YAML_SCALAR_EVENT && is_null(r))
        return 0;
    if (rc == 0 && r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, line_of(r), "%s", "keys and values are expected");
    return rc < 0 ? rc : read_mapping(r, NULL);
}

int serve_yaml_parse(struct serve_flags *f, const char *path, bytes text, struct tenure_error *err)
{
    struct reader r = {.f = f, .path = path, .err = err, .y = yaml_load(err)};
    if (!r.y)
        return TENURE_EUNAVAILABLE;
    if (!r.y->yaml_parser_initialize(&r.parser))
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", path);
    r.y->yaml_parser_set_input_string(&r.parser, text.data ? text.data : (const uint8_t *)"", text.len);
    int rc = read_document(&r);
    if (r.has_event)
        r.y->yaml_event_delete(&r.event);
    r.y->yaml_parser_delete(&r.parser);
    return rc;
}

static int load_file(const char *path, struct buf *out, struct tenure_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;
    if (fd < 0)
        return error_errno(err, errno, "%s", path);
    while (n > 0 && out->len <= FILE_MAX) {
        uint8_t *to = buf_reserve(out, 4096);
        n = to ? read(fd, to, 4096) : -1;
        if (n > 0)
            buf_added(out, (size_t)n);
    }
    int errnum = errno;
    close(fd);
    if (buf_error(out))
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", path);
    if (n < 0)
        return error_errno(err, errnum, "%s", path);
    return out->len > FILE_MAX ? error_set(err, TENURE_EINVALID, "%s: too long for a configuration", path) : 0;
}

int serve_yaml_read(struct serve_flags *f, const char *path, struct tenure_error *err)
{
    struct buf text;
    buf_init(&text);
    int rc = load_file(path, &text, err);
    if (rc == 0)
        rc = serve_yaml_parse(f, path, buf_bytes(&text), err);
    buf_fini(&text);
    return rc;
}
