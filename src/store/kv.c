/* The commands that put or delete by themselves.
 *
 * Happy path of each: check the request, begin a command, check it against the planned state, make its rows, end.
 */
#include "store/internal.h"

static enum etcd_error put_run(struct store *s, const struct put_req *req, struct put_resp *ret)
{
    enum etcd_error e = quota_check(s, quota_put_cost(req));
    if (!e)
        e = write_check(s, req);
    return e ? e : write_put(s, req, ret);
}

enum etcd_error store_put(struct store *s, const struct put_req *req, struct arena *a, struct put_resp *ret,
                          tn_seq *seq)
{
    (void)a; /* what a put answers lies in the store */
    *seq = 0;
    enum etcd_error e = check_put(req);
    if (!e)
        e = alarm_check(s);
    if (e)
        return e;
    e = command_begin(s);
    if (!e) {
        e = put_run(s, req, ret);
        command_end(s);
    }
    *seq = command_gate(s);
    return e;
}

enum etcd_error store_delete(struct store *s, const struct delete_req *req, struct arena *a, struct delete_resp *ret,
                             tn_seq *seq)
{
    *seq = 0;
    enum etcd_error e = check_delete(req);
    if (!e)
        e = alarm_check(s);
    if (e)
        return e;
    e = command_begin(s);
    if (!e) {
        e = write_delete(s, req, a, ret);
        if (e)
            command_abort(s);
        command_end(s);
    }
    *seq = command_gate(s);
    return e;
}
