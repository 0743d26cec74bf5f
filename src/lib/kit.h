/* The seam for the test kit (src/testkit): what stands for sockets, clock and loop below a handle of the kind HANDLE_KIT. Such
 * a handle has no thread and no loop: the kit calls the functions below when it is its turn, in the one thread that uses the
 * kit. Blocking calls on it move the kit's world until they are answered.
 *
 * In libtenure itself nothing makes such a handle. */
#ifndef LIB_KIT_H
#define LIB_KIT_H

#include <tenure/client.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/types.h"

/* All take the user of lib_kit_open. */
struct lib_kit {
    tn_ms (*clock)(void *user);
    int64_t (*wall_ms)(void *user);
    uint64_t (*random)(void *user);
    /* lib_kit_turn must come before time moves on; and at that time at the latest. */
    void (*wants_turn)(void *user);
    void (*wants_timer)(void *user, tn_ms at);
    /* lib_kit_connected will come, or the failure is told at once. */
    int (*connect)(void *user, uint32_t conn, struct tenure_error *err);
    void (*write)(void *user, uint32_t conn, bytes data);
    void (*close)(void *user, uint32_t conn);
    /* Whether a blocking call may begin now. 0 or TENURE_EINVALID. */
    int (*may_wait)(void *user, const char *what, struct tenure_error *err);
    /* Moves the world one step on. False: nothing more happens up to `until`, which has come (or, of TN_MS_NEVER, the end of
     * the kit's patience, which begins anew with `begins`). */
    bool (*wait)(void *user, tn_ms until, bool begins);
    /* A close begins, and needs turns. False: no server can answer it any more. */
    bool (*closing)(void *user);
    /* The handle asks for nothing any more; user is not used again, but by `wait`, until the handle is freed. */
    void (*gone)(void *user);
};

/* kit, user: borrowed until `gone`. NULL: as tenure_open. */
tenure_client *lib_kit_open(const struct lib_kit *kit, void *user, const struct tenure_options *options,
                            struct tenure_error *err);
/* What tenure_open answers in this thread instead of a blocking handle; NULL = nothing special. Options are not looked at yet. */
typedef tenure_client *(*lib_kit_opener)(const struct tenure_options *options, struct tenure_error *err);
void lib_kit_set_opener(lib_kit_opener opener);
/* The clock of what this thread makes from now on that belongs to no handle, a scope; clock NULL: the machine's again, if it was
 * user's. */
void lib_kit_set_clock(tn_ms (*clock)(void *user), void *user);
/* What has arrived: a connection stands, or failure says why not; bytes; its end. Then lib_kit_turn is due. */
void lib_kit_connected(tenure_client *c, uint32_t conn, const char *failure);
void lib_kit_read(tenure_client *c, uint32_t conn, bytes in);
void lib_kit_ended(tenure_client *c, uint32_t conn, const char *why);
/* One turn, callbacks last. c may be gone then. */
void lib_kit_turn(tenure_client *c);
/* Closes and frees a handle at once, in a turn in which no server answers. Not in its turn. */
void lib_kit_end(tenure_client *c);
/* The leases of the handle's sessions: up to max of them; answers how many there are. */
size_t lib_kit_leases(tenure_client *c, int64_t *ret, size_t max);

#endif
