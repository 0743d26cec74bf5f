/* A store with its log in memory: rows as a backend would keep them, those that compaction deletes gone. */
#ifndef TESTS_UNIT_SNAPSHOT_LOG_H
#define TESTS_UNIT_SNAPSHOT_LOG_H

#include "file.h"
#include "snapshot/export.h"
#include "snapshot/import.h"
#include "store/auth.h"
#include "store/store.h"

struct row {
    struct record r;
    uint8_t *data;
    bool deleted;
};

struct log_store {
    struct store *store;
    struct row *rows;
    size_t n, cap;
    tn_ms now;
    struct arena arena;
};

void log_store_init(struct log_store *l);
void log_store_fini(struct log_store *l);
/* What is planned becomes durable rows; what can be trimmed is deleted. */
void log_store_settle(struct log_store *l);

void log_put(struct log_store *l, const char *key, const char *value, tn_lease lease);
void log_delete(struct log_store *l, const char *key, const char *range_end);
void log_compact(struct log_store *l, tn_rev rev);
tn_lease log_grant(struct log_store *l, tn_lease id, int64_t ttl_s);
void log_revoke(struct log_store *l, tn_lease id);

/* A new store takes what is in the log now. */
void log_expect_restart(struct log_store *l);

/* All rows into a file. */
struct snapshot_summary log_export(const struct log_store *l, struct file *f);
/* A file into rows and these into a new store, which must take them. */
struct snapshot_summary log_import(struct log_store *l, const struct file *f, tn_rev bump);

#endif
