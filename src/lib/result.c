/* Each result is walked twice: measured, then written by a pen over one block. The two walks must agree; the pen asserts
 * that they did. */
#include "lib/result.h"

#include <assert.h>
#include <stdlib.h>

struct pen {
    size_t structs, bytes; /* measured, in bytes */
    uint8_t *block;
    size_t struct_at, byte_at;
};

/* ---- measuring ---- */

static void need(struct pen *p, size_t n, size_t size)
{
    p->structs += n * ((size + 7) & ~(size_t)7);
}

static void need_bytes(struct pen *p, bytes s)
{
    p->bytes += s.len + 1;
}

static void need_kvs(struct pen *p, const struct kv *kvs, size_t n)
{
    need(p, n, sizeof(struct tenure_kv));
    for (size_t i = 0; i < n; i++) {
        need_bytes(p, kvs[i].key);
        need_bytes(p, kvs[i].value);
    }
}

static void need_strings(struct pen *p, const bytes *strings, size_t n)
{
    need(p, n, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        need_bytes(p, strings[i]);
}

static bool pen_begin(struct pen *p)
{
    p->block = calloc(1, p->structs + p->bytes);
    p->byte_at = p->structs;
    return p->block != NULL;
}

/* ---- writing ---- */

static void *put_structs(struct pen *p, size_t n, size_t size)
{
    void *at = p->block + p->struct_at;
    p->struct_at += n * ((size + 7) & ~(size_t)7);
    assert(p->struct_at <= p->structs);
    return at;
}

/* The 0 behind it is there already. */
static struct tenure_bytes put_bytes(struct pen *p, bytes s)
{
    uint8_t *at = p->block + p->byte_at;
    if (s.len > 0)
        memcpy(at, s.data, s.len);
    p->byte_at += s.len + 1;
    assert(p->byte_at <= p->structs + p->bytes);
    return (struct tenure_bytes){at, s.len};
}

static const char *put_string(struct pen *p, bytes s)
{
    return put_bytes(p, s).data;
}

static const char *const *put_strings(struct pen *p, const bytes *strings, size_t n)
{
    const char **list = put_structs(p, n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = put_string(p, strings[i]);
    return list;
}

struct tenure_kv result_kv(const struct kv *kv)
{
    return (struct tenure_kv){
        .key = result_bytes(kv->key),
        .value = result_bytes(kv->value),
        .create_revision = kv->create_revision,
        .mod_revision = kv->mod_revision,
        .version = kv->version,
        .lease = kv->lease,
    };
}

static struct tenure_kv put_kv(struct pen *p, const struct kv *kv)
{
    struct tenure_kv out = result_kv(kv);
    out.key = put_bytes(p, kv->key);
    out.value = put_bytes(p, kv->value);
    return out;
}

static const struct tenure_kv *put_kvs(struct pen *p, const struct kv *kvs, size_t n)
{
    struct tenure_kv *list = put_structs(p, n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = put_kv(p, &kvs[i]);
    return list;
}

/* ---- get, put, delete ---- */

static void get_need(struct pen *p, const struct range_resp *r)
{
    need(p, 1, sizeof(struct tenure_get_result));
    need_kvs(p, r->kvs, r->n_kvs);
}

static struct tenure_get_result *get_write(struct pen *p, const struct range_resp *r)
{
    struct tenure_get_result *out = put_structs(p, 1, sizeof *out);
    out->revision = r->revision;
    out->count = r->count;
    out->more = r->more;
    out->n_kvs = r->n_kvs;
    out->kvs = put_kvs(p, r->kvs, r->n_kvs);
    return out;
}

struct tenure_get_result *result_get(const struct range_resp *r)
{
    struct pen p = {0};
    get_need(&p, r);
    return pen_begin(&p) ? get_write(&p, r) : NULL;
}

static void put_need(struct pen *p, const struct put_resp *r)
{
    need(p, 1, sizeof(struct tenure_put_result));
    need_bytes(p, r->prev_kv.key);
    need_bytes(p, r->prev_kv.value);
}

static struct tenure_put_result *put_write(struct pen *p, const struct put_resp *r)
{
    struct tenure_put_result *out = put_structs(p, 1, sizeof *out);
    out->revision = r->revision;
    out->has_prev_kv = r->has_prev_kv;
    out->prev_kv = put_kv(p, &r->prev_kv);
    return out;
}

struct tenure_put_result *result_put(const struct put_resp *r)
{
    struct pen p = {0};
    put_need(&p, r);
    return pen_begin(&p) ? put_write(&p, r) : NULL;
}

static void delete_need(struct pen *p, const struct delete_resp *r)
{
    need(p, 1, sizeof(struct tenure_delete_result));
    need_kvs(p, r->prev_kvs, r->n_prev_kvs);
}

static struct tenure_delete_result *delete_write(struct pen *p, const struct delete_resp *r)
{
    struct tenure_delete_result *out = put_structs(p, 1, sizeof *out);
    out->revision = r->revision;
    out->deleted = r->deleted;
    out->n_prev_kvs = r->n_prev_kvs;
    out->prev_kvs = put_kvs(p, r->prev_kvs, r->n_prev_kvs);
    return out;
}

struct tenure_delete_result *result_delete(const struct delete_resp *r)
{
    struct pen p = {0};
    delete_need(&p, r);
    return pen_begin(&p) ? delete_write(&p, r) : NULL;
}

/* ---- transactions ---- */

static void txn_need(struct pen *p, const struct txn_resp *r);
static struct tenure_txn_result *txn_write(struct pen *p, const struct txn_resp *r, tn_rev revision);

static void op_need(struct pen *p, const struct response_op *op)
{
    if (op->kind == OP_RANGE)
        get_need(p, &op->range);
    else if (op->kind == OP_PUT)
        put_need(p, &op->put);
    else if (op->kind == OP_DELETE)
        delete_need(p, &op->del);
    else if (op->kind == OP_TXN)
        txn_need(p, op->txn);
}

/* A kind that we did not ask for leaves op 0. The header of a transaction within another is empty. */
static void op_write(struct pen *p, const struct response_op *op, tn_rev revision, struct tenure_op_result *out)
{
    if (op->kind == OP_RANGE) {
        out->op = TENURE_OP_GET;
        out->get = get_write(p, &op->range);
    } else if (op->kind == OP_PUT) {
        out->op = TENURE_OP_PUT;
        out->put = put_write(p, &op->put);
    } else if (op->kind == OP_DELETE) {
        out->op = TENURE_OP_DELETE;
        out->del = delete_write(p, &op->del);
    } else if (op->kind == OP_TXN) {
        out->op = TENURE_OP_TXN;
        out->txn = txn_write(p, op->txn, revision);
    }
}

static void txn_need(struct pen *p, const struct txn_resp *r)
{
    need(p, 1, sizeof(struct tenure_txn_result));
    need(p, r->n_responses, sizeof(struct tenure_op_result));
    for (size_t i = 0; i < r->n_responses; i++)
        op_need(p, &r->responses[i]);
}

static struct tenure_txn_result *txn_write(struct pen *p, const struct txn_resp *r, tn_rev revision)
{
    struct tenure_txn_result *out = put_structs(p, 1, sizeof *out);
    struct tenure_op_result *ops = put_structs(p, r->n_responses, sizeof *ops);
    out->outcome = r->succeeded ? TENURE_TXN_SUCCEEDED : TENURE_TXN_FAILED;
    out->revision = revision;
    out->n_ops = r->n_responses;
    out->ops = ops;
    for (size_t i = 0; i < r->n_responses; i++)
        op_write(p, &r->responses[i], revision, &ops[i]);
    return out;
}

/* Depth: what the codec lets through. */
struct tenure_txn_result *result_txn(const struct txn_resp *r)
{
    struct pen p = {0};
    txn_need(&p, r);
    return pen_begin(&p) ? txn_write(&p, r, r->revision) : NULL;
}

/* The key as it is, or as it was: NULL when the answer has none. */
static const struct kv *cas_kv(const struct response_op *op)
{
    if (op->kind == OP_RANGE)
        return op->range.n_kvs ? &op->range.kvs[0] : NULL;
    if (op->kind == OP_PUT)
        return op->put.has_prev_kv ? &op->put.prev_kv : NULL;
    return op->kind == OP_DELETE && op->del.n_prev_kvs ? &op->del.prev_kvs[0] : NULL;
}

struct tenure_cas_result *result_cas(const struct txn_resp *r)
{
    struct pen p = {0};
    const struct kv *kv = r->n_responses ? cas_kv(&r->responses[0]) : NULL;
    need(&p, 1, sizeof(struct tenure_cas_result));
    if (kv) {
        need_bytes(&p, kv->key);
        need_bytes(&p, kv->value);
    }
    if (!pen_begin(&p))
        return NULL;
    struct tenure_cas_result *out = put_structs(&p, 1, sizeof *out);
    out->outcome = r->succeeded ? TENURE_TXN_SUCCEEDED : TENURE_TXN_FAILED;
    out->revision = r->revision;
    out->has_kv = kv;
    if (kv)
        out->kv = put_kv(&p, kv);
    return out;
}

/* ---- leases ---- */

struct tenure_lease_info *result_lease(const struct lease_ttl_resp *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_lease_info));
    need(&p, r->n_keys, sizeof(struct tenure_bytes));
    for (size_t i = 0; i < r->n_keys; i++)
        need_bytes(&p, r->keys[i]);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_lease_info *out = put_structs(&p, 1, sizeof *out);
    struct tenure_bytes *keys = put_structs(&p, r->n_keys, sizeof *keys);
    out->id = r->id;
    out->ttl_s = r->ttl_s;
    out->granted_ttl_s = r->granted_ttl_s;
    out->n_keys = r->n_keys;
    out->keys = keys;
    for (size_t i = 0; i < r->n_keys; i++)
        keys[i] = put_bytes(&p, r->keys[i]);
    return out;
}

struct tenure_lease_list *result_leases(const struct lease_list_resp *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_lease_list));
    need(&p, r->n_ids, sizeof(int64_t));
    if (!pen_begin(&p))
        return NULL;
    struct tenure_lease_list *out = put_structs(&p, 1, sizeof *out);
    int64_t *ids = put_structs(&p, r->n_ids, sizeof *ids);
    out->n = r->n_ids;
    out->ids = ids;
    if (r->n_ids > 0)
        memcpy(ids, r->ids, r->n_ids * sizeof *ids);
    return out;
}

