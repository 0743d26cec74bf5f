/* Requests and answers of etcd's queue; see queue.h. Answers come from the network: nothing in them is taken for granted,
 * neither their number nor their kind nor their order. */
#include "recipes/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/rank.h"

enum { PERMIT_VIEW_MAX = 1000 };

/* ---- keys ---- */

int queue_check_name(const char *prefix, const char *name, struct tenure_error *err)
{
    size_t prefix_len = strlen(prefix), name_len = name ? strlen(name) : 0;
    if (name_len == 0)
        return error_set(err, TENURE_EINVALID, "the name is empty");
    if (name[name_len - 1] == '/')
        return error_set(err, TENURE_EINVALID, "the name '%.100s' ends in a slash", name);
    if (name[0] == '/' && prefix_len > 0)
        return error_set(err, TENURE_EINVALID,
                         "the name '%.100s' begins with a slash, but stands behind the prefix '%.50s'", name, prefix);
    if (prefix_len > QUEUE_NAME_MAX || name_len > QUEUE_NAME_MAX - prefix_len)
        return error_set(err, TENURE_EINVALID, "the name has more than %d bytes, its prefix included", QUEUE_NAME_MAX);
    return 0;
}

static bytes put_part(uint8_t **at, bytes a, bytes b)
{
    bytes part = bytes_of(*at, a.len + b.len);
    if (a.len)
        memcpy(*at, a.data, a.len);
    if (b.len)
        memcpy(*at + a.len, b.data, b.len);
    *at += part.len;
    return part;
}

/* The part of a key behind the last slash. */
static void last_part(const struct rule *rule, tn_lease lease, char out[RULE_TAG_MAX + 17])
{
    rule_tag(rule, out);
    snprintf(out + strlen(out), 17, "%" PRIx64, (uint64_t)lease);
}

/* None of these is a fence's: they hold letters that hex has not. */
#define WHO       "\0who/"
#define WHO_END   "\0who0"
#define WHO_LEN   (sizeof WHO - 1)
#define RANK      "\0rank/"
#define RANK_END  "\0rank0"
#define RANK_LEN  (sizeof RANK - 1)
#define DELAY     "\0delay"
#define DELAY_LEN (sizeof DELAY - 1)

int queue_init(struct queue *q, const char *path, const struct rule *rule, tn_lease lease)
{
    static const struct rule whole;
    char last[RULE_TAG_MAX + 17];
    rule = rule ? rule : &whole;
    last_part(rule, lease, last);
    bytes p = bytes_str(path), h = bytes_str(last);
    uint8_t *at =
        malloc(11 * (p.len + 1) + 4 * h.len + 2 * strlen(RULE_READ_BEGIN) + 2 * WHO_LEN + 2 * RANK_LEN + DELAY_LEN + 1);
    if (!at)
        return TENURE_ENOMEM;
    *q = (struct queue){.memory = at, .lease = lease, .rule = *rule};
    q->dir = put_part(&at, p, bytes_str("/"));
    q->path = bytes_of(q->dir.data, p.len);
    q->own = put_part(&at, q->dir, h);
    q->fence = put_part(&at, p, bytes_of("\0", 1));
    put_part(&at, h, bytes_of(NULL, 0));
    q->fence.len += h.len;
    q->who = put_part(&at, p, bytes_of(WHO, WHO_LEN));
    put_part(&at, h, bytes_of(NULL, 0));
    q->who.len += h.len;
    q->who_all = bytes_of(q->who.data, p.len + WHO_LEN);
    q->who_end = put_part(&at, p, bytes_of(WHO_END, WHO_LEN));
    q->rank = put_part(&at, p, bytes_of(RANK, RANK_LEN));
    put_part(&at, h, bytes_of(NULL, 0));
    q->rank.len += h.len;
    q->rank_all = bytes_of(q->rank.data, p.len + RANK_LEN);
    q->rank_end = put_part(&at, p, bytes_of(RANK_END, RANK_LEN));
    q->delay = put_part(&at, p, bytes_of(DELAY, DELAY_LEN));
    q->readers = put_part(&at, q->dir, bytes_str(RULE_READ_BEGIN));
    q->readers_end = put_part(&at, q->dir, bytes_str(RULE_READ_END));
    q->dir_end = bytes_of(at, bytes_prefix_end(q->dir, at));
    return 0;
}

