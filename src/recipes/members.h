/* The members of a JSON object, read in place: for the few small records of the federation, in a layer that has no JSON library.
 *
 * One pass, no tree: a member is found by its name; of two with the same name the first counts; what else there is is passed over.
 * Nesting is bounded. Pure; any thread.
 */
#ifndef RECIPES_MEMBERS_H
#define RECIPES_MEMBERS_H

#include "base/buf.h"

enum { MEMBERS_DEPTH_MAX = 16 };

/* Whether json is one object, with nothing behind it but blanks. */
bool members_is_object(bytes json);
/* The member's value as it stands there, without blanks around it: "12", "\"text\"", "{…}". False: there is none, or the object ends
 * before it. Borrows. */
bool members_find(bytes json, const char *name, bytes *ret);
/* False: it is not there, or not of that kind (a number with a fraction, or past 64 bits). ret stays. */
bool members_int(bytes json, const char *name, int64_t *ret);
/* Appends the text with its escapes resolved. False as above, or for an escape that is none; to may have grown then. */
bool members_text(bytes json, const char *name, struct buf *to);
/* The items of an array, as members_find answers it, one after the other: *at begins at 0. False behind the last. */
bool members_next_item(bytes array, size_t *at, bytes *ret);

/* Appends s as a JSON string, in quotes. Bytes that are no UTF-8 are written as U+FFFD: look before. */
void members_put_text(struct buf *to, bytes s);

#endif
