/* Where a JSON value ends, found byte by byte as the bytes come in, and that its syntax is right. Pure.
 *
 * A request's body is a run of values, perhaps one that never ends: so the end of each must be found without waiting for
 * the next, and with no work done twice. What has passed here may be walked by json.h without further checks of syntax.
 * Errors have the words of Go's decoder, which etcd's gateway reads with.
 */
#ifndef HTTP_JSON_SCAN_H
#define HTTP_JSON_SCAN_H

#include "base/bytes.h"

#define JSON_DEPTH_MAX 512 /* arrays and objects within each other; more is an error */

struct json_scan {
    uint8_t state;
    uint8_t escape;      /* hexadecimal digits still to come */
    bool is_key;         /* the string under way is an object's key */
    const char *literal; /* the rest of true, false or null */
    const char *word;
    uint32_t depth;
    uint8_t is_object[JSON_DEPTH_MAX / 8]; /* a bit a level */
    char error[96];
};

enum json_scanned { JSON_MORE, JSON_WHOLE, JSON_WRONG };

/* Before each value. */
void json_scan_init(struct json_scan *s);
/* Reads on. WHOLE: the value ended; *ret_used bytes of `in` belong to it and to the space before it. WRONG: error says why. */
enum json_scanned json_scan(struct json_scan *s, bytes in, size_t *ret_used);
/* Nothing more comes. MORE: there was no value, only space; WRONG: it is cut off; WHOLE: a number ends here. */
enum json_scanned json_scan_end(struct json_scan *s);

#endif
