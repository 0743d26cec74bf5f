/* See jwt.h. Everything here comes from outside: the header is read before anything is proved.
 *
 * As golang-jwt reads it: base64 without padding, `exp` and `nbf` looked at where they are there; numbers of revisions and
 * times may have a fraction, which is cut off.
 */
#include "http/jwt.h"

#include <inttypes.h>
#include <string.h>

#include "http/base64.h"
#include "http/json.h"
#include "http/json_scan.h"
#include "tenure/error.h"

/* ---- base64url ---- */

static void url_encode(bytes in, struct buf *out)
{
    size_t from = out->len;
    base64_encode(in, out);
    if (buf_error(out))
        return;
    while (out->len > from && out->data[out->len - 1] == '=')
        out->len--;
    for (size_t i = from; i < out->len; i++)
        out->data[i] = out->data[i] == '+' ? '-' : out->data[i] == '/' ? '_' : out->data[i];
}

static bool is_url_text(bytes text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(letters, text.data[i], sizeof letters - 1))
            return false;
    }
    return true;
}

static int url_decode(bytes text, struct arena *a, bytes *ret)
{
    if (!is_url_text(text))
        return TENURE_EINVALID;
    uint8_t *to = arena_alloc(a, base64_room(text.len) + 1);
    size_t len;
    if (!to)
        return TENURE_ENOMEM;
    if (!base64_decode(text, to, &len))
        return TENURE_EINVALID;
    *ret = bytes_of(to, len);
    return 0;
}

/* ---- JSON ---- */

/* One object and nothing else. */
static bool is_object(bytes text)
{
    struct json_scan s;
    struct json j = json_of(text);
    size_t used;
    json_scan_init(&s);
    if (json_scan(&s, text, &used) != JSON_WHOLE || json_peek(&j) != JSON_OBJECT)
        return false;
    for (; used < text.len; used++) {
        if (!memchr(" \t\r\n", text.data[used], 4))
            return false;
    }
    return true;
}

/* The last member of that name; NONE: there is none. The kind decides what may be done with the raw text. */
static enum json_kind find_member(bytes object, const char *name, bytes *ret_raw)
{
    struct json j = json_of(object);
    enum json_kind found = JSON_NONE;
    bytes wanted = bytes_str(name);
    json_peek(&j);
    json_begin(&j);
    while (json_more(&j)) {
        bytes key = json_key(&j);
        bool is_it = key.len == wanted.len + 2 && memcmp(key.data + 1, wanted.data, wanted.len) == 0;
        enum json_kind kind = json_peek(&j);
        if (is_it && (kind == JSON_STRING || kind == JSON_NUMBER)) {
            *ret_raw = json_raw(&j);
            found = kind;
        } else {
            json_skip(&j);
            if (is_it)
                found = JSON_NULL;
        }
    }
    return found;
}

static int read_string(bytes object, const char *name, struct arena *a, bytes *ret)
{
    struct buf scratch;
    bytes raw, text;
    if (find_member(object, name, &raw) != JSON_STRING)
        return TENURE_EINVALID;
    buf_init(&scratch);
    int rc = json_unquote(raw, &scratch, &text) ? 0 : TENURE_EINVALID;
    if (buf_error(&scratch))
        rc = TENURE_ENOMEM;
    if (!rc) {
        *ret = arena_copy(a, text);
        rc = ret->data ? 0 : TENURE_ENOMEM;
    }
    buf_fini(&scratch);
    return rc;
}

