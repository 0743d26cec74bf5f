/* JSON to protobuf: each member of an object becomes a field, in the order in which it stands.
 *
 * Nothing is built in between. A nested object is written behind room for its length. Depth is bounded as in the codecs,
 * so what passes here passes there.
 */
#include <stdarg.h>
#include <stdio.h>

#include "http/base64.h"
#include "http/json.h"
#include "http/json_scan.h"
#include "http/transcode.h"
#include "tenure/error.h"
#include "wire/codec.h"
#include "wire/pbw.h"

struct reader {
    struct json j;
    struct buf *out;
    struct buf scratch; /* of unescaped strings */
    struct tenure_error *err;
    int code; /* the first error */
    unsigned depth;
};

/* ---- errors ---- */

static void fail(struct reader *r, size_t at, const char *kind, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void fail(struct reader *r, size_t at, const char *kind, const char *fmt, ...)
{
    char text[160];
    size_t line, column;
    va_list args;
    if (r->code)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_position(&r->j, at, &line, &column);
    r->code = error_set(r->err, TENURE_EPROTOCOL, "proto: %s(line %zu:%zu): %s", kind, line, column, text);
}

static int shown(bytes s)
{
    return (int)bytes_utf8_cut(s, 80);
}

static void unexpected(struct reader *r)
{
    json_peek(&r->j);
    size_t at = r->j.at;
    bytes raw =
        at < r->j.text.len && strchr("{[", r->j.text.data[at]) ? bytes_of(r->j.text.data + at, 1) : json_raw(&r->j);
    fail(r, at, "syntax error ", "unexpected token %.*s", shown(raw), (const char *)raw.data);
}

static const char *kind_name(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return "bool";
    case PROTOBUF_C_TYPE_BYTES:
        return "bytes";
    case PROTOBUF_C_TYPE_STRING:
        return "string";
    case PROTOBUF_C_TYPE_ENUM:
        return "enum";
    case PROTOBUF_C_TYPE_INT32:
        return "int32";
    case PROTOBUF_C_TYPE_UINT32:
        return "uint32";
    case PROTOBUF_C_TYPE_UINT64:
        return "uint64";
    default:
        return "int64";
    }
}

/* The name in camel case, as protojson's own output has it. */
static const char *camel(const char *name, char *out, size_t size)
{
    size_t n = 0;
    bool up = false;
    for (; *name && n + 1 < size; name++) {
        if (*name == '_') {
            up = true;
            continue;
        }
        out[n++] = up && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        up = false;
    }
    out[n] = 0;
    return out;
}

static void bad_value(struct reader *r, const ProtobufCFieldDescriptor *f, size_t at, bytes raw)
{
    char name[64];
    fail(r, at, "", "invalid value for %s field %s: %.*s", kind_name(f), camel(f->name, name, sizeof name), shown(raw),
         (const char *)raw.data);
}

/* ---- scalars ---- */

static bool unquote(struct reader *r, bytes raw, bytes *ret)
{
    bool ok = json_unquote(raw, &r->scratch, ret);
    if (ok && buf_error(&r->scratch) && !r->code)
        r->code = TENURE_ENOMEM;
    return ok && !r->code;
}

static bool is_number(bytes s)
{
    struct json_scan scan;
    size_t used;
    if (s.len == 0 || (s.data[0] != '-' && (s.data[0] < '0' || s.data[0] > '9')))
        return false;
    json_scan_init(&scan);
    return json_scan(&scan, s, &used) == JSON_MORE && json_scan_end(&scan) == JSON_WHOLE;
}

/* The digits of a number, or of a string that holds one. */
static bool integer(struct reader *r, enum json_kind kind, bytes raw, bool *ret_negative, uint64_t *ret)
{
    if (kind == JSON_STRING)
        return unquote(r, raw, &raw) && is_number(raw) && json_whole(raw, ret_negative, ret);
    return kind == JSON_NUMBER && json_whole(raw, ret_negative, ret);
}

