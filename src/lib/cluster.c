/* The members of a cluster, in both forms. */
#include <tenure/cluster.h>

#include <stdlib.h>

#include "lib/ask.h"
#include "lib/result.h"

#define URLS_MAX 1024

static int list_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    bool serializable = k->req.serializable;
    return client_member_list(k->handle->engine, serializable, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int change_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_admin(k->handle->engine, &k->req.admin, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int convert(struct ask *k, const struct client_result *r)
{
    k->result = result_members(r->members, r->header.cluster_id, 0);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int add_convert(struct ask *k, const struct client_result *r)
{
    struct member_list_resp list = {.members = r->member_add->members, .n_members = r->member_add->n_members};
    k->result = result_members(&list, r->header.cluster_id, r->member_add->member.id);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(complete, tenure_member_list_cb, struct tenure_member_list)

static const struct ask_type list_type = {.what = "member list",
                                          .answers = true,
                                          .begin = list_begin,
                                          .convert = convert,
                                          .result_free = free,
                                          .complete = complete};

#define CHANGE(words, fn)                                                                                              \
    {                                                                                                                  \
        .what = (words), .writes = true, .begin = change_begin, .convert = (fn), .result_free = free,                  \
        .complete = complete                                                                                           \
    }
static const struct ask_type changes[] = {
    [CLIENT_MEMBER_ADD] = CHANGE("member add", add_convert),
    [CLIENT_MEMBER_REMOVE] = CHANGE("member remove", convert),
    [CLIENT_MEMBER_UPDATE] = CHANGE("member update", convert),
    [CLIENT_MEMBER_PROMOTE] = CHANGE("member promote", convert),
};

/* ---- list ---- */

static struct ask *list_new(tenure_client *c, bool blocks, bool serializable, int64_t timeout_ms,
                            struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &list_type, blocks, timeout_ms, err);
    if (k)
        k->req.serializable = serializable;
    return k;
}

int tenure_member_list(tenure_client *c, bool serializable, int64_t timeout_ms, struct tenure_member_list **ret,
                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(list_new(c, true, serializable, timeout_ms, err), ret, err);
}

int tenure_member_list_start(tenure_client *c, bool serializable, int64_t timeout_ms, tenure_member_list_cb cb,
                             void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(list_new(c, false, serializable, timeout_ms, err), (void (*)(void))cb, user, err);
}

/* ---- changes ---- */

static struct ask *change_new(tenure_client *c, bool blocks, enum client_admin_kind kind, int64_t timeout_ms,
                              struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &changes[kind], blocks, timeout_ms, err);
    if (k)
        k->req.admin = (struct client_admin_req){.kind = kind, .endpoint = SIZE_MAX};
    return k;
}

static struct ask *id_new(tenure_client *c, bool blocks, enum client_admin_kind kind, uint64_t id, int64_t timeout_ms,
                          struct tenure_error *err)
{
    struct ask *k = change_new(c, blocks, kind, timeout_ms, err);
    if (k)
        k->req.admin.id = id;
    return k;
}

static int keep_urls(struct ask *k, const char *const *urls, size_t n, bytes **ret, struct tenure_error *err)
{
    if (n > URLS_MAX || (n > 0 && !urls))
        return error_set(err, TENURE_EINVALID, "%zu addresses", n);
    *ret = arena_array(&k->arena, n, sizeof **ret);
    if (!*ret)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        if (!urls[i])
            return error_set(err, TENURE_EINVALID, "an address is NULL");
        (*ret)[i] = ask_keep(k, bytes_str(urls[i]));
        if (urls[i][0] && !(*ret)[i].data)
            return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    return 0;
}

static struct ask *add_new(tenure_client *c, bool blocks, const char *const *urls, size_t n, bool learner,
                           int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = change_new(c, blocks, CLIENT_MEMBER_ADD, timeout_ms, err);
    if (!k)
        return NULL;
    struct member_add_req *req = &k->req.admin.member_add;
    *req = (struct member_add_req){.n_peer_urls = n, .is_learner = learner};
    return keep_urls(k, urls, n, &req->peer_urls, err) == 0 ? k : ask_drop(k, err);
}

static struct ask *update_new(tenure_client *c, bool blocks, uint64_t id, const char *const *urls, size_t n,
                              int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = change_new(c, blocks, CLIENT_MEMBER_UPDATE, timeout_ms, err);
    if (!k)
        return NULL;
    struct member_update_req *req = &k->req.admin.member_update;
    *req = (struct member_update_req){.id = id, .n_peer_urls = n};
    return keep_urls(k, urls, n, &req->peer_urls, err) == 0 ? k : ask_drop(k, err);
}

int tenure_member_add(tenure_client *c, const char *const *peer_urls, size_t n_peer_urls, bool learner,
                      int64_t timeout_ms, struct tenure_member_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(add_new(c, true, peer_urls, n_peer_urls, learner, timeout_ms, err), ret, err);
}

int tenure_member_add_start(tenure_client *c, const char *const *peer_urls, size_t n_peer_urls, bool learner,
                            int64_t timeout_ms, tenure_member_list_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = add_new(c, false, peer_urls, n_peer_urls, learner, timeout_ms, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

int tenure_member_remove(tenure_client *c, uint64_t id, int64_t timeout_ms, struct tenure_member_list **ret,
                         struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(id_new(c, true, CLIENT_MEMBER_REMOVE, id, timeout_ms, err), ret, err);
}

int tenure_member_remove_start(tenure_client *c, uint64_t id, int64_t timeout_ms, tenure_member_list_cb cb, void *user,
                               struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(id_new(c, false, CLIENT_MEMBER_REMOVE, id, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_member_update(tenure_client *c, uint64_t id, const char *const *peer_urls, size_t n_peer_urls,
                         int64_t timeout_ms, struct tenure_member_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(update_new(c, true, id, peer_urls, n_peer_urls, timeout_ms, err), ret, err);
}

int tenure_member_update_start(tenure_client *c, uint64_t id, const char *const *peer_urls, size_t n_peer_urls,
                               int64_t timeout_ms, tenure_member_list_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = update_new(c, false, id, peer_urls, n_peer_urls, timeout_ms, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

int tenure_member_promote(tenure_client *c, uint64_t id, int64_t timeout_ms, struct tenure_member_list **ret,
                          struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(id_new(c, true, CLIENT_MEMBER_PROMOTE, id, timeout_ms, err), ret, err);
}

int tenure_member_promote_start(tenure_client *c, uint64_t id, int64_t timeout_ms, tenure_member_list_cb cb, void *user,
                                struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(id_new(c, false, CLIENT_MEMBER_PROMOTE, id, timeout_ms, err), (void (*)(void))cb, user, err);
}