void queue_fini(struct queue *q)
{
    free(q->memory);
    *q = (struct queue){0};
}

bool queue_counts(const struct queue *q, bytes key)
{
    if (!bytes_has_prefix(key, q->dir))
        return false;
    size_t rest = key.len - q->dir.len;
    return rest == 0 || !memchr(key.data + q->dir.len, '/', rest);
}

struct rule queue_rule_of(const struct queue *q, bytes key)
{
    return rule_of(bytes_of(key.data + q->dir.len, key.len - q->dir.len));
}

/* ---- requests ---- */

static struct compare compare_number(bytes key, enum compare_target target, tn_rev number)
{
    return (struct compare){.target = target, .result = COMPARE_EQUAL, .range.key = key, .number = number};
}

static struct request_op get_one(bytes key)
{
    return (struct request_op){.kind = OP_RANGE, .range.range.key = key};
}

/* The newest keys of a range; before: only those created earlier than that, 0 = whenever; limit 0 = none. */
static struct request_op get_newest(bytes from, bytes to, tn_rev before, int64_t limit)
{
    return (struct request_op){.kind = OP_RANGE,
                               .range = {.range = {.key = from, .range_end = to},
                                         .limit = limit,
                                         .sort_order = SORT_DESCEND,
                                         .sort_target = SORT_CREATE,
                                         .keys_only = true,
                                         .max_create_revision = before ? before - 1 : 0}};
}

static struct request_op put(bytes key, bytes value, tn_lease lease)
{
    return (struct request_op){.kind = OP_PUT, .put = {.key = key, .value = value, .lease = lease}};
}

static struct request_op delete_one(bytes key)
{
    return (struct request_op){.kind = OP_DELETE, .del.range.key = key};
}

static void txn_begin(struct queue_txn *t)
{
    t->req = (struct txn_req){.compares = t->compares, .success = t->success, .failure = t->failure};
}

static void txn_if(struct queue_txn *t, struct compare c)
{
    t->compares[t->req.n_compares++] = c;
}

static void txn_then(struct queue_txn *t, struct request_op op)
{
    t->success[t->req.n_success++] = op;
}

static void txn_else(struct queue_txn *t, struct request_op op)
{
    t->failure[t->req.n_failure++] = op;
}

/* A permit that sees as many as the limit allows, and one, knows whether its predecessor waits. */
static int64_t view_max(const struct queue *q)
{
    int64_t most = q->rule.kind == RULE_PERMIT && q->rule.limit >= QUEUE_VIEW_MAX ? q->rule.limit + 1 : QUEUE_VIEW_MAX;
    return most < PERMIT_VIEW_MAX ? most : PERMIT_VIEW_MAX;
}

/* Readers are not asked for by a reader: there may be many. The values of the others are, for those that share. */
static void ask_before(const struct queue *q, tn_rev before, bool all, struct queue_txn *t)
{
    int64_t limit = all || q->rule.kind == RULE_CUSTOM ? 0 : view_max(q);
    if (q->rule.kind != RULE_READ) {
        txn_then(t, get_newest(q->dir, q->dir_end, before, limit));
        if (q->rule.kind == RULE_CUSTOM) {
            t->success[0].range.sort_order = SORT_ASCEND;
            t->success[0].range.keys_only = false;
        }
        return;
    }
    txn_then(t, get_newest(q->dir, q->readers, before, limit));
    txn_then(t, get_newest(q->readers_end, q->dir_end, before, limit));
    t->success[0].range.keys_only = t->success[1].range.keys_only = false;
}

/* How many ranges that is. */
static size_t n_asked(const struct queue *q)
{
    return q->rule.kind == RULE_READ ? 2 : 1;
}

