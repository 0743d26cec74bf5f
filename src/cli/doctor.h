/* What `tenure doctor` finds, one finding a line, and the checks that find it.
 *
 *     cmd_doctor.c      the command: what is printed, and the exit code
 *     doctor_server.c   each server by itself, and the cluster: who answers, how fast, space, alarms, quorum, leases
 *     health.h          their disks and clocks, and faults of their versions
 *     doctor_local.c    this machine: clock, certificates
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <tenure/tenure.h>

#include "cli/command.h"
#include "cli/health.h"

struct doctor {
    tenure_client *client;
    const struct global_options *g;
    bool unavailable; /* no server answered */
    enum doctor_level worst;
    struct doctor_out *out;
};

/* about: what it is of ("http://10.0.0.1:2379", "clock"); advice: what to do, NULL for none. */
void doctor_found(struct doctor *d, enum doctor_level level, const char *about, const char *advice, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

void doctor_servers(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_certificates(struct doctor *d);

#endif
