/* The last-known-good copy of a view on disk: one line that says what it is, then JSON:
 *
 *     tenure-config 1 <crc32c of the rest> <its bytes>
 *     {"view": "<ranges>", "revision": 41, "written": 1732783504000, "values": [[0, "billing/db-url", "…", 17], …]}
 *
 * A value is its layer, key, text (or {"hex": "…"}) and revision, as the store has it: sealed ones sealed. */
#ifndef LIB_CONFIG_CACHE_H
#define LIB_CONFIG_CACHE_H

#include "lib/config.h"

/* The text of the file; malloc'd. view: what tells the copy of this view from others. NULL: out of memory. */
char *config_cache_write(const char *view, int64_t revision, int64_t written_ms, const struct config_run *runs,
                         size_t n_runs) MUST_USE;
/* The list that it holds. TENURE_ECORRUPT; TENURE_ENOMEM. */
int config_cache_read(bytes text, const char *view, const struct config_seal *seal, struct tenure_config_list **ret,
                      int64_t *ret_written_ms, struct tenure_error *err) MUST_USE;

/* ---- of a view ---- */
/* Has the copy written, when those before it are. */
void config_cache_save(tenure_config *v, const struct config_run *runs, size_t n_runs, int64_t revision);
/* Takes the copy, when there is one; else the view goes on waiting. */
void config_cache_take(tenure_config *v);
/* What is to be written is written then. */
void config_cache_end(tenure_config *v);

#endif
