/* A walk over a JSON value whose syntax json_scan has found right. Pure.
 *
 * Nothing is built: the caller asks for what comes next. On text that was not checked the walk may answer nonsense, but
 * stays within it.
 *
 *     json_begin(&j); while (json_more(&j)) { json_key(&j, ...); ... json_skip(&j); }
 */
#ifndef HTTP_JSON_H
#define HTTP_JSON_H

#include "base/buf.h"

struct json {
    bytes text;
    size_t at;
};

enum json_kind { JSON_NONE, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json json_of(bytes text);
/* What comes next; steps over space. */
enum json_kind json_peek(struct json *j);
/* Steps into the object or array that comes next. */
void json_begin(struct json *j);
/* Whether another member or element follows; else steps out. */
bool json_more(struct json *j);
/* The text of the string, number or literal that comes next, as it stands (with quotes); steps over it. */
bytes json_raw(struct json *j);
/* The raw string of a member's key; steps over the colon. */
bytes json_key(struct json *j);
/* Steps over any value. */
void json_skip(struct json *j);
/* Line and column of an offset, from 1, in characters. */
void json_position(const struct json *j, size_t at, size_t *ret_line, size_t *ret_column);

/* Whether a raw string holds UTF-8, as it must. */
bool json_is_utf8(bytes raw);
/* What a raw string says: borrowed from it, or unescaped into scratch (whose error tells of missing memory). False: it holds
 * what is no character. */
bool json_unquote(bytes raw, struct buf *scratch, bytes *ret) MUST_USE;
/* The whole number that a raw number says, also as 1.0 or 1e3; false: it is none, or does not fit. */
bool json_whole(bytes raw, bool *ret_negative, uint64_t *ret) MUST_USE;

/* Appends text as a JSON string; what is no UTF-8 becomes U+FFFD. */
void json_quote(bytes text, struct buf *out);

#endif
