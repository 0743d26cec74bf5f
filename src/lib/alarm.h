/* What no program should have to do, for the command line: raising an alarm; asking a replica how it stands. */
#ifndef LIB_ALARM_H
#define LIB_ALARM_H

#include <tenure/maintenance.h>

/* Blocks, any thread but the loop's. One that stands already stays: success. TENURE_EINVALID for TENURE_ALARM_NONE. */
int lib_alarm_raise(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms, struct tenure_error *err);

/* The lines "name=value" of a replica, to be freed. TENURE_EUNIMPLEMENTED: it is none. Blocks, as above. */
int lib_replica_status(tenure_client *c, size_t index, int64_t timeout_ms, char **ret, struct tenure_error *err);

#endif
