/* A node: what a program takes part in, in one object, with defaults. The short way to all of it.
 *
 *     struct tenure_node_options o = {.size = sizeof o, .service = "billing", .instance = "b-1"};
 *     tenure_node *n = tenure_node_open("http://10.0.0.1:2379,http://10.0.0.2:2379", &o, &err);
 *     tenure_node_register(n, "10.0.0.7", 8080, &err);              found by others; heals itself
 *     tenure_config *v = tenure_node_config(n, NULL, on_change, NULL, &err);      below "billing/"
 *     tenure_node_lock(n, "order-123", 5000, work, order, &err);    freed however it ends
 *     tenure_node_lead(n, NULL, lead, app, &err);                   once more after each loss
 *     tenure_node_close(n);                                         gives all of it back
 *
 * What it adds to the layers below, which do the work and stay within reach:
 *
 *     identity     service and instance are said once: whose configuration, who registers, who stands for election
 *     discovery    the first question for a service begins a copy that follows it; later ones cost no I/O
 *     connection   tried for 5 s, again with growing pauses; its health is told, and can be asked
 *     the end      one close: locks, leaderships, the registration and keys are given up, views and pickers freed
 *
 * Defaults: elections `/election/<name>` with a TTL of 10 s; locks `/locks/<name>`, 30 s; configuration `/config/<key>`;
 * services `/services/<service>/<instance>`, 10 s; each call bounded by 5 s. What needs other ones is made with the functions of
 * election.h, lock.h, config.h, registry.h and picker.h on tenure_node_client.
 *
 * What the functions give lives until its own stop or close function, or the node's. Threads as client.h says. What blocks, here
 * tenure_node_lead and tenure_node_lock, and waiting for a first answer, needs a blocking handle: on others (tenure_node_adopt)
 * the calls begin and go on, and callbacks tell.
 */
#ifndef TENURE_NODE_H
#define TENURE_NODE_H

#include <tenure/config.h>
#include <tenure/election.h>
#include <tenure/picker.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_node tenure_node;

struct tenure_node_options {
    size_t size;
    /* Who this is. service NULL: the environment's TENURE_CONFIG_SERVICE, else the program's name; instance NULL:
     * TENURE_CONFIG_INSTANCE, else nobody in particular ("<address>:<port>" in the registry, the host's name in elections);
     * environment NULL: TENURE_CONFIG_ENVIRONMENT. Copied, as is all text here. */
    const char *service, *instance, *environment;
    const char *zone, *version; /* of its registration; instances of its own zone are picked first. NULL = none */
    const char *cache_file;     /* last-known-good copy of tenure_node_config for keys NULL; NULL = none */
    /* How servers are reached (TLS, user, log, …); NULL = defaults. Not for tenure_node_adopt. Its connect_timeout_ms 0 is 5,000
     * here. */
    const struct tenure_options *client;
    /* As in client.h, beside what the handle's own options say. */
    void (*on_connection)(void *user, enum tenure_connection state, const char *endpoint, const char *why);
    void *on_connection_user;
};

/* Opens a blocking handle to these endpoints, as tenure_open, and a node on it. Does not wait for a connection. NULL: as
 * tenure_open; TENURE_EINVALID (a service or instance that is empty or has a slash). */
tenure_node *tenure_node_open(const char *endpoints, const struct tenure_node_options *o, struct tenure_error *err);
/* A node on a handle of any kind but a namespace, which it takes: closed with it. On failure c stays the caller's. */
tenure_node *tenure_node_adopt(tenure_client *c, const struct tenure_node_options *o, struct tenure_error *err);
/* The handle, for everything that is not here. Owned by the node. NULL for NULL. */
tenure_client *tenure_node_client(const tenure_node *n);
/* What on_connection told last. No I/O; any thread. */
enum tenure_connection tenure_node_connection(const tenure_node *n);
/* Closes the handle as tenure_close does, and frees the node with all that it gave but what tenure_node_discover and
 * tenure_node_pick answered. No other thread may be about to use it. NULL is fine. Not from a callback. */
void tenure_node_close(tenure_node *n);

/* ---- elections ---- */

/* tenure_with_leadership: work runs while this node leads, again after each loss. name NULL: the service's. */
int tenure_node_lead(tenure_node *n, const char *name, int (*work)(tenure_election *e, tenure_token token, void *arg),
                     void *arg, struct tenure_error *err);
/* tenure_election_start: campaigns, again after each loss, until tenure_election_stop or the close; the functions, which may be NULL,
 * are called on the loop's thread. */
tenure_election *tenure_node_campaign(tenure_node *n, const char *name,
                                      void (*on_gained)(tenure_election *e, tenure_token token, void *user),
                                      void (*on_lost)(tenure_election *e, enum tenure_loss why, void *user), void *user,
                                      struct tenure_error *err);

/* ---- locks ---- */

/* tenure_with_lock: waits for the lock (wait_ms as there: 0 = without end, -1 = not at all), runs work, releases in every case. */
int tenure_node_lock(tenure_node *n, const char *name, int64_t wait_ms, int (*work)(tenure_lock *lock, void *arg),
                     void *arg, struct tenure_error *err);

/* ---- configuration ---- */

/* tenure_config_open, with the layers of this node: follows all keys that begin with keys (NULL: "<service>/"), and tells each state,
 * the first one too, on the loop's thread (on_change may be NULL). What it answers is read with tenure_config_string,
 * tenure_config_int and so on. */
tenure_config *tenure_node_config(tenure_node *n, const char *keys,
                                  void (*on_change)(tenure_config *v, int64_t revision,
                                                    const struct tenure_config_change *changes, size_t count,
                                                    void *user),
                                  void *user, struct tenure_error *err);

/* ---- services ---- */

/* tenure_register for this service and instance: waits until it stands; on other handles tenure_register_start. */
tenure_service *tenure_node_register(tenure_node *n, const char *address, int32_t port, struct tenure_error *err);

enum { TENURE_NODE_SERVICES_MAX = 256 };
/* Who is there now, those too that do not serve, from the node's copy; the first call for a service waits for it, at most for the call
 * timeout. tenure_instances_free. NULL: TENURE_EUNAVAILABLE (nothing was listed yet), TENURE_ETIMEOUT, TENURE_ELIMIT (more than
 * TENURE_NODE_SERVICES_MAX services are followed), TENURE_EINVALID, or why the copy ended. Any thread on a blocking handle, in callbacks
 * too, where it does not wait. */
struct tenure_instances *tenure_node_discover(tenure_node *n, const char *service, struct tenure_error *err);
/* The next one that serves, in turn, of the node's zone where there is one; tenure_pick_done when it is not used any more. NULL:
 * TENURE_ENOTFOUND (none serves), and as tenure_node_discover. */
const struct tenure_instance *tenure_node_pick(tenure_node *n, const char *service, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
