/* What a server's refusal means: our code for it, whether a write was applied, whether another try may succeed.
 *
 * One table over etcd's errors, told apart by their text as etcd's own client does, and one over the gRPC statuses for
 * texts that nobody knows. "Not applied" is claimed where the server judges before it proposes the write, or where applying
 * it failed as a whole. What a server says after it has proposed (stopped, timed out, cancelled) is "maybe".
 */
#include <stdio.h>

#include "client/internal.h"

struct verdict_row {
    enum etcd_error error;
    int code;
    enum tenure_applied applied;
    bool retry;
    bool elsewhere; /* this endpoint cannot: another may */
};

#define NO    TENURE_APPLIED_NO
#define MAYBE TENURE_APPLIED_MAYBE

static const struct verdict_row rows[] = {
    {ETCD_EMPTY_KEY, TENURE_EINVALID, NO, false, false},
    {ETCD_KEY_NOT_FOUND, TENURE_ENOTFOUND, NO, false, false},
    {ETCD_VALUE_PROVIDED, TENURE_EINVALID, NO, false, false},
    {ETCD_LEASE_PROVIDED, TENURE_EINVALID, NO, false, false},
    {ETCD_TOO_MANY_OPS, TENURE_EINVALID, NO, false, false},
    {ETCD_DUPLICATE_KEY, TENURE_EINVALID, NO, false, false},
    {ETCD_COMPACTED, TENURE_ECOMPACTED, NO, false, false},
    {ETCD_FUTURE_REV, TENURE_EFUTURE, NO, false, false},
    {ETCD_NO_SPACE, TENURE_ENOSPACE, NO, false, false},
    {ETCD_LEASE_NOT_FOUND, TENURE_ENOTFOUND, NO, false, false},
    {ETCD_LEASE_EXIST, TENURE_EEXISTS, NO, false, false},
    {ETCD_LEASE_TTL_TOO_LARGE, TENURE_EINVALID, NO, false, false},
    {ETCD_WATCH_CANCELED, TENURE_ECANCELLED, NO, false, false},
    {ETCD_MEMBER_EXIST, TENURE_EEXISTS, NO, false, false},
    {ETCD_PEER_URL_EXIST, TENURE_EEXISTS, NO, false, false},
    {ETCD_MEMBER_NOT_ENOUGH_STARTED, TENURE_ECONFLICT, NO, false, false},
    {ETCD_MEMBER_BAD_URLS, TENURE_EINVALID, NO, false, false},
    {ETCD_MEMBER_NOT_FOUND, TENURE_ENOTFOUND, NO, false, false},
    {ETCD_MEMBER_NOT_LEARNER, TENURE_ECONFLICT, NO, false, false},
    {ETCD_LEARNER_NOT_READY, TENURE_ECONFLICT, NO, false, false},
    {ETCD_TOO_MANY_LEARNERS, TENURE_ELIMIT, NO, false, false},
    {ETCD_CLUSTER_ID_MISMATCH, TENURE_ECONFLICT, NO, false, false},
    {ETCD_REQUEST_TOO_LARGE, TENURE_ETOOLARGE, NO, false, false},
    {ETCD_TOO_MANY_REQUESTS, TENURE_EUNAVAILABLE, NO, true, false},
    {ETCD_ROOT_USER_NOT_EXIST, TENURE_ECONFLICT, NO, false, false},
    {ETCD_ROOT_ROLE_NOT_EXIST, TENURE_ECONFLICT, NO, false, false},
    {ETCD_USER_ALREADY_EXIST, TENURE_EEXISTS, NO, false, false},
    {ETCD_USER_EMPTY, TENURE_EDENIED, NO, false, false}, /* what a call without a token is told */
    {ETCD_USER_NOT_FOUND, TENURE_ENOTFOUND, NO, false, false},
    {ETCD_ROLE_ALREADY_EXIST, TENURE_EEXISTS, NO, false, false},
    {ETCD_ROLE_NOT_FOUND, TENURE_ENOTFOUND, NO, false, false},
    {ETCD_ROLE_EMPTY, TENURE_EINVALID, NO, false, false},
    {ETCD_AUTH_FAILED, TENURE_EDENIED, NO, false, false},
    {ETCD_PERMISSION_NOT_GIVEN, TENURE_EINVALID, NO, false, false},
    {ETCD_PERMISSION_DENIED, TENURE_EDENIED, NO, false, false},
    {ETCD_ROLE_NOT_GRANTED, TENURE_ECONFLICT, NO, false, false},
    {ETCD_PERMISSION_NOT_GRANTED, TENURE_ECONFLICT, NO, false, false},
    {ETCD_AUTH_NOT_ENABLED, TENURE_ECONFLICT, NO, false, false},
    {ETCD_INVALID_AUTH_TOKEN, TENURE_EDENIED, NO, false, false},
    {ETCD_INVALID_AUTH_MGMT, TENURE_EINVALID, NO, false, false},
    {ETCD_AUTH_OLD_REVISION, TENURE_EDENIED, NO, false, false},
    {ETCD_NO_LEADER, TENURE_EUNAVAILABLE, NO, true, true}, /* judged before the request is looked at */
    {ETCD_NOT_LEADER, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_LEADER_CHANGED, TENURE_EUNAVAILABLE, MAYBE, true, false},
    {ETCD_NOT_CAPABLE, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_STOPPED, TENURE_EUNAVAILABLE, MAYBE, true, true}, /* also while waiting for what was proposed */
    {ETCD_TIMEOUT, TENURE_EUNAVAILABLE, MAYBE, true, true},
    {ETCD_TIMEOUT_LEADER_FAIL, TENURE_EUNAVAILABLE, MAYBE, true, false},
    {ETCD_TIMEOUT_CONNECTION_LOST, TENURE_EUNAVAILABLE, MAYBE, true, true},
    {ETCD_TIMEOUT_WAIT_APPLIED, TENURE_EUNAVAILABLE, MAYBE, true, true},
    {ETCD_UNHEALTHY, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_CORRUPT, TENURE_ECORRUPT, NO, false, false},
    {ETCD_NOT_SUPPORTED_FOR_LEARNER, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_BAD_LEADER_TRANSFEREE, TENURE_ECONFLICT, NO, false, false},
    {ETCD_CLUSTER_VERSION_UNAVAILABLE, TENURE_EUNAVAILABLE, NO, false, false},
    {ETCD_WRONG_DOWNGRADE_VERSION_FORMAT, TENURE_EINVALID, NO, false, false},
    {ETCD_INVALID_DOWNGRADE_TARGET_VERSION, TENURE_EINVALID, NO, false, false},
    {ETCD_DOWNGRADE_IN_PROCESS, TENURE_EBUSY, NO, false, false},
    {ETCD_NO_INFLIGHT_DOWNGRADE, TENURE_ECONFLICT, NO, false, false},
    {ETCD_CANCELED, TENURE_EUNAVAILABLE, MAYBE, true, false}, /* not by us: we do not listen any more when we cancel */
    {ETCD_DEADLINE_EXCEEDED, TENURE_ETIMEOUT, MAYBE, false, false},
    {ETCD_INVALID_CLIENT_API_VERSION, TENURE_EINVALID, NO, false, false},
    {ETCD_INVALID_SORT_OPTION, TENURE_EINVALID, NO, false, false},
    {ETCD_WATCH_DUPLICATE_ID, TENURE_EINVALID, NO, false, false},
    {ETCD_WATCH_EMPTY_RANGE, TENURE_EINVALID, NO, false, false},
    {ETCD_NO_PASSWORD_USER, TENURE_EDENIED, NO, false, false},
    {ETCD_TOKEN_VERIFY_ONLY, TENURE_EUNAVAILABLE, NO, false, true},
    {ETCD_PASSWORD_TOO_LONG, TENURE_EINVALID, NO, false, false},
    {ETCD_PASSWORD_WITH_ZERO, TENURE_EINVALID, NO, false, false},
    {ETCD_ELECTION_NOT_LEADER, TENURE_ECONFLICT, NO, false, false},
    {ETCD_OUT_OF_MEMORY, TENURE_EUNAVAILABLE, NO, true, false},
    {ETCD_WRITE_MAYBE, TENURE_EUNAVAILABLE, MAYBE, true, true},
    {ETCD_READ_ONLY, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_SOURCE_GONE, TENURE_EUNAVAILABLE, NO, true, true},
    {ETCD_SOURCE_MAYBE, TENURE_EUNAVAILABLE, MAYBE, true, true},
    {ETCD_STALE, TENURE_EUNAVAILABLE, NO, true, true},
};
_Static_assert(ARRAY_LEN(rows) == ETCD_ERROR_COUNT - 1, "every error of etcd has its row");