/* ---- servers ---- */

static void member_need(struct pen *p, const struct member *m)
{
    need_bytes(p, m->name);
    need_strings(p, m->peer_urls, m->n_peer_urls);
    need_strings(p, m->client_urls, m->n_client_urls);
}

static void member_write(struct pen *p, const struct member *m, struct tenure_member *out)
{
    out->id = m->id;
    out->name = put_string(p, m->name);
    out->n_peer_urls = m->n_peer_urls;
    out->peer_urls = put_strings(p, m->peer_urls, m->n_peer_urls);
    out->n_client_urls = m->n_client_urls;
    out->client_urls = put_strings(p, m->client_urls, m->n_client_urls);
    out->is_learner = m->is_learner;
}

struct tenure_member_list *result_members(const struct member_list_resp *r, uint64_t cluster_id, uint64_t added)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_member_list));
    need(&p, r->n_members, sizeof(struct tenure_member));
    for (size_t i = 0; i < r->n_members; i++)
        member_need(&p, &r->members[i]);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_member_list *out = put_structs(&p, 1, sizeof *out);
    struct tenure_member *members = put_structs(&p, r->n_members, sizeof *members);
    out->cluster_id = cluster_id;
    out->added = added;
    out->n = r->n_members;
    out->members = members;
    for (size_t i = 0; i < r->n_members; i++)
        member_write(&p, &r->members[i], &members[i]);
    return out;
}

