// The public headers are C++ as well, each on its own; compiled, not run.
#include <tenure/auth.h>
#include <tenure/client.h>
#include <tenure/cluster.h>
#include <tenure/counter.h>
#include <tenure/cron.h>
#include <tenure/election.h>
#include <tenure/error.h>
#include <tenure/group.h>
#include <tenure/id.h>
#include <tenure/iterator.h>
#include <tenure/kv.h>
#include <tenure/lock.h>
#include <tenure/maintenance.h>
#include <tenure/namespace.h>
#include <tenure/scope.h>
#include <tenure/services.h>
#include <tenure/stm.h>
#include <tenure/trace.h>
#include <tenure/tenure.h>
#include <tenure/testkit.h>

static void on_gained(tenure_election *, tenure_token, void *)
{
}

bool leads(tenure_client *c, tenure_error *err)
{
    tenure_election_options o = {};
    o.size = sizeof o;
    o.proposal = tenure_str("me");
    o.on_gained = on_gained;
    tenure_election *e = tenure_election_start(c, "billing", &o, err);
    tenure_get_result *r = nullptr;
    if (tenure_get(c, tenure_str("a"), nullptr, &r, err) == TENURE_ENOTHELD)
        return false;
    tenure_get_free(r);
    return e && tenure_election_leads(e) && err->kind == TENURE_KIND_NONE;
}
