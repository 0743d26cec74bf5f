/* Who may read what of a copy whose source has users: the same as there. Users and roles are the source's as they were read last, and
 * until they are known nothing is answered from the copy.
 *
 * Who asks is told by the token. One that the source gave out by way of this copy is known with its user; it counts when the source was
 * asked about it since users and roles changed last (a new password is such a change, and ends it), and within the last minute, and else
 * is asked about first. One that is not known is the source's business: it answers, where one answer is all that is asked; a
 * watch is refused, so that its client logs in anew, here. Signed tokens and certificates tell their user themselves.
 *
 * Failure: the source does not answer: who would have to be asked about is refused.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/source.h"

/* Where the source tells no revision of its users, a new password is noticed by asking so often. */
#define VERIFY_MS 5000
/* And where it does, that a token has ended there: its time was over, or the server that gave it out has begun anew. */
#define VERIFY_SELDOM_MS 60000
/* Cut off for longer, nobody can be asked: then what was known goes on to count. */
#define FRESH_MS 10000

int core_follow_users(struct core *c, const struct store_followed_auth *users, bool has_revision, tn_ms now)
{
    core_clock(c, now);
    int rc = store_follow_auth(c->store, users);
    if (rc)
        return rc;
    c->source.users_known = true;
    c->source.has_revision = has_revision;
    c->source.users_at = c->now;
    return 0;
}

void core_users_stand(struct core *c, tn_ms now)
{
    core_clock(c, now);
    c->source.users_at = c->now;
}

/* ---- tokens ---- */

static bool is_verified(const struct core *c, const struct known *k)
{
    if (k->changes != store_auth_changes(c->store))
        return false;
    bool cut_off = c->now - c->source.users_at > FRESH_MS;
    return cut_off || c->now - k->verified_at <= (c->source.has_revision ? VERIFY_SELDOM_MS : VERIFY_MS);
}

static struct known *find(struct core_call *call)
{
    return known_find(&call->core->source.known, bytes_of(call->token, call->token_len), call->core->now);
}

/* A signed one tells the revision of users that it is of, which counts only where that is known. */
bool source_believes_signatures(const struct core *c)
{
    return c->config.token_verify && c->source.has_revision;
}

bool source_knows(struct core_call *call, bytes *ret_name)
{
    struct known *k = find(call);
    if (!k || !is_verified(call->core, k))
        return false;
    *ret_name = known_name(k);
    return true;
}

void source_learn(struct core_forward *f, bytes answer)
{
    struct core *c = f->call->core;
    struct response_header h;
    struct authenticate_resp resp;
    if (decode_authenticate_resp(answer, &c->arena, &h, &resp) == 0)
        (void)known_add(&c->source.known, resp.token, bytes_of(f->message, f->len), f->round, c->now);
    core_scratch(c);
}

/* ---- asking about one ---- */

static bool is_asked_about(struct core_call *call)
{
    LIST_FOREACH(it, &call->forwards)
    {
        if (LIST_ENTRY(it, struct core_forward, in_call)->kind == FORWARD_ASKS)
            return true;
    }
    return false;
}

/* A read that tells nothing, and is denied to those who may not even do that: either way the token counts. */
static void ask(struct core_call *call, bytes in, tn_ms now)
{
    struct buf question;
    const struct core_config *k = &call->core->config;
    struct range_req req = {.range = {.key = k->n_source_parts ? k->source_parts[0].key : bytes_of("\0", 1)},
                            .count_only = true,
                            .serializable = true};
    struct core_forward *f = forward_new(call, in);
    if (!f)
        return;
    f->kind = FORWARD_ASKS;
    f->round = store_auth_changes(call->core->store);
    buf_init(&question);
    encode_range_req(&req, &question);
    enum etcd_error why = buf_error(&question) ? ETCD_OUT_OF_MEMORY
                                               : forward_as(f, "etcdserverpb.KV", "Range", buf_bytes(&question), now);
    buf_fini(&question);
    if (why)
        call_fail(call, why);
}

static void answer_again(struct core_call *call, struct list *messages, tn_ms now)
{
    while (!list_empty(messages)) {
        struct core_forward *f = LIST_ENTRY(messages->next, struct core_forward, in_call);
        list_remove(&f->in_call);
        if (!call->ended) {
            core_scratch(call->core);
            dispatch_run(call, bytes_of(f->message, f->len), now);
        }
        free(f);
    }
}

/* The one that was asked about, and what came behind it. */
static void take_messages(struct core_call *call, struct list *ret)
{
    list_init(ret);
    LIST_FOREACH_SAFE(it, &call->forwards)
    {
        struct core_forward *f = LIST_ENTRY(it, struct core_forward, in_call);
        if (f->kind != FORWARD_ASKS)
            continue;
        list_remove(&f->in_call);
        list_remove(&f->in_core);
        list_push_back(ret, &f->in_call);
    }
}

void source_asked(struct core_forward *f, enum grpc_status status, const char *text)
{
    struct core_call *call = f->call;
    struct core *c = call->core;
    struct list messages;
    struct known *k = find(call);
    bool counts = status == GRPC_OK || status == GRPC_PERMISSION_DENIED;
    bool refused = status == GRPC_UNAUTHENTICATED || status == GRPC_INVALID_ARGUMENT;
    if (k && counts) {
        k->changes = f->round;
        k->verified_at = c->now;
    } else if (k && refused) {
        known_remove(&c->source.known, k);
    }
    f->handle = NULL;
    take_messages(call, &messages);
    if (!counts && !refused)
        call_finish(call, status, text);
    answer_again(call, &messages, c->now);
}

/* ---- a message ---- */

static bool is_for_all(const struct core_method *m)
{
    return strcmp(m->service, "grpc.health.v1.Health") == 0 || strcmp(m->service, "tenure.Replica") == 0;
}

static bool tells_its_user(struct core_call *call)
{
    struct core *c = call->core;
    struct auth_user who;
    bool told =
        source_believes_signatures(c) && c->config.token_verify(c->config.user, bytes_of(call->token, call->token_len),
                                                                &c->arena, &who.name, &who.revision) == 0;
    core_scratch(c);
    return told;
}

bool source_users_take(struct core_call *call, enum answer answer, bytes in, tn_ms now)
{
    struct core *c = call->core;
    if (answer == ANSWER_THERE || is_for_all(call->method))
        return false;
    if (!c->source.users_known) {
        call_fail(call, ETCD_SOURCE_GONE);
        return true;
    }
    if (is_asked_about(call)) {
        struct core_forward *f = forward_new(call, in);
        if (f)
            f->kind = FORWARD_ASKS;
        return true;
    }
    if (!store_auth_enabled(c->store, STORE_DURABLE) || !call->token)
        return false;
    struct known *k = find(call);
    if ((k && is_verified(c, k)) || (!k && tells_its_user(call)))
        return false;
    if (k) {
        ask(call, in, now);
        return true;
    }
    if (answer != ANSWER_READ && answer != ANSWER_TXN)
        return false; /* its method refuses the token */
    source_send_on(call, in, now);
    return true;
}
