/* `tenure queue list`: who works on what, and who waits. */
#ifndef CLI_QUEUE_LIST_H
#define CLI_QUEUE_LIST_H

#include <tenure/queue.h>

#include "cli/command.h"

/* Answers the exit code. */
int queue_list_print(tenure_queue *q, const struct global_options *g);

#endif
