/* What the servers say of themselves. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/result.h"

static int members_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_member_list(k->handle->engine, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int members_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_members(r->members, r->header.cluster_id);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int status_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_status(k->handle->engine, k->req.endpoint, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int status_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_status(r->status, &r->header, client_endpoint(k->handle->engine, k->req.endpoint));
    return k->result ? 0 : TENURE_ENOMEM;
}

static const struct ask_type members_type = {
    .what = "member list", .begin = members_begin, .convert = members_convert, .result_free = free};
static const struct ask_type status_type = {
    .what = "status", .begin = status_begin, .convert = status_convert, .result_free = free};

int tenure_member_list(tenure_client *c, struct tenure_member_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "member list", err);
    struct ask *k = rc < 0 ? NULL : ask_new(c, &members_type, 0, err);
    if (!k)
        return err->code;
    rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

/* The list of endpoints never changes after the opening, so any thread may read it. */
size_t tenure_endpoints(const tenure_client *c)
{
    return c && !handle_is_forked(c) ? client_endpoints(c->engine) : 0;
}

const char *tenure_endpoint(const tenure_client *c, size_t index)
{
    return index < tenure_endpoints(c) ? client_endpoint(c->engine, index) : NULL;
}

int tenure_status(tenure_client *c, size_t index, int64_t timeout_ms, struct tenure_status **ret,
                  struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "status", err);
    if (rc < 0)
        return rc;
    if (index >= tenure_endpoints(c))
        return error_set(err, TENURE_EINVALID, "status: there is no endpoint %zu, only %zu", index,
                         tenure_endpoints(c));
    struct ask *k = ask_new(c, &status_type, timeout_ms, err);
    if (!k)
        return err->code;
    k->req.endpoint = index;
    rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}
