/* A directory: the services of all regions (region.h), the nearest first.
 *
 *     tenure_directory *d = tenure_directory_open(c, "billing", NULL, &err);
 *     const char *region;
 *     const struct tenure_instance *i = tenure_directory_pick(d, tenure_str(""), &region, &err);
 *     … i->endpoint …
 *     tenure_pick_done(i);
 *     tenure_directory_close(d);
 *
 * An instance is registered in its own region's cluster (registry.h), and known there alone. A directory keeps a live copy (picker.h) of
 * what each region has, over a handle of its own for each other region that the cluster at hand knows. All are asked at the same
 * time; one that does not answer is named, goes on being asked, and holds up nobody beyond `wait_ms`. What answers at a region's
 * endpoints and is not that region is not believed: it is asked for its name, the key /federation/region, which its user must be
 * allowed to read.
 *
 * The nearest is the region of the cluster at hand, then the others by their distance (`tenure region add --distance`), then those whose
 * distance nobody has said, by name. A pick is of the nearest region in which one serves: so of the own one while it has one, else of
 * another, and of the own one again as soon as one serves there.
 *
 * A cluster that knows no regions is the only one, without a name. Regions are those known at the opening: who is to find
 * one that came later opens anew. Blocking handles, any thread but the loop's, unless something else is said.
 */
#ifndef TENURE_DIRECTORY_H
#define TENURE_DIRECTORY_H

#include <tenure/picker.h>
#include <tenure/region.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_directory tenure_directory;

struct tenure_directory_region {
    const char *name; /* "" = that of a cluster which has no name */
    const char *endpoints;
    bool own;
    int64_t distance_ms; /* from the own one; 0 for itself, -1 = nobody has said */
    /* Its instances are known, from its own cluster: whatever happens later, see staleness_ms. */
    bool answers;
    int64_t revision;     /* of its cluster; 0 = nothing is known */
    int64_t staleness_ms; /* as tenure_service_view_staleness_ms; -1 = nothing is known */
    const char *problem;  /* NULL; or why nothing is known, or nothing new: "does not answer at http://…" */
};

struct tenure_directory_entry {
    const char *region;
    const struct tenure_instance *instance;
};
struct tenure_directory_list {
    size_t n_regions;
    const struct tenure_directory_region *regions; /* the nearest first */
    size_t n;
    const struct tenure_directory_entry *entries; /* in the order of the regions; in each by service, then name */
};
void tenure_directory_list_free(struct tenure_directory_list *r); /* NULL is fine; any thread */

struct tenure_directory_options {
    size_t size;
    const char *prefix;  /* NULL = "/services/" */
    const char *regions; /* which, with commas between; NULL or "all" = all that are known */
    /* Of the handles of other regions: certificates, user and so on. NULL = defaults. Borrowed for the call. */
    const struct tenure_options *options;
    struct tenure_instance_filter filter; /* of lists, changes and picks; copied */
    /* From the opening: await, and picks while a nearer region was not heard, wait for so long in all. 0 = half the handle's call
     * timeout. */
    int64_t wait_ms;
    /* A pick passes over another region whose copy is older, while one that is newer has somebody. 0 = 15 s. The own region's
     * copy counts however old it is: see tenure_service_view_staleness_ms. */
    int64_t stale_ms;
    /* Of picks, within a region: as in tenure_picker_options. any_if_none: when none serves in any region. */
    enum tenure_policy policy;
    const char *const *zones;
    size_t n_zones;
    bool any_if_none;
    uint64_t seed;
    /* Each may be NULL. On the threads of the regions' handles, but one at a time; they must not close the directory. What a region
     * has, once it was heard; then each of its changes, in order; and that it is not followed any more. */
    void (*on_list)(tenure_directory *d, const char *region, const struct tenure_instances *list, void *user);
    void (*on_change)(tenure_directory *d, const char *region, enum tenure_service_change change,
                      const struct tenure_instance *instance, int64_t revision, void *user);
    void (*on_end)(tenure_directory *d, const char *region, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Reads which regions there are, and begins to ask all of them. service NULL: of all services. It borrows c, which must outlive it. NULL:
 * TENURE_ENOTFOUND (a region that is not known, named), TENURE_EINVALID, TENURE_ELIMIT (more than 64 regions), or as
 * tenure_region_list and tenure_open. */
tenure_directory *tenure_directory_open(tenure_client *c, const char *service, const struct tenure_directory_options *o,
                                        struct tenure_error *err);
/* Waits, at most until wait_ms after the opening, for all regions to be heard. 0; or the code of the nearest one that was not (the text
 * names it): TENURE_EUNAVAILABLE (it does not answer), TENURE_ECONFLICT (what answers there is another region), TENURE_EDENIED, …
 * It is no failure of the directory, which has what the others have. */
int tenure_directory_await(tenure_directory *d, struct tenure_error *err);
/* What is known now; it does not wait. NULL when out of memory. Any thread. */
struct tenure_directory_list *tenure_directory_list(tenure_directory *d, struct tenure_error *err);
/* Chooses: see above. It waits, within wait_ms of the opening, while a region that is nearer than any that has somebody was not heard;
 * later never, and costs no I/O. ret_region (may be NULL): where the instance is, valid as long as d. The instance is the caller's
 * until tenure_pick_done. NULL: TENURE_ENOTFOUND (none serves in those that were heard), TENURE_EUNAVAILABLE (none was heard). */
const struct tenure_instance *tenure_directory_pick(tenure_directory *d, struct tenure_bytes key,
                                                    const char **ret_region, struct tenure_error *err);
/* Ends and frees, with the handles of the other regions. No callback comes after it. NULL is fine. */
void tenure_directory_close(tenure_directory *d);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