/* Whether it fits into a field of that type; *v becomes what a varint holds. */
static bool fits(ProtobufCType type, bool negative, uint64_t *v)
{
    uint64_t max = type == PROTOBUF_C_TYPE_UINT64   ? UINT64_MAX
                   : type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX
                   : type == PROTOBUF_C_TYPE_INT64  ? (uint64_t)INT64_MAX + negative
                                                    : (uint64_t)INT32_MAX + negative;
    bool is_unsigned = type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_UINT32;
    if (*v > max || (negative && is_unsigned))
        return false;
    if (negative)
        *v = 0 - *v;
    return true;
}

static bool put_integer(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    bool negative;
    uint64_t v;
    if (!integer(r, kind, raw, &negative, &v) || !fits(f->type, negative, &v))
        return false;
    pbw_uint_always(r->out, f->id, v);
    return true;
}

/* A name that the enum does not have is passed over. */
static bool put_enum(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    const ProtobufCEnumDescriptor *e = f->descriptor;
    bytes name;
    if (kind == JSON_NUMBER)
        return put_integer(r, f, kind, raw);
    if (kind != JSON_STRING || !unquote(r, raw, &name))
        return false;
    for (unsigned i = 0; i < e->n_value_names; i++) {
        if (bytes_equal(bytes_str(e->values_by_name[i].name), name)) {
            pbw_int_always(r->out, f->id, e->values[e->values_by_name[i].index].value);
            return true;
        }
    }
    return true;
}

static bool put_bool(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    if (kind != JSON_BOOL)
        return false;
    pbw_uint_always(r->out, f->id, raw.data[0] == 't');
    return true;
}

static bool put_string(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    bytes s;
    if (kind != JSON_STRING || !unquote(r, raw, &s))
        return false;
    pbw_bytes_always(r->out, f->id, s);
    return true;
}

/* Decoded in place, behind room for tag and length. */
static bool put_base64(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    bytes text;
    size_t len;
    if (kind != JSON_STRING || !unquote(r, raw, &text))
        return false;
    struct pbw_mark m = pbw_begin(r->out, f->id, text.len / 4 * 3);
    uint8_t *to = buf_reserve(r->out, base64_room(text.len));
    if (!to)
        return true; /* the buf tells of it */
    if (!base64_decode(text, to, &len))
        return false;
    buf_added(r->out, len);
    pbw_end(r->out, m);
    return true;
}

static bool put_scalar(struct reader *r, const ProtobufCFieldDescriptor *f, enum json_kind kind, bytes raw)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return put_bool(r, f, kind, raw);
    case PROTOBUF_C_TYPE_BYTES:
        return put_base64(r, f, kind, raw);
    case PROTOBUF_C_TYPE_STRING:
        return put_string(r, f, kind, raw);
    case PROTOBUF_C_TYPE_ENUM:
        return put_enum(r, f, kind, raw);
    default:
        return put_integer(r, f, kind, raw);
    }
}

static void scalar(struct reader *r, const ProtobufCFieldDescriptor *f)
{
    enum json_kind kind = json_peek(&r->j);
    size_t at = r->j.at;
    if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
        bad_value(r, f, at, bytes_of(r->j.text.data + at, 1));
        return;
    }
    bytes raw = json_raw(&r->j);
    if (kind == JSON_STRING && !json_is_utf8(raw))
        fail(r, at, "syntax error ", "invalid UTF-8 in string");
    else if (!put_scalar(r, f, kind, raw))
        bad_value(r, f, at, raw);
}

/* ---- messages ---- */

static void message(struct reader *r, const ProtobufCMessageDescriptor *d);

static void submessage(struct reader *r, const ProtobufCFieldDescriptor *f)
{
    struct pbw_mark m = pbw_begin(r->out, f->id, 64);
    message(r, f->descriptor);
    if (!r->code)
        pbw_end(r->out, m);
}

