/* The quota over memory and file: what adds data is refused over it, and while the alarm stands that somebody then raises;
 * what takes away, or only renews, never is.
 */
#include "store/internal.h"

static enum etcd_error fits_check(const struct store *s, int64_t more)
{
    bool fits = s->memory <= s->config.quota_bytes - more && s->file_bytes <= s->config.quota_bytes - more;
    return fits ? ETCD_OK : ETCD_NO_SPACE;
}

enum etcd_error quota_check(const struct store *s, int64_t more)
{
    return s->facts.nospace ? ETCD_NO_SPACE : fits_check(s, more);
}

bool store_over_quota(const struct store *s)
{
    return fits_check(s, 0) != ETCD_OK;
}

int64_t quota_put_cost(const struct put_req *req)
{
    enum { OVERHEAD = (int)(sizeof(struct key) + sizeof(struct version)) + 64 };
    size_t cost = OVERHEAD + req->key.len + req->value.len;
    return cost < INT64_MAX / 2 ? (int64_t)cost : INT64_MAX / 2;
}

static int64_t cost_add(int64_t a, int64_t b)
{
    return a > INT64_MAX / 2 - b ? INT64_MAX / 2 : a + b;
}

static int64_t ops_cost(const struct request_op *ops, size_t n)
{
    int64_t cost = 0;
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == OP_PUT)
            cost = cost_add(cost, quota_put_cost(&ops[i].put));
        else if (ops[i].kind == OP_TXN)
            cost = cost_add(cost, quota_txn_cost(ops[i].txn));
    }
    return cost;
}

int64_t quota_txn_cost(const struct txn_req *req)
{
    int64_t yes = ops_cost(req->success, req->n_success), no = ops_cost(req->failure, req->n_failure);
    return yes > no ? yes : no;
}
