#include "cli/exits.h"

const struct exit_row exit_rows[] = {
    {"0", "done"},
    {"1", "the server, the state or a check said no: not found, a compare that failed, denied, no room"},
    {"2", "the command line is wrong, or a file that it reads: missing, malformed, not to be trusted"},
    {"3", "no server answered in time, or none could be started; cache: the copy is older than is allowed"},
    {"4", "migrate stopped before the end that was asked for: run it again"},
    {"121", "lock, rwlock, sem, elect, cron, queue work: the lease was lost, and the command was ended; "
            "service: taken over; fence file: a smaller token"},
    {"124",
     "lock, rwlock, sem, elect, cron, barrier, queue, service, fence file: it did not come about within --timeout"},
    {"125",
     "lock, rwlock, sem, elect, cron, queue work, fence file, config exec, service run: tenure's own failure, a wrong option included"},
    {"126", "the same: the command cannot be executed"},
    {"127", "the same: there is no such command"},
    {"128 + N", "the same: the command was ended by signal N"},
    {"other", "the same: the command's own"},
    {NULL, NULL},
};
