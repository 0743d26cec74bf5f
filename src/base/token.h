/* A fencing token as text: digits alone, from 1 to the greatest that 63 bits hold. Pure. */
#ifndef BASE_TOKEN_H
#define BASE_TOKEN_H

#include "base/bytes.h"

/* false: it is none; *ret is untouched then. */
bool token_parse(bytes text, int64_t *ret) MUST_USE;

#endif
