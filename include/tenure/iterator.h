/* Ranges of any size, page by page, all of one revision, in bounded memory.
 *
 *     tenure_range_iter *it = tenure_range_iter_new(c, tenure_str("app/"), &(struct tenure_range_options){
 *                                 .size = sizeof(struct tenure_range_options), .prefix = true}, &err);
 *     struct tenure_get_result *page = NULL;
 *     while (tenure_range_iter_next(it, &page, &err) == 0 && page) {
 *         ... page->kvs[0 .. page->n_kvs - 1] ...
 *         tenure_get_free(page);
 *     }
 *     tenure_range_iter_free(it);
 *
 * Keys come in their order; each key that was there at the revision comes once. Servers with RangeStream (tenure serve, etcd
 * from 3.7 on) stop behind the last key of a page; from others a page has about the bytes asked for, judged by the keys seen.
 * Nothing is read between two calls, and nothing is held at the server: when the revision is compacted in the middle, the
 * next page is TENURE_ECOMPACTED, and the range must be begun again.
 *
 * An iterator belongs to one thread at a time, on uv and poll handles to the loop's. It lives until tenure_range_iter_free, or
 * until its handle is closed.
 */
#ifndef TENURE_ITERATOR_H
#define TENURE_ITERATOR_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_range_iter tenure_range_iter;

struct tenure_range_options {
    size_t size;
    bool prefix;                   /* all keys that begin with key */
    bool from_key;                 /* all keys >= key */
    struct tenure_bytes range_end; /* or: all keys in [key, range_end) */
    int64_t revision;              /* 0 = the newest when the first page is read */
    int64_t limit;                 /* of keys over all pages; 0 = none */
    size_t page_keys;              /* 0 = 1,000 */
    size_t page_bytes;             /* of keys and values in a page, about; a single key may have more; 0 = 1 MiB */
    bool descending;               /* from the last key to the first */
    bool keys_only, serializable;  /* as of a get */
    bool no_stream;                /* never RangeStream */
    int64_t timeout_ms;            /* of each page; 0 = the handle's default */
};

/* Asks nothing yet. key and range_end are copied. NULL on failure: TENURE_EINVALID (an empty key, options that contradict or
 * are negative), TENURE_ECLOSED, TENURE_ENOMEM. */
tenure_range_iter *tenure_range_iter_new(tenure_client *c, struct tenure_bytes key,
                                         const struct tenure_range_options *o, struct tenure_error *err);
/* Frees it. A page under way ends with TENURE_ECANCELLED. NULL is fine. */
void tenure_range_iter_free(tenure_range_iter *it);

/* The next page into *ret, freed by tenure_get_free; NULL behind the last one. Of a page, `count` is the number of its keys, `more`
 * says whether there is another one (which may be empty, should the last key have been the range's), and `revision` is that
 * of all pages. After a failure that may pass (TENURE_ETIMEOUT, TENURE_EUNAVAILABLE, …) the same page may be asked for again.
 * TENURE_ECOMPACTED as above; TENURE_EBUSY while another call reads a page. Blocking handles. */
int tenure_range_iter_next(tenure_range_iter *it, struct tenure_get_result **ret, struct tenure_error *err);
/* The same with a completion. TENURE_ENOTFOUND behind the last page, told here or to cb. */
int tenure_range_iter_next_start(tenure_range_iter *it, tenure_get_cb cb, void *user, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
