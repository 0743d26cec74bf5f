/* From the plain structs of src/api to the public results: each one allocation, laid out as all structs first, then all
 * bytes, each run of bytes with a 0 behind it. NULL when out of memory. Pure. */
#ifndef LIB_RESULT_H
#define LIB_RESULT_H

#include <tenure/auth.h>
#include <tenure/cluster.h>
#include <tenure/kv.h>
#include <tenure/maintenance.h>
#include <tenure/services.h>

#include "api/auth.h"
#include "api/cluster.h"
#include "api/kv.h"
#include "api/lease.h"
#include "api/lock.h"
#include "api/maintenance.h"

struct tenure_get_result *result_get(const struct range_resp *r) MUST_USE;
struct tenure_put_result *result_put(const struct put_resp *r) MUST_USE;
struct tenure_delete_result *result_delete(const struct delete_resp *r) MUST_USE;
struct tenure_txn_result *result_txn(const struct txn_resp *r) MUST_USE;
/* Of `if mod_revision … then put or delete else get`. */
struct tenure_cas_result *result_cas(const struct txn_resp *r) MUST_USE;
struct tenure_lease_info *result_lease(const struct lease_ttl_resp *r) MUST_USE;
struct tenure_lease_list *result_leases(const struct lease_list_resp *r) MUST_USE;
struct tenure_member_list *result_members(const struct member_list_resp *r, uint64_t cluster_id, uint64_t added)
    MUST_USE;
struct tenure_alarm_list *result_alarms(const struct alarm_resp *r) MUST_USE;
struct tenure_status *result_status(const struct status_resp *r, const struct response_header *h, const char *endpoint)
    MUST_USE;

struct tenure_names *result_names(const bytes *names, size_t n) MUST_USE;
struct tenure_permissions *result_permissions(const struct role_get_resp *r) MUST_USE;

struct tenure_v3_lock *result_v3_lock(const struct lock_resp *r) MUST_USE;
struct tenure_v3_leader *result_v3_leader(const struct leader_key *r) MUST_USE;

/* Borrows. */
static inline struct tenure_bytes result_bytes(bytes s)
{
    return (struct tenure_bytes){s.data, s.len};
}
static inline bytes result_bytes_in(struct tenure_bytes s)
{
    return bytes_of(s.data, s.len);
}
struct tenure_kv result_kv(const struct kv *kv);

#endif
