/* The file `leases`, mapped into memory: deadlines that outlive a crash of the process, and the newest acknowledged
 * sequence. Loop thread only. No call but open, close and a growth makes a system call.
 *
 * A machine that lost power may have written none, some or all of it back; so deadlines count only within the same boot,
 * while the sequence, stored after its rows were synced, is always a true lower bound for what the log must hold. */
#ifndef BACKEND_LEASES_H
#define BACKEND_LEASES_H

#include "backend/dir.h"
#include "base/log.h"

struct leases;

/* Maps the file, a new one when it is absent, damaged or (the deadlines) of another boot. Without room on the disk the
 * table lives in plain memory and log says so. d is borrowed until leases_close. */
int leases_open(const struct dir *d, const struct log *log, struct leases **ret, struct tenure_error *err) MUST_USE;
/* Writes it back and frees. NULL is fine. NULL. */
struct leases *leases_close(struct leases *l);

tn_seq leases_synced(const struct leases *l); /* 0 when nothing is known */
void leases_set_synced(struct leases *l, tn_seq seq);

void leases_store(struct leases *l, tn_lease id, tn_ms deadline);
void leases_forget(struct leases *l, tn_lease id);
bool leases_load(const struct leases *l, tn_lease id, tn_ms *ret_deadline) MUST_USE;

#endif
