/* Calls sent on to the source: its answer is the answer, with its status and its words. Where there is none, what is known of the call
 * decides: not done, or maybe. */
#include <stdlib.h>

#include "replica/internal.h"

enum { TIMEOUT_MS = 15000 };
#define LONG_MS (INT64_C(1) << 40)

struct sent {
    struct follower *follower;
    struct core_forward *to; /* NULL: cancelled */
    struct client_call *call;
    struct list in_follower;
};

static void on_message(void *user, bytes message)
{
    struct sent *s = user;
    if (!s->to)
        return;
    s->follower->config.enter(s->follower->config.user);
    core_forward_message(s->to, message);
}

static enum etcd_error error_of(const struct tenure_error *e)
{
    return e->applied == TENURE_APPLIED_MAYBE ? ETCD_SOURCE_MAYBE : ETCD_SOURCE_GONE;
}

static void answer(struct core_forward *to, const struct client_result *r)
{
    bytes none = bytes_of(NULL, 0);
    const struct tenure_error *e = r->error;
    if (r->code == 0)
        core_forward_end(to, GRPC_OK, "", r->message);
    else if (r->code != TENURE_ETIMEOUT && e->grpc_status > 0)
        core_forward_end(to, (enum grpc_status)e->grpc_status, e->text, none);
    else
        core_forward_end(to, etcd_error_status(error_of(e)), etcd_error_text(error_of(e)), none);
}

static void on_done(void *user, const struct client_result *r)
{
    struct sent *s = user;
    if (s->to) {
        s->follower->config.enter(s->follower->config.user);
        answer(s->to, r);
    }
    list_remove(&s->in_follower);
    free(s);
}

/* These are answered when their turn has come. */
static bool may_wait(const char *service, const char *method)
{
    return strcmp(service, "v3lockpb.Lock") == 0 || strcmp(service, "v3electionpb.Election") == 0 ||
           strcmp(method, "RangeStream") == 0;
}

/* Why our own client took none. */
static enum etcd_error why_not(int code)
{
    switch (code) {
    case TENURE_ELIMIT:
        return ETCD_TOO_MANY_REQUESTS;
    case TENURE_ENOMEM:
        return ETCD_OUT_OF_MEMORY;
    default:
        return ETCD_SOURCE_GONE;
    }
}

/* Who has none is nobody: without one our own certificate would speak for him. An old etcd looks at tokens also while authentication
 * is off. */
static bytes token_of(const struct follower *f, bytes token)
{
    const struct users *u = &f->users;
    bool is_off = u->no_revision && u->known && !u->enabled;
    return token.data || !f->config.has_certificate || is_off ? token : bytes_str("nobody");
}

static struct client_call *send(struct follower *f, const struct core_forward_req *req, struct sent *s,
                                struct tenure_error *err)
{
    struct client_forward_req forward = {
        .service = req->service, .method = req->method, .message = req->message, .token = token_of(f, req->token)};
    struct client_call_options o = {.timeout_ms = req->timeout_ms                       ? req->timeout_ms
                                                  : may_wait(req->service, req->method) ? LONG_MS
                                                                                        : TIMEOUT_MS};
    return client_forward(f->client, &forward, &o, on_message, on_done, s, client_now(f->client), err);
}

void *forward_send(void *user, const struct core_forward_req *req, struct core_forward *to, enum etcd_error *ret_why)
{
    struct follower *f = user;
    struct tenure_error err = {0};
    struct sent *s = f->client ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        *ret_why = f->client ? ETCD_OUT_OF_MEMORY : ETCD_SOURCE_GONE;
        return NULL;
    }
    *s = (struct sent){.follower = f, .to = to};
    s->call = send(f, req, s, &err);
    if (!s->call) {
        free(s);
        *ret_why = why_not(err.code);
        return NULL;
    }
    list_push_back(&f->sent, &s->in_follower);
    f->counts.forwards++;
    f->config.asked(f->config.user);
    return s;
}

/* Its callback still comes, and finds nobody. */
void forward_cancel(void *user, void *handle)
{
    struct follower *f = user;
    struct sent *s = handle;
    s->to = NULL;
    if (f->client) {
        client_cancel(f->client, s->call, client_now(f->client));
        f->config.asked(f->config.user);
    }
}

void forward_drop_all(struct follower *f)
{
    while (!list_empty(&f->sent)) {
        struct sent *s = LIST_ENTRY(f->sent.next, struct sent, in_follower);
        list_remove(&s->in_follower);
        free(s);
    }
}
