/* Raising an alarm, which no program should have to do, for the command line. */
#ifndef LIB_ALARM_H
#define LIB_ALARM_H

#include <tenure/maintenance.h>

/* Blocks, any thread but the loop's. One that stands already stays: success. TENURE_EINVALID for TENURE_ALARM_NONE. */
int lib_alarm_raise(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms, struct tenure_error *err);

#endif
