/* Where files of this user lie, after the XDG base directory rules; root's are the system's. */
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/* Each writes DIR/name into out; false when there is no such folder (no HOME either) or the path is too long.
 *
 *              root                else
 *     config   /etc/tenure         $XDG_CONFIG_HOME/tenure   or ~/.config/tenure
 *     state    /var/lib/tenure     $XDG_STATE_HOME/tenure    or ~/.local/state/tenure
 *     runtime  /run/tenure         $XDG_RUNTIME_DIR/tenure   or /tmp/tenure-UID
 *
 * root with XDG_… set has what they say. */
bool paths_config(const char *name, char *out, size_t size);
bool paths_state(const char *name, char *out, size_t size);
bool paths_runtime(const char *name, char *out, size_t size);

/* The folders above path, mode 0700 where they are made. Failing is seen by whoever opens path. */
void paths_make_parents(const char *path);

/* Nobody but this user can have written there or read it: of this user, and without a bit for others. errno says why not:
 * EPERM for owner and mode. */
bool paths_is_private(const char *path);

#endif