/* The range comes before the put, so that it shows the others only. */
void queue_enter(const struct queue *q, bytes value, tn_rev fence, bool only_first, struct queue_txn *ret)
{
    txn_begin(ret);
    txn_if(ret, compare_number(q->own, COMPARE_CREATE, 0));
    txn_if(ret, compare_number(q->fence, COMPARE_MOD, fence));
    if (only_first) {
        struct compare nobody = compare_number(q->dir, COMPARE_CREATE, 0);
        nobody.range.range_end = q->dir_end;
        txn_if(ret, nobody);
    }
    ask_before(q, 0, false, ret);
    txn_then(ret, put(q->own, value, q->lease));
    txn_else(ret, get_one(q->own));
    txn_else(ret, get_one(q->fence));
    if (only_first)
        txn_else(ret, get_newest(q->dir, q->dir_end, 0, QUEUE_VIEW_MAX));
}

void queue_note(const struct queue *q, bytes note, struct queue_txn *ret)
{
    txn_then(ret, put(q->who, note, q->lease));
}

void queue_put_rank(const struct queue *q, bytes rank, struct queue_txn *ret)
{
    txn_then(ret, put(q->rank, rank, q->lease));
}

/* Who is worse than those who state nothing has to know of those as well: then the keys behind are asked for, too. */
static size_t n_sought(const struct queue *q)
{
    return !q->seeks ? 0 : q->preference < 0 ? 2 : 1;
}

static void ask_behind(const struct queue *q, tn_rev create, struct queue_txn *t)
{
    struct request_op ranks = {.kind = OP_RANGE,
                               .range = {.range = {.key = q->rank_all, .range_end = q->rank_end},
                                         .limit = QUEUE_RANKS_MAX,
                                         .min_mod_revision = create + 1}};
    struct request_op keys = {.kind = OP_RANGE,
                              .range = {.range = {.key = q->dir, .range_end = q->dir_end},
                                        .limit = QUEUE_RANKS_MAX,
                                        .keys_only = true,
                                        .min_create_revision = create + 1}};
    if (n_sought(q) > 0)
        txn_then(t, ranks);
    if (n_sought(q) > 1)
        txn_then(t, keys);
}

void queue_verify(const struct queue *q, tn_rev create, bool all, struct queue_txn *ret)
{
    txn_begin(ret);
    txn_if(ret, compare_number(q->own, COMPARE_CREATE, create));
    ask_before(q, create, all, ret);
    ask_behind(q, create, ret);
    txn_else(ret, get_one(q->own)); /* a branch without a read would not make the transaction linearizable everywhere */
}

void queue_touch(const struct queue *q, bytes value, struct queue_txn *ret)
{
    txn_then(ret, put(q->own, value, q->lease));
}

void queue_leave(const struct queue *q, tn_rev create, struct queue_txn *ret)
{
    txn_begin(ret);
    txn_if(ret, compare_number(q->own, COMPARE_CREATE, create));
    txn_then(ret, delete_one(q->own));
}

void queue_leave_fenced(const struct queue *q, tn_rev fence, struct queue_txn *ret)
{
    txn_begin(ret);
    txn_if(ret, compare_number(q->fence, COMPARE_MOD, fence));
    txn_then(ret, put(q->fence, bytes_of(NULL, 0), q->lease));
    txn_then(ret, delete_one(q->own));
    txn_else(ret, get_one(q->fence));
}

void queue_leave_note(const struct queue *q, struct queue_txn *ret)
{
    txn_then(ret, delete_one(q->who));
}

void queue_leave_rank(const struct queue *q, struct queue_txn *ret)
{
    txn_then(ret, delete_one(q->rank));
}

void queue_leave_record(const struct queue *q, tn_rev mod, struct queue_txn *ret)
{
    txn_if(ret, compare_number(q->delay, COMPARE_MOD, mod));
    txn_then(ret, delete_one(q->delay));
    if (ret->req.n_failure == 0)
        txn_else(ret, get_one(q->own));
}

