/* Work that is done while leading, on the thread of who asks for it; again after each loss. */
#include "lib/handle.h"
#include "lib/view.h"

/* Waits, works; false = leadership was lost, and it is to be tried again. */
static bool one_leadership(tenure_election *e, int (*work)(tenure_election *e, tenure_token token, void *arg),
                           void *arg, int *ret, struct tenure_error *err)
{
    *ret = tenure_election_await(e, 0, err);
    if (*ret < 0)
        return true;
    tenure_token token = tenure_election_token(e);
    if (!tenure_election_leads(e))
        return false;
    *ret = work(e, token, arg);
    return tenure_election_leads(e) && tenure_election_token(e) == token;
}

int tenure_with_leadership(tenure_client *c, const char *name, const struct tenure_election_options *o,
                           int (*work)(tenure_election *e, tenure_token token, void *arg), void *arg,
                           struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    tenure_client *root = c;
    view_of(&root);
    int rc = handle_enter_blocking(root, "election", err);
    if (rc < 0)
        return rc;
    if (!work)
        return error_set(err, TENURE_EINVALID, "election: there is no work to do while leading");
    tenure_election *e = tenure_election_start(c, name, o, err);
    if (!e)
        return err->code;
    while (!one_leadership(e, work, arg, &rc, err))
        ;
    tenure_election_stop(e);
    return rc;
}