/* By gRPC status, for a text that is not in etcd's list. Refusals that judge the request say "not applied"; those that a
 * proxy, a broken peer or our own wire engine may have made say "maybe". */
static const struct verdict_row by_status[] = {
    [GRPC_OK] = {ETCD_OK, 0, TENURE_APPLIED_YES, false, false},
    [GRPC_CANCELLED] = {ETCD_OK, TENURE_EUNAVAILABLE, MAYBE, true, true}, /* not by us, and not etcd's */
    [GRPC_UNKNOWN] = {ETCD_OK, TENURE_EINTERNAL, MAYBE, false, false},
    [GRPC_INVALID_ARGUMENT] = {ETCD_OK, TENURE_EINVALID, NO, false, false},
    [GRPC_DEADLINE_EXCEEDED] = {ETCD_OK, TENURE_ETIMEOUT, MAYBE, false, false},
    [GRPC_NOT_FOUND] = {ETCD_OK, TENURE_ENOTFOUND, NO, false, false},
    [GRPC_ALREADY_EXISTS] = {ETCD_OK, TENURE_EEXISTS, NO, false, false},
    [GRPC_PERMISSION_DENIED] = {ETCD_OK, TENURE_EDENIED, NO, false, false},
    [GRPC_RESOURCE_EXHAUSTED] = {ETCD_OK, TENURE_ELIMIT, MAYBE, false, false},
    [GRPC_FAILED_PRECONDITION] = {ETCD_OK, TENURE_ECONFLICT, NO, false, false},
    [GRPC_ABORTED] = {ETCD_OK, TENURE_ECONFLICT, MAYBE, false, false},
    [GRPC_OUT_OF_RANGE] = {ETCD_OK, TENURE_EINVALID, NO, false, false},
    [GRPC_UNIMPLEMENTED] = {ETCD_OK, TENURE_EUNIMPLEMENTED, MAYBE, false, false},
    [GRPC_INTERNAL] = {ETCD_OK, TENURE_EPROTOCOL, MAYBE, false, false},
    [GRPC_UNAVAILABLE] = {ETCD_OK, TENURE_EUNAVAILABLE, MAYBE, true, true},
    [GRPC_DATA_LOSS] = {ETCD_OK, TENURE_ECORRUPT, MAYBE, false, false},
    [GRPC_UNAUTHENTICATED] = {ETCD_OK, TENURE_EDENIED, NO, false, false},
};

