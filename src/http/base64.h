/* Base64 as JSON's form of bytes: written with the usual alphabet and padding; read in either alphabet, padded or not, as
 * Go's protojson reads it. Pure. */
#ifndef HTTP_BASE64_H
#define HTTP_BASE64_H

#include "base/buf.h"

void base64_encode(bytes in, struct buf *out);
/* How many bytes a text of that length stands for at most. */
size_t base64_room(size_t len);
/* Decodes into out, which has base64_room(text.len) bytes; false when text is not base64. Line ends are skipped. */
bool base64_decode(bytes text, uint8_t *out, size_t *ret_len) MUST_USE;

#endif
