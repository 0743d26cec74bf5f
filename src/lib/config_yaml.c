/* YAML: from libyaml's events to a tree of JSON. What a configuration does not need is refused: aliases, tags, several documents. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include <yaml.h>

#include "lib/config_text.h"

#define LIBRARY "libyaml-0.so.2"

enum { DEPTH_MAX = 64 };

#define YAML_FUNCTIONS(X)                                                                                              \
    X(yaml_event_delete)                                                                                               \
    X(yaml_parser_delete)                                                                                              \
    X(yaml_parser_initialize)                                                                                          \
    X(yaml_parser_parse)                                                                                               \
    X(yaml_parser_set_input_string)

static struct {
    pthread_once_t once;
#define YAML_MEMBER(name) __typeof__(name) *name;
    YAML_FUNCTIONS(YAML_MEMBER)
#undef YAML_MEMBER
    struct tenure_error why; /* code 0: all are there */
} the = {.once = PTHREAD_ONCE_INIT};

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL), *function;
    if (!library) {
        error_set(&the.why, TENURE_EUNAVAILABLE, "YAML needs libyaml (Debian's package libyaml-0-2): %s", dlerror());
        return;
    }
#define FIND(name)                                                                                                     \
    function = dlsym(library, #name);                                                                                  \
    if (!function)                                                                                                     \
        error_set(&the.why, TENURE_EUNAVAILABLE, "libyaml has no %s", #name);                                          \
    memcpy(&the.name, &function, sizeof function);
    YAML_FUNCTIONS(FIND)
#undef FIND
}

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct tenure_error *err;
};

static int fail(struct reader *r, size_t line, const char *what)
{
    return error_set(r->err, TENURE_EINVALID, "config: line %zu: %.160s", line + 1, what);
}

static int fail_here(struct reader *r, const char *what)
{
    return fail(r, r->event.start_mark.line, what);
}

static int next(struct reader *r)
{
    if (r->has_event)
        the.yaml_event_delete(&r->event);
    r->has_event = false;
    if (!the.yaml_parser_parse(&r->parser, &r->event))
        return fail(r, r->parser.problem_mark.line, r->parser.problem ? r->parser.problem : "not YAML");
    r->has_event = true;
    return 0;
}

static int no_memory(struct reader *r)
{
    return error_set(r->err, TENURE_ENOMEM, "config: out of memory");
}

static bool is_null(bytes s)
{
    return s.len == 0 || bytes_equal(s, bytes_str("~")) || bytes_equal(s, bytes_str("null")) ||
           bytes_equal(s, bytes_str("Null")) || bytes_equal(s, bytes_str("NULL"));
}

/* A scalar keeps its text; in a sequence, however deep, it becomes what JSON has. */
static int read_scalar(struct reader *r, bool in_sequence, json_t **ret)
{
    bytes s = bytes_of(r->event.data.scalar.value, r->event.data.scalar.length);
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (r->event.data.scalar.tag)
        return fail_here(r, "tags are not read");
    *ret = NULL;
    if (plain && is_null(s))
        *ret = json_null();
    else if (plain && in_sequence)
        *ret = json_loadb((const char *)s.data, s.len, JSON_DECODE_ANY, NULL);
    if (!*ret)
        *ret = json_stringn((const char *)s.data, s.len);
    return *ret ? 0 : fail_here(r, "a text that has a byte 0 or is no UTF-8");
}

static int read_node(struct reader *r, int depth, bool in_sequence, json_t **ret);

static int read_member(struct reader *r, json_t *object, int depth, bool in_sequence)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail_here(r, "a key that is no text");
    json_t *key = json_stringn((const char *)r->event.data.scalar.value, r->event.data.scalar.length), *value = NULL;
    const char *name = json_string_value(key);
    int rc = !name || strlen(name) != json_string_length(key) ? fail_here(r, "a key that is no text")
             : json_object_get(object, name)                  ? fail_here(r, "a key that was there before")
                                                              : next(r);
    rc = rc ? rc : read_node(r, depth, in_sequence, &value);
    if (rc == 0 && json_object_set_new(object, name, value))
        rc = no_memory(r);
    json_decref(key);
    return rc;
}

static int read_mapping(struct reader *r, int depth, bool in_sequence, json_t **ret)
{
    json_t *object = json_object();
    int rc = object ? next(r) : no_memory(r);
    while (rc == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        rc = read_member(r, object, depth, in_sequence);
        rc = rc ? rc : next(r);
    }
    if (rc)
        json_decref(object);
    else
        *ret = object;
    return rc;
}

static int read_sequence(struct reader *r, int depth, json_t **ret)
{
    json_t *array = json_array();
    int rc = array ? next(r) : no_memory(r);
    while (rc == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        json_t *item = NULL;
        rc = read_node(r, depth, true, &item);
        if (rc == 0 && json_array_append_new(array, item))
            rc = no_memory(r);
        rc = rc ? rc : next(r);
    }
    if (rc)
        json_decref(array);
    else
        *ret = array;
    return rc;
}

/* The node that the present event begins; the last event of it is the present one then. */
static int read_node(struct reader *r, int depth, bool in_sequence, json_t **ret)
{
    if (depth > DEPTH_MAX)
        return fail_here(r, "too many levels");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r, in_sequence, ret);
    case YAML_MAPPING_START_EVENT:
        return read_mapping(r, depth + 1, in_sequence, ret);
    case YAML_SEQUENCE_START_EVENT:
        return read_sequence(r, depth + 1, ret);
    case YAML_ALIAS_EVENT:
        return fail_here(r, "aliases are not read");
    default:
        return fail_here(r, "not a value");
    }
}

static int read_stream(struct reader *r, json_t **ret)
{
    int rc = next(r); /* the stream's start */
    rc = rc ? rc : next(r);
    if (rc == 0 && r->event.type == YAML_STREAM_END_EVENT) {
        *ret = json_object();
        return *ret ? 0 : no_memory(r);
    }
    rc = rc ? rc : next(r);
    rc = rc ? rc : read_node(r, 0, false, ret);
    rc = rc ? rc : next(r); /* the document's end */
    rc = rc ? rc : next(r);
    if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT)
        rc = fail_here(r, "more than one document");
    return rc;
}

int config_yaml_read(const char *text, size_t len, json_t **ret, struct tenure_error *err)
{
    struct reader r = {.err = err};
    json_t *tree = NULL;
    pthread_once(&the.once, load);
    if (the.why.code)
        return error_set(err, the.why.code, "%s", the.why.text);
    if (!the.yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    the.yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    int rc = read_stream(&r, &tree);
    if (r.has_event)
        the.yaml_event_delete(&r.event);
    the.yaml_parser_delete(&r.parser);
    if (rc)
        json_decref(tree);
    else
        *ret = tree;
    return rc;
}