void queue_leave_claim(const struct queue *q, bytes record, struct queue_txn *ret)
{
    ret->inner_compare =
        (struct compare){.target = COMPARE_VALUE, .result = COMPARE_EQUAL, .range.key = q->delay, .value = record};
    ret->inner_then = delete_one(q->delay);
    ret->inner =
        (struct txn_req){.compares = &ret->inner_compare, .n_compares = 1, .success = &ret->inner_then, .n_success = 1};
    txn_then(ret, (struct request_op){.kind = OP_TXN, .txn = &ret->inner});
}

void queue_proclaim(const struct queue *q, tn_rev create, tn_rev mod, bytes value, struct queue_txn *ret)
{
    txn_begin(ret);
    txn_if(ret, compare_number(q->own, COMPARE_CREATE, create));
    txn_if(ret, compare_number(q->own, COMPARE_MOD, mod));
    txn_then(ret, put(q->own, value, q->lease));
    txn_else(ret, get_one(q->own));
}

/* ---- answers ---- */

static int protocol(struct tenure_error *err, const char *what)
{
    return error_set(err, TENURE_EPROTOCOL, "the answer to a transaction to %s is not one", what);
}

static bool has_ranges(const struct txn_resp *r, size_t from, size_t to)
{
    if (r->n_responses != to)
        return false;
    for (size_t i = from; i < to; i++)
        if (r->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

static bool has_ranges_and_puts(const struct txn_resp *r, size_t ranges, size_t puts)
{
    if (r->n_responses != ranges + puts || r->responses[ranges].kind != OP_PUT)
        return false;
    for (size_t i = 0; i < ranges; i++)
        if (r->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

/* The mod_revision of the one key asked for, 0 when it is absent. */
static tn_rev mod_of(const struct range_resp *r)
{
    return r->n_kvs ? r->kvs[0].mod_revision : 0;
}

/* Of the newest first: the first that counts is the one to wait for. */
static void look_whole(const struct queue *q, const struct range_resp *r, struct queue_view *v)
{
    for (size_t i = 0; i < r->n_kvs; i++) {
        bytes key = r->kvs[i].key;
        if (bytes_equal(key, q->own))
            continue;
        if (!queue_counts(q, key))
            v->below = key;
        else if (v->before.len == 0)
            v->before = key;
    }
    v->look_at_all = v->before.len == 0 && r->more;
}

/* The newest that counts and does not share. Of two ranges either will do, when the other shows none. */
static void look_past_readers(const struct queue *q, const struct range_resp *r, struct queue_view *v, tn_rev *newest)
{
    bool any = false;
    for (size_t i = 0; i < r->n_kvs; i++) {
        const struct kv *kv = &r->kvs[i];
        if (!queue_counts(q, kv->key)) {
            v->below = kv->key;
        } else if (!rule_is_shared(kv->value)) {
            any = true;
            if (kv->create_revision > *newest) {
                v->before = kv->key;
                *newest = kv->create_revision;
            }
        }
    }
    v->look_at_all = v->look_at_all || (!any && r->more);
}

static void look_read(const struct queue *q, const struct response_op *r, struct queue_view *v)
{
    tn_rev newest = 0;
    look_past_readers(q, &r[0].range, v, &newest);
    look_past_readers(q, &r[1].range, v, &newest);
    v->wait = QUEUE_WAIT_CHANGED; /* it may begin to share */
    if (v->before.len)
        v->look_at_all = false;
}

struct tally { /* of the keys before a permit */
    bytes newest;
    struct rule newest_rule;
    bool whole; /* one of them is no permit */
    bool mixed; /* not all of them state the own limit */
    int64_t taken, limit;
};

static struct tally count(const struct queue *q, const struct range_resp *r, struct queue_view *v)
{
    struct tally t = {.limit = RULE_LIMIT_MAX};
    tn_rev newest = 0;
    for (size_t i = 0; i < r->n_kvs; i++) {
        bytes key = r->kvs[i].key;
        if (bytes_equal(key, q->own))
            continue;
        if (!queue_counts(q, key)) {
            v->below = key;
            continue;
        }
        struct rule rule = queue_rule_of(q, key);
        if (r->kvs[i].create_revision > newest) {
            newest = r->kvs[i].create_revision;
            t.newest = key;
            t.newest_rule = rule;
        }
        t.whole = t.whole || rule.kind != RULE_PERMIT;
        t.taken += rule.weight;
        t.mixed = t.mixed || rule.limit != q->rule.limit;
        if (rule.kind == RULE_PERMIT && rule.limit < t.limit)
            t.limit = rule.limit;
    }
    return t;
}

static void look_permit(const struct queue *q, const struct range_resp *r, struct queue_view *v)
{
    struct tally t = count(q, r, v);
    int64_t limit = t.limit < q->rule.limit ? t.limit : q->rule.limit;
    if (!r->more && !t.whole && t.taken <= limit - q->rule.weight)
        return; /* it may hold */
    if (t.newest.len == 0 || (r->more && t.newest_rule.kind == RULE_PERMIT && !t.whole && t.taken <= t.limit)) {
        v->look_at_all = true;
        return;
    }
    v->before = t.newest;
    v->taken = t.taken;
    v->room = limit - q->rule.weight;
    v->mixed = t.mixed;
    if (t.newest_rule.kind != RULE_PERMIT)
        v->wait = QUEUE_WAIT_GONE; /* whatever is before that one, it takes the whole */
    else if (t.whole || t.taken > t.limit)
        v->wait = QUEUE_WAIT_CHANGED; /* the predecessor waits */
    else
        v->wait = QUEUE_WAIT_ROOM; /* it holds, and with it all before it */
}

static void look_custom(const struct queue *q, const struct range_resp *r, struct queue_view *v)
{
    for (size_t i = 0; i < r->n_kvs; i++)
        if (!queue_counts(q, r->kvs[i].key))
            v->below = r->kvs[i].key;
    size_t i = q->rule.wait_for ? q->rule.wait_for(q->rule.user, r->kvs, r->n_kvs) : r->n_kvs;
    if (i < r->n_kvs)
        v->before = r->kvs[i].key;
}

static void look(const struct queue *q, const struct txn_resp *r, struct queue_view *v)
{
    if (q->rule.kind == RULE_READ)
        look_read(q, r->responses, v);
    else if (q->rule.kind == RULE_PERMIT)
        look_permit(q, &r->responses[0].range, v);
    else if (q->rule.kind == RULE_CUSTOM)
        look_custom(q, &r->responses[0].range, v);
    else
        look_whole(q, &r->responses[0].range, v);
}

/* ---- who is better ---- */

static bytes id_of(bytes key, bytes dir)
{
    return bytes_of(key.data + dir.len, key.len - dir.len);
}

/* Whether there is a rank of the place with that key. */
static bool has_rank(const struct queue *q, const struct range_resp *ranks, bytes key)
{
    bytes id = id_of(key, q->dir);
    for (size_t i = 0; i < ranks->n_kvs; i++)
        if (bytes_has_prefix(ranks->kvs[i].key, q->rank_all) && bytes_equal(id_of(ranks->kvs[i].key, q->rank_all), id))
            return true;
    return false;
}

static void look_at_ranks(const struct queue *q, tn_rev create, const struct range_resp *r, struct queue_view *v)
{
    for (size_t i = 0; i < r->n_kvs; i++) {
        struct rank rank = rank_read(r->kvs[i].value);
        if (rank.preference <= q->preference || r->kvs[i].mod_revision <= create)
            continue;
        v->better = true;
        v->better_ttl_s = rank.ttl_s > v->better_ttl_s ? rank.ttl_s : v->better_ttl_s;
    }
}

/* One without a rank is better than one below 0. */
static void look_behind(const struct queue *q, tn_rev create, const struct response_op *r, struct queue_view *v)
{
    if (n_sought(q) > 0)
        look_at_ranks(q, create, &r[0].range, v);
    if (n_sought(q) < 2)
        return;
    for (size_t i = 0; i < r[1].range.n_kvs && !v->better; i++) {
        const struct kv *kv = &r[1].range.kvs[i];
        v->better = queue_counts(q, kv->key) && kv->create_revision > create && !has_rank(q, &r[0].range, kv->key);
    }
}

static void enter_refused(const struct queue *q, const struct txn_resp *r, bool only_first, struct queue_view *v)
{
    const struct range_resp *own = &r->responses[0].range;
    v->fence = mod_of(&r->responses[1].range);
    v->answer = QUEUE_MOVED;
    if (own->n_kvs > 0) {
        v->answer = own->kvs[0].lease == q->lease ? QUEUE_WAS_IN : QUEUE_FOREIGN;
        v->create = own->kvs[0].create_revision;
        return;
    }
    if (!only_first)
        return;
    look_whole(q, &r->responses[2].range, v);
    if (v->before.len || v->below.len)
        v->answer = QUEUE_TAKEN;
}

int queue_entered(const struct queue *q, const struct txn_resp *r, bool only_first, struct queue_view *ret,
                  struct tenure_error *err)
{
    *ret = (struct queue_view){.revision = r->revision};
    if (!r->succeeded) {
        if (!has_ranges(r, 0, only_first ? 3 : 2))
            return protocol(err, "enter a queue");
        enter_refused(q, r, only_first, ret);
        return 0;
    }
    size_t puts = 1 + (q->noted ? 1 : 0) + (q->preference ? 1 : 0);
    if (!has_ranges_and_puts(r, n_asked(q), puts) || r->revision <= 0)
        return protocol(err, "enter a queue");
    ret->answer = QUEUE_IN;
    ret->create = r->revision;
    look(q, r, ret);
    return 0;
}

int queue_verified(const struct queue *q, tn_rev create, bool touched, const struct txn_resp *r, struct queue_view *ret,
                   struct tenure_error *err)
{
    *ret = (struct queue_view){.revision = r->revision};
    size_t ranges = r->succeeded ? n_asked(q) + n_sought(q) : 1;
    if (!(r->succeeded && touched ? has_ranges_and_puts(r, ranges, 1) : has_ranges(r, 0, ranges)))
        return protocol(err, "verify a place");
    ret->answer = r->succeeded ? QUEUE_IN : QUEUE_OUT;
    if (!r->succeeded)
        return 0;
    ret->create = create;
    look(q, r, ret);
    look_behind(q, create, r->responses + n_asked(q), ret);
    return 0;
}

int queue_left_fenced(const struct queue *q, const struct txn_resp *r, struct queue_view *ret, struct tenure_error *err)
{
    (void)q;
    *ret = (struct queue_view){.revision = r->revision};
    if (r->succeeded) {
        ret->answer = QUEUE_OUT;
        ret->fence = r->revision;
        return 0;
    }
    if (!has_ranges(r, 0, 1))
        return protocol(err, "leave a queue");
    ret->answer = QUEUE_MOVED;
    ret->fence = mod_of(&r->responses[0].range);
    return 0;
}

bool queue_stands(const struct queue *q, tn_rev create, const struct txn_resp *r)
{
    (void)q;
    if (r->succeeded || !has_ranges(r, 0, 1))
        return false;
    const struct range_resp *own = &r->responses[0].range;
    return own->n_kvs > 0 && own->kvs[0].create_revision == create;
}

int queue_proclaimed(const struct queue *q, tn_rev create, const struct txn_resp *r, struct queue_view *ret,
                     struct tenure_error *err)
{
    (void)q;
    *ret = (struct queue_view){.revision = r->revision, .answer = QUEUE_IN, .create = create, .mod = r->revision};
    if (r->succeeded)
        return 0;
    if (!has_ranges(r, 0, 1))
        return protocol(err, "replace a proposal");
    const struct range_resp *own = &r->responses[0].range;
    bool same = own->n_kvs > 0 && own->kvs[0].create_revision == create;
    ret->answer = same ? QUEUE_MOVED : QUEUE_OUT;
    ret->mod = mod_of(own);
    if (same)
        ret->value = own->kvs[0].value;
    return 0;
}