struct tenure_status *result_status(const struct status_resp *r, const struct response_header *h, const char *endpoint)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_status));
    need_bytes(&p, bytes_str(endpoint));
    need_bytes(&p, r->version);
    need_bytes(&p, r->storage_version);
    need_strings(&p, r->errors, r->n_errors);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_status *out = put_structs(&p, 1, sizeof *out);
    out->endpoint = put_string(&p, bytes_str(endpoint));
    out->version = put_string(&p, r->version);
    out->cluster_id = h->cluster_id;
    out->member_id = h->member_id;
    out->leader = r->leader;
    out->raft_term = r->raft_term;
    out->raft_index = r->raft_index;
    out->revision = h->revision;
    out->db_size = r->db_size;
    out->db_size_in_use = r->db_size_in_use;
    out->is_learner = r->is_learner;
    out->n_errors = r->n_errors;
    out->errors = put_strings(&p, r->errors, r->n_errors);
    out->raft_applied_index = r->raft_applied_index;
    out->db_size_quota = r->db_size_quota;
    out->storage_version = put_string(&p, r->storage_version);
    return out;
}

struct tenure_alarm_list *result_alarms(const struct alarm_resp *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_alarm_list));
    need(&p, r->n_alarms, sizeof(struct tenure_alarm));
    if (!pen_begin(&p))
        return NULL;
    struct tenure_alarm_list *out = put_structs(&p, 1, sizeof *out);
    struct tenure_alarm *list = put_structs(&p, r->n_alarms, sizeof *list);
    for (size_t i = 0; i < r->n_alarms; i++)
        list[i] = (struct tenure_alarm){r->alarms[i].member_id, (enum tenure_alarm_type)r->alarms[i].type};
    out->n = r->n_alarms;
    out->alarms = list;
    return out;
}

