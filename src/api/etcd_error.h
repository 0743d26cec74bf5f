/* etcd's errors as one list: name, gRPC status, text. The server sends status and text byte for byte; the client finds
 * the name again by the text (etcd's own client does the same). Pure data. */
#ifndef API_ETCD_ERROR_H
#define API_ETCD_ERROR_H

#include "base/bytes.h"

/* The gRPC status codes. */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16
};

/* X(NAME, STATUS, text): etcd 3.7's table; codes that changed between versions carry 3.7's. */
#define ETCD_ERRORS(X)                                                                                                 \
    X(EMPTY_KEY, INVALID_ARGUMENT, "etcdserver: key is not provided")                                                  \
    X(KEY_NOT_FOUND, INVALID_ARGUMENT, "etcdserver: key not found")                                                    \
    X(VALUE_PROVIDED, INVALID_ARGUMENT, "etcdserver: value is provided")                                               \
    X(LEASE_PROVIDED, INVALID_ARGUMENT, "etcdserver: lease is provided")                                               \
    X(TOO_MANY_OPS, INVALID_ARGUMENT, "etcdserver: too many operations in txn request")                                \
    X(DUPLICATE_KEY, INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")                               \
    X(COMPACTED, OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")                               \
    X(FUTURE_REV, OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision")                            \
    X(NO_SPACE, RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")                                       \
    X(LEASE_NOT_FOUND, NOT_FOUND, "etcdserver: requested lease not found")                                             \
    X(LEASE_EXIST, FAILED_PRECONDITION, "etcdserver: lease already exists")                                            \
    X(LEASE_TTL_TOO_LARGE, OUT_OF_RANGE, "etcdserver: too large lease TTL")                                            \
    X(WATCH_CANCELED, CANCELLED, "etcdserver: watch canceled")                                                         \
    X(MEMBER_EXIST, FAILED_PRECONDITION, "etcdserver: member ID already exist")                                        \
    X(PEER_URL_EXIST, FAILED_PRECONDITION, "etcdserver: Peer URLs already exists")                                     \
    X(MEMBER_NOT_ENOUGH_STARTED, FAILED_PRECONDITION,                                                                  \
      "etcdserver: re-configuration failed due to not enough started members")                                         \
    X(MEMBER_BAD_URLS, INVALID_ARGUMENT, "etcdserver: given member URLs are invalid")                                  \
    X(MEMBER_NOT_FOUND, NOT_FOUND, "etcdserver: member not found")                                                     \
    X(MEMBER_NOT_LEARNER, FAILED_PRECONDITION, "etcdserver: can only promote a learner member")                        \
    X(LEARNER_NOT_READY, FAILED_PRECONDITION,                                                                          \
      "etcdserver: can only promote a learner member which is in sync with leader")                                    \
    X(TOO_MANY_LEARNERS, FAILED_PRECONDITION, "etcdserver: too many learner members in cluster")                       \
    X(CLUSTER_ID_MISMATCH, FAILED_PRECONDITION, "etcdserver: cluster ID mismatch")                                     \
    X(REQUEST_TOO_LARGE, INVALID_ARGUMENT, "etcdserver: request is too large")                                         \
    X(TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, "etcdserver: too many requests")                                          \
    X(ROOT_USER_NOT_EXIST, FAILED_PRECONDITION, "etcdserver: root user does not exist")                                \
    X(ROOT_ROLE_NOT_EXIST, FAILED_PRECONDITION, "etcdserver: root user does not have root role")                       \
    X(USER_ALREADY_EXIST, FAILED_PRECONDITION, "etcdserver: user name already exists")                                 \
    X(USER_EMPTY, INVALID_ARGUMENT, "etcdserver: user name is empty")                                                  \
    X(USER_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: user name not found")                                          \
    X(ROLE_ALREADY_EXIST, FAILED_PRECONDITION, "etcdserver: role name already exists")                                 \
    X(ROLE_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: role name not found")                                          \
    X(ROLE_EMPTY, INVALID_ARGUMENT, "etcdserver: role name is empty")                                                  \
    X(AUTH_FAILED, INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password")                 \
    X(PERMISSION_NOT_GIVEN, INVALID_ARGUMENT, "etcdserver: permission not given")                                      \
    X(PERMISSION_DENIED, PERMISSION_DENIED, "etcdserver: permission denied")                                           \
    X(ROLE_NOT_GRANTED, FAILED_PRECONDITION, "etcdserver: role is not granted to the user")                            \
    X(PERMISSION_NOT_GRANTED, FAILED_PRECONDITION, "etcdserver: permission is not granted to the role")                \
    X(AUTH_NOT_ENABLED, FAILED_PRECONDITION, "etcdserver: authentication is not enabled")                              \
    X(INVALID_AUTH_TOKEN, UNAUTHENTICATED, "etcdserver: invalid auth token")                                           \
    X(INVALID_AUTH_MGMT, INVALID_ARGUMENT, "etcdserver: invalid auth management")                                      \
    X(AUTH_OLD_REVISION, INVALID_ARGUMENT, "etcdserver: revision of auth store is old")                                \
    X(NO_LEADER, UNAVAILABLE, "etcdserver: no leader")                                                                 \
    X(NOT_LEADER, FAILED_PRECONDITION, "etcdserver: not leader")                                                       \
    X(LEADER_CHANGED, UNAVAILABLE, "etcdserver: leader changed")                                                       \
    X(NOT_CAPABLE, FAILED_PRECONDITION, "etcdserver: not capable")                                                     \
    X(STOPPED, UNAVAILABLE, "etcdserver: server stopped")                                                              \
    X(TIMEOUT, UNAVAILABLE, "etcdserver: request timed out")                                                           \
    X(TIMEOUT_LEADER_FAIL, UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure")      \
    X(TIMEOUT_CONNECTION_LOST, UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost")          \
    X(TIMEOUT_WAIT_APPLIED, UNAVAILABLE, "etcdserver: request timed out, waiting for the applied index took too long") \
    X(UNHEALTHY, UNAVAILABLE, "etcdserver: unhealthy cluster")                                                         \
    X(CORRUPT, DATA_LOSS, "etcdserver: corrupt cluster")                                                               \
    X(NOT_SUPPORTED_FOR_LEARNER, FAILED_PRECONDITION, "etcdserver: rpc not supported for learner")                     \
    X(BAD_LEADER_TRANSFEREE, FAILED_PRECONDITION, "etcdserver: bad leader transferee")                                 \
    X(CLUSTER_VERSION_UNAVAILABLE, FAILED_PRECONDITION, "etcdserver: cluster version not found during downgrade")      \
    X(WRONG_DOWNGRADE_VERSION_FORMAT, INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format")           \
    X(INVALID_DOWNGRADE_TARGET_VERSION, INVALID_ARGUMENT, "etcdserver: invalid downgrade target version")              \
    X(DOWNGRADE_IN_PROCESS, FAILED_PRECONDITION, "etcdserver: cluster has a downgrade job in progress")                \
    X(NO_INFLIGHT_DOWNGRADE, FAILED_PRECONDITION, "etcdserver: no inflight downgrade job")                             \
    X(CANCELED, CANCELLED, "etcdserver: request canceled")                                                             \
    X(DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, "etcdserver: context deadline exceeded")                                   \
    X(INVALID_CLIENT_API_VERSION, INVALID_ARGUMENT, "etcdserver: invalid client api version")                          \
    X(INVALID_SORT_OPTION, INVALID_ARGUMENT, "etcdserver: invalid sort option")                                        \
    /* Not in etcd's table: texts of internal errors, sent as Unknown, and one of ours. */                             \
    X(WATCH_DUPLICATE_ID, UNKNOWN, "mvcc: duplicate watch ID provided on the WatchStream")                             \
    X(WATCH_EMPTY_RANGE, UNKNOWN, "mvcc: watcher range is empty")                                                      \
    X(NO_PASSWORD_USER, UNKNOWN, "auth: authentication failed, password was given for no password user")               \
    X(TOKEN_VERIFY_ONLY, UNKNOWN, "auth: token signing attempted with verify-only key")                                \
    X(PASSWORD_TOO_LONG, UNKNOWN, "bcrypt: password length exceeds 72 bytes")                                          \
    X(PASSWORD_WITH_ZERO, INVALID_ARGUMENT, "tenure: a password cannot hold the byte 0")                               \
    X(ELECTION_NOT_LEADER, UNKNOWN, "election: not leader")                                                            \
    X(OUT_OF_MEMORY, RESOURCE_EXHAUSTED, "tenure: out of memory")                                                      \
    X(WRITE_MAYBE, UNAVAILABLE, "tenure: the disk failed while committing, the write may or may not be applied")       \
    X(READ_ONLY, UNAVAILABLE, "tenure: not applied, the disk failed and this server writes no more until restarted")   \
    X(SOURCE_GONE, UNAVAILABLE, "tenure: not done, the source of this replica does not answer")                        \
    X(SOURCE_MAYBE, UNAVAILABLE, "tenure: the source of this replica was lost, the write may or may not be applied")   \
    X(STALE, UNAVAILABLE, "tenure: not done, this replica's copy is older than it may be")

#define ETCD_ERROR_ENUM(name, status, text) ETCD_##name,
enum etcd_error { ETCD_OK = 0, ETCD_ERRORS(ETCD_ERROR_ENUM) ETCD_ERROR_COUNT };
#undef ETCD_ERROR_ENUM

enum grpc_status etcd_error_status(enum etcd_error e);
const char *etcd_error_text(enum etcd_error e);
/* The error whose text this is; ETCD_OK when none is. */
enum etcd_error etcd_error_find(bytes text);

#endif
