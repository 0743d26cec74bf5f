/* The Cluster service: one member, this one. */
#include "core/call.h"

#define SERVICE "etcdserverpb.Cluster"

static bytes *client_urls(struct core *c)
{
    bytes *urls = arena_array(&c->arena, c->config.n_client_urls, sizeof *urls);
    for (size_t i = 0; urls && i < c->config.n_client_urls; i++)
        urls[i] = bytes_str(c->config.client_urls[i]);
    return urls;
}

static void cluster_member_list(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    bool linearizable;
    (void)now;
    if (!call_decoded(call, decode_member_list_req(in, &c->arena, &linearizable)))
        return;
    struct member self = {
        .id = c->header.member_id,
        .name = bytes_str(c->config.name),
        .client_urls = client_urls(c),
        .n_client_urls = c->config.n_client_urls,
    };
    if (!self.client_urls) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    /* As in etcd, this one's header tells no revision. */
    struct member_list_resp resp = {.revision = 0, .members = &self, .n_members = 1};
    encode_member_list_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

const struct core_method cluster_methods[] = {
    {.service = SERVICE, .name = "MemberList", .may_wait = true, .on_message = cluster_member_list},
};
const size_t cluster_methods_len = ARRAY_LEN(cluster_methods);
