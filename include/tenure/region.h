/* Regions: clusters that know each other, and for each name the one region that is its home.
 *
 * Each region is a cluster of its own, of etcd or of `tenure serve`; nothing here is consensus over regions. Three kinds of keys, in
 * every region's cluster, say what there is:
 *
 *   /federation/region           the name of the cluster's own region
 *   /regions/<name>              where a region is: {"endpoints":["http://…",…],"distance":{"us":80,…}}, distances in milliseconds
 *   /federation/homes<prefix>    the home of all keys that begin with <prefix>, with a slash at both ends: {"region":"eu","epoch":3};
 *                                of several that a key begins with the longest counts. A record is only ever replaced by one of a
 *                                greater epoch, and never deleted. With "authority":true it wants authority, see below.
 *
 * A lock or an election whose key has a home is asked for there, on a handle from tenure_home_open or tenure_region_open, or any
 * other with the option `federated`. Its token is epoch * 2^44 + the key's create revision: so each token of a new home, whose
 * epoch is greater, is greater than all that the old one has given out, and all that it goes on giving out while it is cut off and
 * does not know. An acquire in a cluster that is not the home is refused; a lock or leadership is lost when its home moves away
 * and the cluster hears of it. All who use a name use it so, or none: tokens without an epoch are smaller.
 *
 * Authority, by choice of a prefix: its home holds a lease in other regions, which `tenure region hold` renews there, and gives nothing
 * out without. Two more kinds of keys, in every region's cluster:
 *
 *   /federation/authority<prefix>   in the others: a place of the home's authority, on that lease; at home: its word, how long it lasts
 *   /federation/asks<prefix>        at home: written by who asks for that word
 *
 * Where a home wants it, an acquire on a federated handle is refused (TENURE_ECONFLICT) while there is none, and what is held is lost
 * when it has ended, by the holder's own clock: before another region can be promoted without force. Each holder asks a few times in the
 * time that it lasts; his user may write the asks and read both.
 *
 * Names of regions: a to z, 0 to 9 and dashes, at most 63. Blocking handles, any thread but the loop's; nothing here works on a
 * view of a namespace.
 */
#ifndef TENURE_REGION_H
#define TENURE_REGION_H

#include <tenure/client.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- tokens ---- */

/* The epoch within a token: 0 for one of a name without a home. Any thread. */
int64_t tenure_token_epoch(tenure_token token);
/* The create revision within it: what tenure_if_token compares on a federated handle. Any thread. */
int64_t tenure_token_revision(tenure_token token);

/* ---- where regions are ---- */

struct tenure_distance {
    const char *region;
    int64_t ms;
};
struct tenure_region {
    const char *name;
    const char *endpoints; /* with commas between, as tenure_open takes them */
    size_t n_distances;
    const struct tenure_distance *distances; /* from this region to others, as far as somebody said */
    bool own;                                /* the region of the cluster that was asked */
    int64_t mod_revision;
};
struct tenure_region_list {
    int64_t revision;
    const char *own; /* the name of the cluster's own region; "" = it has none */
    size_t n;
    const struct tenure_region *regions; /* by name; those whose record cannot be read have endpoints "" */
};
/* The regions that this cluster knows. NULL on failure. */
struct tenure_region_list *tenure_region_list(tenure_client *c, struct tenure_error *err);
void tenure_region_list_free(struct tenure_region_list *r); /* NULL is fine */
/* Says which region this cluster is. Once: TENURE_EEXISTS when it is another one already. TENURE_EINVALID (the name). */
int tenure_region_init(tenure_client *c, const char *name, struct tenure_error *err);
/* Writes a region's record into this cluster alone (`tenure region add` writes it into all): name, endpoints, distances.
 * TENURE_EINVALID: a name, endpoint or distance that is none. */
int tenure_region_put(tenure_client *c, const struct tenure_region *region, struct tenure_error *err);
/* Deletes it. TENURE_ENOTFOUND. TENURE_EBUSY: a prefix has its home there. */
int tenure_region_remove(tenure_client *c, const char *name, struct tenure_error *err);

/* ---- homes ---- */

struct tenure_home {
    const char *prefix; /* "/locks/" */
    const char *region;
    int64_t epoch;
    int64_t mod_revision;
    bool authority; /* it wants authority */
};
struct tenure_home_list {
    int64_t revision;
    size_t n;
    const struct tenure_home *homes; /* by prefix; those that cannot be read have region "" and epoch 0 */
};
/* The homes that this cluster knows. NULL on failure. */
struct tenure_home_list *tenure_home_list(tenure_client *c, struct tenure_error *err);
void tenure_home_list_free(struct tenure_home_list *r); /* NULL is fine */
/* The home of a key by a list: the longest prefix that it begins with; NULL = it has none. Any thread. */
const struct tenure_home *tenure_home_of(const struct tenure_home_list *r, const char *key);
#define TENURE_EPOCH_MAX 524287
/* Writes a home record into this cluster alone, if the one there, if any, has a smaller epoch. The same one again is success.
 * TENURE_ECONFLICT: there is another one, whose epoch is not smaller (the text says which). TENURE_EINVALID: a prefix without a
 * slash at both ends, a name that is none, an epoch beyond 1 to TENURE_EPOCH_MAX. */
int tenure_home_put(tenure_client *c, const char *prefix, const char *region, int64_t epoch, struct tenure_error *err);
/* The same of a whole record (mod_revision is not looked at). if_free: only while no place of an authority over the prefix lives in this
 * cluster, by the same transaction; also where the record is the same. TENURE_EBUSY: one does, for so long (the text says). */
int tenure_home_write(tenure_client *c, const struct tenure_home *home, bool if_free, struct tenure_error *err);

/* ---- authority ---- */

struct tenure_authority {
    const char *prefix;
    const char *region; /* whose; "" = what stands there cannot be read */
    int64_t epoch;
    int64_t left_ms; /* how long its lease still lives, to the second, as that cluster says; it is renewed meanwhile */
};
struct tenure_authority_list {
    int64_t revision;
    size_t n;
    const struct tenure_authority *places; /* by prefix */
};
/* The places of authorities in this cluster: in that of the home itself, its word. NULL on failure. */
struct tenure_authority_list *tenure_authority_list(tenure_client *c, struct tenure_error *err);
void tenure_authority_list_free(struct tenure_authority_list *r); /* NULL is fine */

/* ---- handles ---- */

/* A blocking, federated handle of a region, looked up in c's cluster, and found to answer as that region. options as of
 * tenure_open (NULL = defaults). It is the caller's, by tenure_close, and independent of c. NULL: TENURE_ENOTFOUND (no such
 * region is known), TENURE_EUNAVAILABLE (it cannot be reached: the text names the region, its endpoints, and what to do),
 * TENURE_ECONFLICT (what answers there is another region), and as tenure_open. */
tenure_client *tenure_region_open(tenure_client *c, const char *name, const struct tenure_options *options,
                                  struct tenure_error *err);
/* The same of the home of a key ("/locks/backup", "/election/scheduler"). TENURE_ENOTFOUND: the key has no home. */
tenure_client *tenure_home_open(tenure_client *c, const char *key, const struct tenure_options *options,
                                struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