static void element(struct reader *r, const ProtobufCFieldDescriptor *f)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        submessage(r, f);
    else
        scalar(r, f);
}

static void field(struct reader *r, const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        element(r, f);
        return;
    }
    if (json_peek(&r->j) != JSON_ARRAY) {
        unexpected(r);
        return;
    }
    json_begin(&r->j);
    while (!r->code && json_more(&r->j))
        element(r, f);
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d, bytes name)
{
    char other[64];
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (bytes_equal(name, bytes_str(f->name)) || bytes_equal(name, bytes_str(camel(f->name, other, sizeof other))))
            return f;
    }
    return NULL;
}

/* Which fields of a message were given. A oneof is known by the place of its case, which its members share. */
struct given {
    uint64_t fields;
    unsigned oneofs[4];
    unsigned n_oneofs;
};

static bool give_oneof(struct given *g, const ProtobufCFieldDescriptor *f)
{
    if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return true;
    for (unsigned i = 0; i < g->n_oneofs; i++) {
        if (g->oneofs[i] == f->quantifier_offset)
            return false;
    }
    if (g->n_oneofs < ARRAY_LEN(g->oneofs))
        g->oneofs[g->n_oneofs++] = f->quantifier_offset;
    return true;
}

/* protobuf-c keeps no name of a oneof. */
static const char *oneof_name(const ProtobufCMessageDescriptor *d)
{
    static const char *const names[][2] = {{"Compare", "target_union"},
                                           {"RequestOp", "request"},
                                           {"ResponseOp", "response"},
                                           {"WatchRequest", "request_union"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(d->short_name, names[i][0]) == 0)
            return names[i][1];
    }
    return "";
}

static void member(struct reader *r, const ProtobufCMessageDescriptor *d, struct given *g)
{
    bytes name;
    json_peek(&r->j);
    size_t at = r->j.at;
    bytes raw = json_key(&r->j);
    if (!json_unquote(raw, &r->scratch, &name)) {
        fail(r, at, "syntax error ", "invalid string %.*s", shown(raw), (const char *)raw.data);
        return;
    }
    const ProtobufCFieldDescriptor *f = find_field(d, name);
    if (!f) {
        json_skip(&r->j);
        return;
    }
    uint64_t bit = UINT64_C(1) << (f - d->fields) % 64;
    if (g->fields & bit) {
        fail(r, at, "", "duplicate field %.*s", shown(raw), (const char *)raw.data);
        return;
    }
    g->fields |= bit;
    if (json_peek(&r->j) == JSON_NULL)
        json_skip(&r->j);
    else if (!give_oneof(g, f))
        fail(r, at, "", "error parsing %.*s, oneof %s.%s is already set", shown(raw), (const char *)raw.data, d->name,
             oneof_name(d));
    else
        field(r, f);
}

static void message(struct reader *r, const ProtobufCMessageDescriptor *d)
{
    struct given given = {0};
    if (json_peek(&r->j) != JSON_OBJECT) {
        unexpected(r);
        return;
    }
    if (r->depth == CODEC_DEPTH_MAX) {
        fail(r, r->j.at, "", "exceeded maximum recursion depth");
        return;
    }
    r->depth++;
    json_begin(&r->j);
    while (!r->code && json_more(&r->j))
        member(r, d, &given);
    r->depth--;
}

int transcode_from_json(const ProtobufCMessageDescriptor *d, bytes json, struct buf *out, struct tenure_error *err)
{
    struct reader r = {.j = json_of(json), .out = out, .err = err};
    json_peek(&r.j);
    r.j = json_of(bytes_of(json.data + r.j.at, json.len - r.j.at)); /* places count from the value on */
    buf_init(&r.scratch);
    message(&r, d);
    if (!r.code && buf_error(out))
        r.code = buf_error(out);
    if (!r.code && buf_error(&r.scratch))
        r.code = buf_error(&r.scratch);
    buf_fini(&r.scratch);
    return r.code;
}
