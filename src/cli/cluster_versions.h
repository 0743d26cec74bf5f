/* Which version of etcd may become which. Pure. */
#ifndef CLI_CLUSTER_VERSIONS_H
#define CLI_CLUSTER_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { CLUSTER_WHY_MAX = 256 };

/* "3.5" or "3.5.21", with what may be behind it after - or +. */
bool cluster_version_is_one(const char *text);
/* Whether members of one may be restarted as another, one after the other; force: also where etcd's guides ask for a later patch first.
 * If not, why begins with `from`, to stand behind "NAME runs". */
bool cluster_version_may_become(const char *from, const char *to, bool force, char *why, size_t size);

#endif
