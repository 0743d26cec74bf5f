/* The commands, one cmd_*.c each. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command command_lock, command_elect, command_get, command_put, command_del, command_watch,
    command_lease, command_auth, command_snapshot, command_migrate, command_serve, command_status, command_version,
    command_help, command_compact, command_txn, command_member, command_alarm, command_defrag, command_rwlock,
    command_sem, command_counter, command_cron, command_barrier, command_completion, command_queue, command_fence,
    command_context, command_config, command_service, command_doctor, command_cluster, command_cache, command_replica,
    command_top, command_bench, command_mirror, command_region;

#endif
