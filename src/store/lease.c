/* The commands of the Lease service. Grant and revoke are commands with rows; a renewal only moves a deadline in
 * memory.
 *
 * Everything is answered from the planned state: the reply is gated. A renewal waits for less than the rest: it has
 * seen the lease alone, so the lease's own grant is what must be durable, and the revision it tells is the durable one.
 *
 * Failure modes: unknown or known ids, TTLs out of range, quota, a tail at its bound, no memory. Revoking half of a
 * lease's keys is undone.
 */
#include <stdlib.h>

#include "store/internal.h"

enum { EXPIRE_AFTER_READY_MS = 3000 };

/* ---- grant ---- */

static tn_lease lease_draw(struct store *s)
{
    for (;;) {
        tn_lease id = (tn_lease)(rng_u64(&s->rng) & INT64_MAX);
        if (id != 0 && !lease_find(&s->leases, id))
            return id;
    }
}

static enum etcd_error grant_check(const struct store *s, const struct lease_grant_req *req)
{
    enum etcd_error e = alarm_check(s);
    if (!e)
        e = quota_check(s, lease_memory());
    if (e)
        return e;
    if (req->ttl_s > LEASE_TTL_MAX_S)
        return ETCD_LEASE_TTL_TOO_LARGE;
    return req->id != 0 && lease_find(&s->leases, req->id) ? ETCD_LEASE_EXIST : ETCD_OK;
}

static enum etcd_error grant_plan(struct store *s, struct lease *l, tn_ms now)
{
    if (!l || lease_set_reserve(&s->leases) != 0 || command_reserve(s) != 0) {
        lease_free(l);
        return ETCD_OUT_OF_MEMORY;
    }
    l->grant_seq = s->seq + 1;
    lease_add(&s->leases, l, now + l->ttl_s * 1000);
    s->memory += lease_memory();
    struct record row = {.kind = RECORD_LEASE_GRANT, .main = s->revision, .lease = l->id, .version = l->ttl_s};
    command_add(s, (struct planned){.lease = l}, row);
    return ETCD_OK;
}

static enum etcd_error grant_run(struct store *s, const struct lease_grant_req *req, tn_ms now,
                                 struct lease_grant_resp *ret)
{
    enum etcd_error e = grant_check(s, req);
    if (e)
        return e;
    tn_lease id = req->id ? req->id : lease_draw(s);
    int64_t ttl_s = req->ttl_s < s->config.lease_ttl_min_s ? s->config.lease_ttl_min_s : req->ttl_s;
    e = grant_plan(s, lease_new(id, ttl_s), now);
    if (!e)
        *ret = (struct lease_grant_resp){.revision = s->revision, .id = id, .ttl_s = ttl_s};
    return e;
}

enum etcd_error store_lease_grant(struct store *s, const struct lease_grant_req *req, tn_ms now,
                                  struct lease_grant_resp *ret, tn_seq *seq)
{
    enum etcd_error e = command_begin(s);
    if (!e) {
        e = grant_run(s, req, now, ret);
        command_end(s);
        s->counts.leases_granted += !e;
    }
    *seq = command_gate(s);
    return e;
}

/* ---- revoke ---- */

static int key_order(const void *a, const void *b)
{
    const struct version *const *left = a, *const *right = b;
    return bytes_compare((*left)->key->item.key, (*right)->key->item.key);
}

/* The newest versions of the attached keys, in s->scratch, in order of key. */
static enum etcd_error attached_collect(struct store *s, const struct lease *l, size_t *ret_n)
{
    size_t n = 0;
    LIST_FOREACH(it, &l->keys)
    {
        if (scratch_reserve(s, n + 1) != 0)
            return ETCD_OUT_OF_MEMORY;
        s->scratch[n++] = key_newest(LIST_ENTRY(it, struct key, lease_node));
    }
    if (n > 1)
        qsort(s->scratch, n, sizeof(struct version *), key_order);
    *ret_n = n;
    return ETCD_OK;
}

static enum etcd_error attached_delete(struct store *s, const struct lease *l)
{
    size_t n = 0;
    enum etcd_error e = attached_collect(s, l, &n);
    for (size_t i = 0; !e && i < n; i++)
        e = write_tombstone(s, s->scratch[i]->key);
    scratch_release(s);
    return e;
}

static enum etcd_error revoke_plan(struct store *s, struct lease *l)
{
    enum etcd_error e = attached_delete(s, l);
    if (e)
        return e;
    if (command_reserve(s) != 0)
        return ETCD_OUT_OF_MEMORY;
    lease_remove(&s->leases, l);
    lease_set_revoked(&s->leases, l, s->seq + 1);
    struct record row = {.kind = RECORD_LEASE_REVOKE, .main = command_sees(s), .lease = l->id};
    command_add(s, (struct planned){.lease = l}, row);
    return ETCD_OK;
}

static enum etcd_error revoke_command(struct store *s, struct lease *l)
{
    enum etcd_error e = command_begin(s);
    if (e)
        return e;
    e = revoke_plan(s, l);
    if (e)
        command_abort(s);
    command_end(s);
    s->counts.leases_revoked += !e;
    return e;
}

