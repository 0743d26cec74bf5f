/* How far another machine's clock is from this one's, from answers that tell its time in whole seconds (Date of HTTP): each says that
 * its clock stood within that second at some moment between the question and the answer. Those that are asked around the moment at
 * which the second changes leave little between them. Pure. */
#ifndef CLI_OFFSET_H
#define CLI_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

struct offset {
    int64_t low_us, high_us; /* what has to be added to our clock lies between */
    bool is_known;           /* there was an answer */
    bool has_jumped;         /* they contradict each other: nothing is known */
};

/* Asked at sent_us, answered at got_us, on our clock. */
void offset_seen(struct offset *o, int64_t sent_us, int64_t got_us, int64_t date_s);
/* Whether it is known to ± error_us. */
bool offset_is_within(const struct offset *o, int64_t error_us);
/* The middle of what it may be, and how far it may be from there. False when nothing is known. */
bool offset_get(const struct offset *o, int64_t *ret_us, int64_t *ret_error_us);

#endif
