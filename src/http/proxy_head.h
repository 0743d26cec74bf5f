/* A head of HTTP/1.1 that is passed on: collected as http-parser finds it, looked at, and written anew without what is for one hop
 * alone. What a reader could understand in two ways is not passed on. Pure. */
#ifndef HTTP_PROXY_HEAD_H
#define HTTP_PROXY_HEAD_H

#include "base/buf.h"

#define PROXY_HEAD_MAX    ((size_t)32 << 10)
#define PROXY_HEADERS_MAX 100

struct proxy_span {
    uint32_t at, len;
};

struct proxy_head {
    struct buf text;         /* the first line's text, then names and values */
    struct proxy_span first; /* target, or reason */
    struct {
        struct proxy_span name, value;
    } lines[PROXY_HEADERS_MAX];
    size_t n;
    bool in_value;
};

void proxy_head_init(struct proxy_head *h);
void proxy_head_fini(struct proxy_head *h);
void proxy_head_reset(struct proxy_head *h);
/* What http-parser tells, piece by piece. false: too large, or out of memory. */
bool proxy_head_first(struct proxy_head *h, const char *at, size_t len) MUST_USE;
bool proxy_head_name(struct proxy_head *h, const char *at, size_t len) MUST_USE;
bool proxy_head_value(struct proxy_head *h, const char *at, size_t len) MUST_USE;

bytes proxy_head_first_text(const struct proxy_head *h);
/* The value of the first one of that name (given in lower case), without blanks around it; data NULL: there is none. */
bytes proxy_head_get(const struct proxy_head *h, const char *name);
size_t proxy_head_count(const struct proxy_head *h, const char *name);
/* With _ taken for -, as services do that hand headers on as variables. */
size_t proxy_head_count_alike(const struct proxy_head *h, const char *name);
bool proxy_same_word(bytes a, const char *lower);

/* How the body is measured. */
enum proxy_body { PROXY_BODY_NONE, PROXY_BODY_LENGTH, PROXY_BODY_CHUNKED };
/* Reads it from the head; *ret_length with LENGTH. NULL, or why it must not be passed on: both measures, one twice or no number, another
 * coding than chunked, a name or value with bytes that do not belong there. */
const char *proxy_head_measure(const struct proxy_head *h, enum proxy_body *ret, uint64_t *ret_length) MUST_USE;
/* All lines but those of one hop (Connection and what it names, Keep-Alive, …), of the measure, and Expect. */
void proxy_head_write(const struct proxy_head *h, struct buf *out);

#endif
