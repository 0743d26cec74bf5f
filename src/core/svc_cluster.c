/* The Cluster service: one member, this one.
 *
 * What cannot be done with one member alone is refused as a cluster of etcd's refuses what would cost its quorum: a second
 * voter with MEMBER_NOT_ENOUGH_STARTED, a learner with TOO_MANY_LEARNERS. All else is as in etcd, the order of the checks
 * too. As there, the headers tell no revision.
 */
#include "core/auth.h"
#include "core/url.h"

#define SERVICE "etcdserverpb.Cluster"

static bytes *client_urls(struct core *c)
{
    bytes *urls = arena_array(&c->arena, c->config.n_client_urls, sizeof *urls);
    for (size_t i = 0; urls && i < c->config.n_client_urls; i++)
        urls[i] = bytes_str(c->config.client_urls[i]);
    return urls;
}

static bool describe_self(struct core *c, struct member *ret, tn_seq *seq)
{
    *ret = (struct member){
        .id = c->header.member_id,
        .name = bytes_str(c->config.name),
        .client_urls = client_urls(c),
        .n_client_urls = c->config.n_client_urls,
    };
    enum etcd_error e = store_peer_urls(c->store, &c->arena, &ret->peer_urls, &ret->n_peer_urls, seq);
    return e == ETCD_OK && ret->client_urls;
}

static void reply_members(struct core_call *call, tn_seq seq)
{
    struct core *c = call->core;
    struct member self;
    tn_seq seen;
    if (!describe_self(c, &self, &seen)) {
        if (seq)
            call_reset(call);
        else
            call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    struct member_list_resp resp = {.revision = 0, .members = &self, .n_members = 1};
    encode_member_list_resp(&c->header, &resp, &c->out);
    call_reply(call, seq > seen ? seq : seen);
}

static void cluster_member_list(struct core_call *call, bytes in, tn_ms now)
{
    bool linearizable;
    (void)now;
    if (call_decoded(call, decode_member_list_req(in, &call->core->arena, &linearizable)) &&
        call_is_authenticated(call) && call_may_wait(call))
        reply_members(call, 0);
}

/* ---- changes ---- */

static bool urls_are_valid(const bytes *urls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!url_is_valid(urls[i]))
            return false;
    }
    return n > 0;
}

static bool is_own_url(const struct member *self, bytes url)
{
    for (size_t i = 0; i < self->n_peer_urls; i++) {
        if (bytes_equal(self->peer_urls[i], url))
            return true;
    }
    return false;
}

static enum etcd_error add_error(struct core *c, const struct member_add_req *req)
{
    struct member self;
    tn_seq seen;
    if (!describe_self(c, &self, &seen))
        return ETCD_OUT_OF_MEMORY;
    for (size_t i = 0; i < req->n_peer_urls; i++) {
        if (is_own_url(&self, req->peer_urls[i]))
            return ETCD_PEER_URL_EXIST;
    }
    return req->is_learner ? ETCD_TOO_MANY_LEARNERS : ETCD_MEMBER_NOT_ENOUGH_STARTED;
}

static void cluster_member_add(struct core_call *call, bytes in, tn_ms now)
{
    struct member_add_req req;
    (void)now;
    if (!call_decoded(call, decode_member_add_req(in, &call->core->arena, &req)))
        return;
    if (!urls_are_valid(req.peer_urls, req.n_peer_urls))
        call_fail(call, ETCD_MEMBER_BAD_URLS);
    else if (call_is_admin(call))
        call_fail(call, add_error(call->core, &req));
}

static void cluster_member_remove(struct core_call *call, bytes in, tn_ms now)
{
    uint64_t id;
    (void)now;
    if (!call_decoded(call, decode_member_remove_req(in, &call->core->arena, &id)) || !call_is_admin(call))
        return;
    bool self = id == call->core->header.member_id;
    call_fail(call, self ? ETCD_MEMBER_NOT_ENOUGH_STARTED : ETCD_MEMBER_NOT_FOUND);
}

static void cluster_member_promote(struct core_call *call, bytes in, tn_ms now)
{
    uint64_t id;
    (void)now;
    if (!call_decoded(call, decode_member_promote_req(in, &call->core->arena, &id)) || !call_is_admin(call))
        return;
    bool self = id == call->core->header.member_id;
    call_fail(call, self ? ETCD_MEMBER_NOT_LEARNER : ETCD_MEMBER_NOT_FOUND);
}

/* As etcd, which does not look at the addresses of a member that updates itself. */
static void cluster_member_update(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct member_update_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_member_update_req(in, &c->arena, &req)) || !call_is_admin(call))
        return;
    if (req.id != c->header.member_id) {
        call_fail(call, ETCD_MEMBER_NOT_FOUND);
        return;
    }
    if (!call_may_write(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_set_peer_urls(c->store, req.peer_urls, req.n_peer_urls, &c->arena, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_GROWS);
    reply_members(call, seq);
}

const struct core_method cluster_methods[] = {
    {.service = SERVICE, .name = "MemberList", .may_wait = true, .on_message = cluster_member_list},
    {.service = SERVICE, .name = "MemberAdd", .on_message = cluster_member_add},
    {.service = SERVICE, .name = "MemberRemove", .on_message = cluster_member_remove},
    {.service = SERVICE, .name = "MemberUpdate", .may_wait = true, .on_message = cluster_member_update},
    {.service = SERVICE, .name = "MemberPromote", .on_message = cluster_member_promote},
};
const size_t cluster_methods_len = ARRAY_LEN(cluster_methods);