/* Texts of internal errors that etcd sends as Unknown, and of gRPC's own: the start of the text is enough. */
static const struct {
    const char *start;
    struct verdict_row row;
} by_text[] = {
    {"not a primary lessor", {ETCD_OK, TENURE_EUNAVAILABLE, NO, true, true}},
    {"waiting for node to catch up its applied index", {ETCD_OK, TENURE_EUNAVAILABLE, MAYBE, true, true}},
    {"context deadline exceeded", {ETCD_OK, TENURE_ETIMEOUT, MAYBE, false, false}}, /* of a lock or a campaign */
    {"context canceled", {ETCD_OK, TENURE_EUNAVAILABLE, MAYBE, true, false}},
    {"election: no leader", {ETCD_OK, TENURE_ENOTFOUND, NO, false, false}},
    {"grpc: out of memory", {ETCD_OK, TENURE_ENOMEM, MAYBE, true, false}}, /* our own wire engine's */
    {"grpc: received message larger than max", {ETCD_OK, TENURE_ETOOLARGE, MAYBE, false, false}},
    {"grpc: trying to send message larger than max", {ETCD_OK, TENURE_ETOOLARGE, MAYBE, false, false}},
};

/* etcd says what is wrong where it does not know the status; something in between does not. */
static const struct verdict_row nobody_s = {ETCD_OK, TENURE_EPROTOCOL, MAYBE, true, true};

static const char *find_text(bytes text, const char *what)
{
    return text.len ? memmem(text.data, text.len, what, strlen(what)) : NULL;
}

/* Go prints a status as "rpc error: code = X desc = TEXT": the TEXT of it, or all. */
static bytes bare_text(bytes text)
{
    const char *desc = bytes_has_prefix(text, bytes_str("rpc error:")) ? find_text(text, " desc = ") : NULL;
    if (!desc)
        return text;
    const uint8_t *start = (const uint8_t *)desc + strlen(" desc = ");
    return bytes_of(start, (size_t)(text.data + text.len - start));
}

enum etcd_error retry_etcd_error(bytes text)
{
    return etcd_error_find(bare_text(text));
}

static const struct verdict_row *find_row(enum grpc_status status, bytes text)
{
    enum etcd_error e = retry_etcd_error(text);
    for (size_t i = 0; e != ETCD_OK && i < ARRAY_LEN(rows); i++) {
        if (rows[i].error == e)
            return &rows[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(by_text); i++) {
        if (bytes_has_prefix(bare_text(text), bytes_str(by_text[i].start)))
            return &by_text[i].row;
    }
    if (status == GRPC_UNKNOWN && text.len == 0)
        return &nobody_s;
    return &by_status[(size_t)status < ARRAY_LEN(by_status) ? (size_t)status : GRPC_UNKNOWN];
}

struct client_verdict client_classify(enum grpc_status status, bytes text, bool is_write)
{
    if (status == GRPC_OK)
        return (struct client_verdict){0, is_write ? TENURE_APPLIED_YES : TENURE_APPLIED_NO, false};
    const struct verdict_row *row = find_row(status, text);
    return (struct client_verdict){row->code, is_write ? row->applied : TENURE_APPLIED_NO, row->retry};
}

/* "grpc: received message larger than max (N vs. M)" is said of a request by the server, and of an answer by whoever was to receive
 * it, when the write has long been done. N tells: no answer that is refused here is as small as a request can be. */
bool retry_request_too_large(bytes text, size_t len)
{
    char wanted[80];
    snprintf(wanted, sizeof wanted, "grpc: received message larger than max (%zu vs. ", len);
    return bytes_has_prefix(bare_text(text), bytes_str(wanted));
}

bool retry_elsewhere(enum grpc_status status, bytes text)
{
    return status != GRPC_OK && find_row(status, text)->elsewhere;
}