/* ---- users and roles ---- */

struct tenure_names *result_names(const bytes *names, size_t n)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_names));
    need_strings(&p, names, n);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_names *out = put_structs(&p, 1, sizeof *out);
    out->n = n;
    out->names = put_strings(&p, names, n);
    return out;
}

struct tenure_permissions *result_permissions(const struct role_get_resp *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_permissions));
    need(&p, r->n_permissions, sizeof(struct tenure_permission));
    for (size_t i = 0; i < r->n_permissions; i++) {
        need_bytes(&p, r->permissions[i].range.key);
        need_bytes(&p, r->permissions[i].range.range_end);
    }
    if (!pen_begin(&p))
        return NULL;
    struct tenure_permissions *out = put_structs(&p, 1, sizeof *out);
    struct tenure_permission *list = put_structs(&p, r->n_permissions, sizeof *list);
    for (size_t i = 0; i < r->n_permissions; i++) {
        list[i].type = (enum tenure_permission_type)r->permissions[i].type;
        list[i].key = put_bytes(&p, r->permissions[i].range.key);
        list[i].range_end = put_bytes(&p, r->permissions[i].range.range_end);
    }
    out->n = r->n_permissions;
    out->permissions = list;
    return out;
}

/* ---- the server's locks and elections ---- */

struct tenure_v3_lock *result_v3_lock(const struct lock_resp *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_v3_lock));
    need_bytes(&p, r->key);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_v3_lock *out = put_structs(&p, 1, sizeof *out);
    out->key = put_bytes(&p, r->key);
    out->revision = r->revision;
    return out;
}

struct tenure_v3_leader *result_v3_leader(const struct leader_key *r)
{
    struct pen p = {0};
    need(&p, 1, sizeof(struct tenure_v3_leader));
    need_bytes(&p, r->name);
    need_bytes(&p, r->key);
    if (!pen_begin(&p))
        return NULL;
    struct tenure_v3_leader *out = put_structs(&p, 1, sizeof *out);
    out->name = put_bytes(&p, r->name);
    out->key = put_bytes(&p, r->key);
    out->revision = r->rev;
    out->lease = r->lease;
    return out;
}

/* ---- freeing: one allocation each ---- */

void tenure_get_free(struct tenure_get_result *r)
{
    free(r);
}

void tenure_put_free(struct tenure_put_result *r)
{
    free(r);
}

void tenure_delete_free(struct tenure_delete_result *r)
{
    free(r);
}

void tenure_txn_result_free(struct tenure_txn_result *r)
{
    free(r);
}

void tenure_lease_info_free(struct tenure_lease_info *r)
{
    free(r);
}

void tenure_lease_list_free(struct tenure_lease_list *r)
{
    free(r);
}

void tenure_member_list_free(struct tenure_member_list *r)
{
    free(r);
}

void tenure_status_free(struct tenure_status *r)
{
    free(r);
}

void tenure_alarm_list_free(struct tenure_alarm_list *r)
{
    free(r);
}
