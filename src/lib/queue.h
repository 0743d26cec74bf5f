/* What the other files of queues know of one. Loop thread or any: these do not change while it is open. */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include <tenure/queue.h>

#include "lib/handle.h"
#include "recipes/item.h"

tenure_client *lib_queue_handle(const tenure_queue *q); /* the root's */
const struct item_keys *lib_queue_keys(const tenure_queue *q);
size_t lib_queue_strip(const tenure_queue *q); /* of a view: how much of the keys is not shown */

#endif