enum etcd_error store_lease_revoke(struct store *s, const struct lease_revoke_req *req, struct lease_revoke_resp *ret,
                                   tn_seq *seq)
{
    struct lease *l = lease_find(&s->leases, req->id);
    enum etcd_error e = alarm_check(s);
    if (!e)
        e = l ? revoke_command(s, l) : ETCD_LEASE_NOT_FOUND;
    *seq = command_gate(s);
    if (!e)
        ret->revision = s->revision;
    return e;
}

/* ---- what makes no row ---- */

enum etcd_error store_lease_keepalive(struct store *s, const struct lease_keepalive_req *req, tn_ms now,
                                      struct lease_keepalive_resp *ret, tn_ms *ret_deadline, tn_seq *seq)
{
    struct lease *l = lease_find(&s->leases, req->id);
    *ret = (struct lease_keepalive_resp){.revision = s->revision, .id = req->id};
    *ret_deadline = 0;
    *seq = command_gate(s);
    if (!l)
        return ETCD_OK;
    s->counts.leases_renewed++;
    *ret_deadline = now + l->ttl_s * 1000;
    lease_set_deadline(&s->leases, l, *ret_deadline);
    ret->ttl_s = l->ttl_s;
    ret->revision = s->revision_durable;
    *seq = s->config.broken_skip_gate ? 0 : l->grant_seq;
    return ETCD_OK;
}

static enum etcd_error attached_describe(struct store *s, const struct lease *l, struct arena *a,
                                         struct lease_ttl_resp *ret)
{
    size_t n = 0;
    enum etcd_error e = attached_collect(s, l, &n);
    ret->keys = e ? NULL : arena_array(a, n, sizeof *ret->keys);
    for (size_t i = 0; ret->keys && i < n; i++)
        ret->keys[i] = s->scratch[i]->key->item.key;
    ret->n_keys = n;
    scratch_release(s);
    return ret->keys ? ETCD_OK : ETCD_OUT_OF_MEMORY;
}

enum etcd_error store_lease_ttl(struct store *s, const struct lease_ttl_req *req, tn_ms now, struct arena *a,
                                struct lease_ttl_resp *ret, tn_seq *seq)
{
    struct lease *l = lease_find(&s->leases, req->id);
    struct lease_ttl_resp resp = {.revision = s->revision, .id = req->id, .ttl_s = -1};
    *seq = command_gate(s);
    if (l) {
        tn_ms left = lease_deadline(&s->leases, l) - now;
        resp.ttl_s = left > 0 ? left / 1000 : 0;
        resp.granted_ttl_s = l->ttl_s;
    }
    enum etcd_error e = l && req->keys ? attached_describe(s, l, a, &resp) : ETCD_OK;
    if (!e)
        *ret = resp;
    return e;
}

static int expiry_order(const void *a, const void *b)
{
    const struct lease *const *left = a, *const *right = b;
    return lease_expires_before(*left, *right) ? -1 : lease_expires_before(*right, *left);
}

enum etcd_error store_lease_list(struct store *s, struct arena *a, struct lease_list_resp *ret, tn_seq *seq)
{
    *seq = command_gate(s);
    size_t n = 0, cursor = 0;
    struct lease **all = arena_array(a, s->leases.by_id.len, sizeof(struct lease *));
    struct lease_list_resp resp = {.revision = s->revision,
                                   .ids = arena_array(a, s->leases.by_id.len, sizeof *resp.ids)};
    if (!all || !resp.ids)
        return ETCD_OUT_OF_MEMORY;
    for (struct lease *l; (l = map_next(&s->leases.by_id, &cursor));)
        all[n++] = l;
    if (n > 1)
        qsort(all, n, sizeof(struct lease *), expiry_order);
    for (size_t i = 0; i < n; i++)
        resp.ids[i] = all[i]->id;
    resp.n_ids = n;
    *ret = resp;
    return ETCD_OK;
}

/* ---- time ---- */

tn_ms store_lease_deadline(const struct store *s)
{
    struct lease *first = lease_first(&s->leases);
    return first ? lease_deadline(&s->leases, first) : TN_MS_NEVER;
}

size_t store_lease_expire(struct store *s, tn_ms now, size_t max, tn_lease *ids)
{
    size_t n = 0;
    if (alarm_check(s) != ETCD_OK)
        return 0;
    while (n < max && store_lease_deadline(s) <= now) {
        struct lease *l = lease_first(&s->leases);
        if (revoke_command(s, l) != ETCD_OK)
            break;
        s->counts.leases_expired++;
        ids[n++] = l->id;
    }
    return n;
}

void store_lease_shift(struct store *s, tn_ms delta)
{
    s->leases.shift += delta;
}

void store_lease_restore(struct store *s, tn_lease id, tn_ms deadline, tn_ms now)
{
    struct lease *l = lease_find(&s->leases, id);
    if (!l)
        return;
    tn_ms ttl = l->ttl_s * 1000;
    tn_ms earliest = now + (ttl < EXPIRE_AFTER_READY_MS ? ttl : EXPIRE_AFTER_READY_MS);
    if (deadline < earliest)
        deadline = earliest;
    if (deadline > now + ttl)
        deadline = now + ttl;
    lease_set_deadline(&s->leases, l, deadline);
}

tn_lease store_lease_next(const struct store *s, size_t *cursor)
{
    struct lease *l = map_next(&s->leases.by_id, cursor);
    return l ? l->id : 0;
}
