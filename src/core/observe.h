/* Election.Observe: the leader of an election, and each later one. */
#ifndef CORE_OBSERVE_H
#define CORE_OBSERVE_H

#include "core/call.h"

/* Begins; ends the call where there is no room. Copies queue. */
void observe_start(struct core_call *call, struct key_range queue);

#endif
