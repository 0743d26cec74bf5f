/* libtenure: leader election, locks, configuration, discovery and fencing tokens on the etcd v3 API. This header includes
 * all others. */
#ifndef TENURE_TENURE_H
#define TENURE_TENURE_H

#define TENURE_VERSION_MAJOR  0
#define TENURE_VERSION_MINOR  1
#define TENURE_VERSION_PATCH  0
#define TENURE_VERSION_STRING "0.1.0"

#include <tenure/auth.h>
#include <tenure/barrier.h>
#include <tenure/cache.h>
#include <tenure/client.h>
#include <tenure/cluster.h>
#include <tenure/config.h>
#include <tenure/counter.h>
#include <tenure/cron.h>
#include <tenure/directory.h>
#include <tenure/election.h>
#include <tenure/error.h>
#include <tenure/fence.h>
#include <tenure/group.h>
#include <tenure/id.h>
#include <tenure/iterator.h>
#include <tenure/kv.h>
#include <tenure/lock.h>
#include <tenure/maintenance.h>
#include <tenure/multilock.h>
#include <tenure/namespace.h>
#include <tenure/node.h>
#include <tenure/picker.h>
#include <tenure/place.h>
#include <tenure/queue.h>
#include <tenure/region.h>
#include <tenure/registry.h>
#include <tenure/rwlock.h>
#include <tenure/scope.h>
#include <tenure/semaphore.h>
#include <tenure/services.h>
#include <tenure/session.h>
#include <tenure/stm.h>
#include <tenure/trace.h>
#include <tenure/value.h>
#include <tenure/wait.h>

#endif
