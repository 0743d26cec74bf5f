/* A range read page by page at one revision, in bounded memory. Pure; on client.h alone.
 *
 * The first page is a Range, whose answer tells the revision that all pages are read at (unless one is given); the others
 * are RangeStreams, which end when the page is full; where the server has no such call (before etcd 3.7), or the order is
 * descending, all are Ranges, whose number of keys follows the size of those seen so far, so that a page has about the bytes
 * asked for.
 *
 *   RESTING --client_pager_next--> READING --answered--> RESTING, or at the end
 *
 * Failure modes: the revision is compacted while it is read: TENURE_ECOMPACTED, for good. A stream that is cut behind its first
 * keys ends a short page, and the next page meets what is wrong. A serializable page on a member that has not got so far is
 * asked for again linearizably.
 */
#ifndef CLIENT_PAGER_H
#define CLIENT_PAGER_H

#include "client/client.h"

struct client_pager;

struct client_pager_options {
    struct range_req range; /* copied; its limit counts over all pages; sort and revision filters must be 0 */
    bool descending;
    bool no_stream;    /* Ranges only */
    size_t page_keys;  /* at most so many; 0 = 1,000 */
    size_t page_bytes; /* of keys and values, about; one key may be larger; 0 = 1 MiB */
};

int client_pager_new(struct client *c, const struct client_pager_options *opt, struct client_pager **ret,
                     struct tenure_error *err) MUST_USE;
/* Reads the next page: cb once, last, with r->range: its keys and whether there are more; it may be empty only at the end.
 * TENURE_EBUSY while one is read, TENURE_ENOTFOUND behind the last; else as a call of client.h. */
int client_pager_next(struct client_pager *p, const struct client_call_options *opt, client_done_cb cb, void *user,
                      tn_ms now, struct tenure_error *err) MUST_USE;
/* Ends the page under way with TENURE_ECANCELLED; the next one is the same page again. NULL and none under way: nothing. */
void client_pager_cancel(struct client_pager *p, tn_ms now);
tn_rev client_pager_revision(const struct client_pager *p); /* 0 = not known yet */
bool client_pager_at_end(const struct client_pager *p);
/* In a callback of its own too. A page under way ends with TENURE_ECANCELLED. NULL is fine; NULL. */
struct client_pager *client_pager_free(struct client_pager *p, tn_ms now);

#endif