/* The whole part; 0 below 0. Digits are counted by hand: a time may be "1.7e9", and a fraction does no harm. */
static int read_number(bytes object, const char *name, uint64_t *ret)
{
    bytes raw;
    bool negative;
    char text[32];
    enum json_kind kind = find_member(object, name, &raw);
    if (kind == JSON_NONE)
        return TENURE_ENOTFOUND;
    if (kind != JSON_NUMBER)
        return TENURE_EINVALID;
    if (json_whole(raw, &negative, ret)) {
        *ret = negative ? 0 : *ret;
        return 0;
    }
    const uint8_t *dot = memchr(raw.data, '.', raw.len);
    size_t len = dot ? (size_t)(dot - raw.data) : raw.len;
    if (len == 0 || len >= sizeof text || memchr(raw.data, 'e', raw.len) || memchr(raw.data, 'E', raw.len))
        return TENURE_EINVALID;
    if (!json_whole(bytes_of(raw.data, len), &negative, ret))
        return TENURE_EINVALID;
    *ret = negative ? 0 : *ret;
    return 0;
}

/* ---- apart ---- */

/* The part up to the next dot, or to the end. */
static bytes next_part(bytes *rest)
{
    const uint8_t *dot = rest->len ? memchr(rest->data, '.', rest->len) : NULL;
    size_t len = dot ? (size_t)(dot - rest->data) : rest->len;
    bytes part = bytes_of(rest->data, len);
    *rest = dot ? bytes_of(dot + 1, rest->len - len - 1) : bytes_of(NULL, 0);
    return part;
}

int jwt_split(bytes token, struct arena *a, struct jwt *ret)
{
    bytes rest = token, header, object;
    bytes parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = next_part(&rest);
    if (rest.data || parts[0].len == 0 || parts[1].len == 0 || parts[2].len == 0)
        return TENURE_EINVALID;
    int rc = url_decode(parts[0], a, &header);
    if (!rc && !is_object(header))
        rc = TENURE_EINVALID;
    if (!rc)
        rc = read_string(header, "alg", a, &ret->alg);
    if (!rc)
        rc = url_decode(parts[1], a, &object);
    if (!rc && !is_object(object))
        rc = TENURE_EINVALID;
    if (!rc)
        rc = url_decode(parts[2], a, &ret->signature);
    if (rc)
        return rc;
    ret->claims = object;
    ret->signed_by = bytes_of(token.data, (size_t)(parts[1].data + parts[1].len - token.data));
    return 0;
}

/* ---- claims ---- */

/* rc of a time that need not be there. */
static int optional(int rc)
{
    return rc == TENURE_ENOTFOUND ? 0 : rc;
}

int jwt_claims(bytes claims, int64_t now_s, struct arena *a, struct jwt_claims *ret)
{
    uint64_t expires = INT64_MAX, not_before = 0;
    int rc = optional(read_number(claims, "exp", &expires));
    if (!rc)
        rc = optional(read_number(claims, "nbf", &not_before));
    if (rc)
        return rc;
    if ((uint64_t)now_s >= expires || (uint64_t)now_s < not_before)
        return TENURE_EDENIED;
    rc = read_string(claims, "username", a, &ret->username);
    if (!rc)
        rc = read_number(claims, "revision", &ret->revision);
    return rc == TENURE_ENOTFOUND ? TENURE_EINVALID : rc;
}

/* ---- together ---- */

static void encode_json(struct buf *json, struct buf *out)
{
    if (buf_error(json))
        out->error = out->error ? out->error : buf_error(json);
    else
        url_encode(buf_bytes(json), out);
    buf_fini(json);
}

void jwt_begin(const char *alg, const struct jwt_claims *claims, int64_t expires_s, struct buf *out)
{
    struct buf json;
    buf_init(&json);
    buf_printf(&json, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg);
    encode_json(&json, out);
    buf_append_byte(out, '.');
    buf_init(&json);
    buf_printf(&json, "{\"exp\":%" PRId64 ",\"revision\":%" PRIu64 ",\"username\":", expires_s, claims->revision);
    json_quote(claims->username, &json);
    buf_append_byte(&json, '}');
    encode_json(&json, out);
}

void jwt_end(bytes signature, struct buf *out)
{
    buf_append_byte(out, '.');
    url_encode(signature, out);
}
