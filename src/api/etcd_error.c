/* The table of etcd's errors, looked up both ways. The way back from a text is a walk over the list: it is taken once for
 * a failed call of a client. */
#include "api/etcd_error.h"

struct row {
    enum grpc_status status;
    const char *text;
};

#define ETCD_ERROR_ROW(name, code, words) [ETCD_##name] = {GRPC_##code, words},
static const struct row rows[ETCD_ERROR_COUNT] = {[ETCD_OK] = {GRPC_OK, ""}, ETCD_ERRORS(ETCD_ERROR_ROW)};
#undef ETCD_ERROR_ROW

static bool is_known(enum etcd_error e)
{
    return (int)e >= 0 && (int)e < ETCD_ERROR_COUNT;
}

enum grpc_status etcd_error_status(enum etcd_error e)
{
    return is_known(e) ? rows[e].status : GRPC_UNKNOWN;
}

const char *etcd_error_text(enum etcd_error e)
{
    return is_known(e) ? rows[e].text : "";
}

enum etcd_error etcd_error_find(bytes text)
{
    for (int e = ETCD_OK + 1; e < ETCD_ERROR_COUNT; e++) {
        if (bytes_equal(bytes_str(rows[e].text), text))
            return (enum etcd_error)e;
    }
    return ETCD_OK;
}
