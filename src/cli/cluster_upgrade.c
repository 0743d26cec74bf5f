/* tenure cluster upgrade: every member to another version, after everything that has to hold before was looked at.
 *
 *   all well, no alarm -> one minor version further at most -> a snapshot is there -> each member anew, as rolling-restart does it
 *
 * The members of `tenure cluster dev` are restarted here, with another program; those on hosts by a command, which installs and restarts.
 * Failure modes: as in cluster_roll.c; the same command goes on, with those that are not there yet. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cluster_roll.h"
#include "cli/cluster_versions.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "cli/spawn.h"
#include "snapshot/status.h"

enum { VERSION_BYTES = 32, STEPS_MAX = 8, STEP_BYTES = 512 };
#define BACKUP_MAX_S     (24 * 60 * 60)
#define VERSION_LINE_MAX 256

struct upgrade {
    struct change x;
    struct cluster_layout layout; /* of a cluster on this machine */
    bool is_here;
    char program[CLUSTER_PATH_MAX];
    char to[VERSION_BYTES];
};

static int refuse(struct upgrade *u, int code)
{
    return change_stop(&u->x, code);
}

/* ---- versions ---- */

static int check_versions(struct upgrade *u, size_t *ret_left)
{
    char why[CLUSTER_WHY_MAX];
    *ret_left = 0;
    for (size_t i = 0; i < u->x.survey.list->n; i++) {
        const struct cluster_row *r = &u->x.survey.rows[i];
        const char *name = r->member->name[0] ? r->member->name : "a member";
        if (roll_is_version(r->status->version, u->to))
            continue;
        if (!cluster_version_may_become(r->status->version, u->to, u->x.o->force, why, sizeof why)) {
            fprintf(stderr, "tenure cluster: %s runs %s\n", name, why);
            return refuse(u, EXIT_FAILED);
        }
        ++*ret_left;
    }
    return 0;
}

/* The line "etcd Version: 3.5.21" of a program that is there. */
static bool ask_program(struct upgrade *u)
{
    char line[VERSION_LINE_MAX];
    int fds[2], status = 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    char *argv[] = {u->program, "--version", NULL};
    static const struct spawn_variable none = {NULL, NULL};
    struct spawn child = {.go_fd = -1, .error_fd = -1};
    struct spawn_how how = {.variables = &none, .mask = &u->x.signals.before, .input = -1, .output = fds[1]};
    bool ok = spawn_make_as(&child, argv, &how);
    if (ok)
        spawn_go(&child);
    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    ok = ok && f && fgets(line, sizeof line, f) && sscanf(line, "etcd Version: %31s", u->to) == 1;
    if (f)
        fclose(f);
    else
        close(fds[0]);
    while (child.pid && waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    spawn_fini(&child);
    if (!ok)
        fprintf(stderr, "tenure cluster: %s --version: it is no etcd\n", u->program);
    return ok;
}

/* ---- the backup ---- */

static int check_backup(struct upgrade *u, const char *path)
{
    struct snapshot_file f;
    struct snapshot_status s;
    struct tenure_error err = {0};
    struct stat at;
    if (stat(path, &at) == 0 && time(NULL) - at.st_mtime > BACKUP_MAX_S) {
        fprintf(stderr, "tenure cluster: %s is older than a day: name a file that is to be made\n", path);
        return refuse(u, EXIT_FAILED);
    }
    int rc = snapshot_file_open(&f, path, false, &err);
    if (rc == 0) {
        rc = snapshot_status(&f.bolt, &s, &err);
        snapshot_file_close(&f);
    }
    if (rc == 0)
        return 0;
    fprintf(stderr, "tenure cluster: --backup %s: %s\n", path, err.text);
    return refuse(u, EXIT_FAILED);
}

/* One that is not there is made now. */
static int have_backup(struct upgrade *u)
{
    const char *path = u->x.o->backup;
    struct tenure_error err = {0};
    if (!path && u->x.o->force)
        return 0;
    if (!path) {
        fprintf(stderr, "tenure cluster: expected --backup FILE: a snapshot of today, or one that is made now\n"
                        "--force goes on without\n");
        return refuse(u, EXIT_USAGE);
    }
    if (access(path, F_OK) == 0)
        return check_backup(u, path);
    if (snapshot_fetch(u->x.client, 0, path, NULL, NULL, &err) < 0)
        return refuse(u, connect_failed("cluster", u->x.g, &err));
    return check_backup(u, path);
}

/* ---- how each of them is restarted ---- */

static int restart_here(struct change *x, const struct cluster_row *r, void *user)
{
    const struct upgrade *u = user;
    for (size_t i = 0; i < u->layout.n; i++) {
        const struct cluster_member *m = &u->layout.members[i];
        pid_t pid = strcmp(m->name, r->member->name) == 0 ? cluster_pid_left(&u->layout, m) : 0;
        if (pid && kill(pid, SIGTERM) == 0)
            return 0;
    }
    fprintf(stderr, "tenure cluster: %s is no member that `tenure cluster dev` runs in %s\n", r->member->name,
            u->layout.dir);
    return change_stop(x, EXIT_FAILED);
}

static int find_here(struct upgrade *u, const struct cluster_options *o, struct global_options *g)
{
    static char endpoints[8192];
    if (!o->data_dir || !o->etcd) {
        fprintf(stderr,
                "tenure cluster: expected --data-dir DIR and --etcd FILE for a cluster of `tenure cluster dev`, or "
                "--to VERSION and --with COMMAND\n");
        return EXIT_USAGE;
    }
    char found[CLUSTER_PATH_MAX];
    if (!program_find("tenure cluster", "--etcd", o->etcd, "etcd", NULL, found, sizeof found))
        return EXIT_USAGE;
    if (!realpath(found, u->program) || !cluster_layout_read(&u->layout, o->data_dir))
        return EXIT_USAGE;
    cluster_layout_endpoints(&u->layout, endpoints, sizeof endpoints);
    g->endpoints = endpoints;
    u->is_here = true;
    return EXIT_OK;
}

/* ---- the steps ---- */

static void print_steps(const struct upgrade *u, size_t left)
{
    printf("%zu of %zu members are to become %s; each, followers first, the leader (%" PRIx64 ") last:\n", left,
           u->x.survey.list->n, u->to, u->x.survey.leader);
    printf("  1. install etcd %s on its host, and restart it there\n", u->to);
    printf("  2. wait until it answers, runs %s and has caught up\n", u->to);
    printf("what does this: tenure cluster upgrade --to %s --backup FILE --with COMMAND, such as\n"
           "  --with 'ssh root@{host} \"apt-get install -y etcd-server && systemctl restart etcd\"'\n",
           u->to);
}

static int roll(struct upgrade *u)
{
    struct roll r = {.command = u->x.o->with, .version = u->to};
    if (u->is_here) {
        if (!cluster_layout_use(&u->layout, u->program))
            return refuse(u, EXIT_FAILED);
        r.restart = restart_here;
        r.user = u;
    }
    return roll_all(&u->x, &r);
}

static int upgrade(struct upgrade *u)
{
    size_t left;
    if (roll_begin(&u->x) < 0 || roll_check(&u->x) < 0)
        return -1;
    if (u->x.survey.has_alarm) {
        fprintf(stderr, "tenure cluster: a member has an alarm: see to that first\ntry: tenure alarm list\n");
        return refuse(u, EXIT_FAILED);
    }
    if (check_versions(u, &left) < 0)
        return -1;
    bool is_told = output_is_text(u->x.g);
    if (left > 0 && !u->is_here && !u->x.o->with) {
        print_steps(u, left);
        return 0;
    }
    if (left > 0 && (have_backup(u) < 0 || roll(u) < 0))
        return -1;
    if (is_told)
        printf("all %zu members run %s\n", u->x.survey.list->n, u->to);
    return 0;
}

int cluster_upgrade(const struct global_options *g, const struct cluster_options *o)
{
    struct upgrade *u = calloc(1, sizeof *u);
    struct global_options here = *g;
    int code = u ? EXIT_OK : EXIT_FAILED;
    if (u && o->to)
        snprintf(u->to, sizeof u->to, "%s", o->to);
    else if (u)
        code = find_here(u, o, &here);
    if (code == EXIT_OK && o->to && (strlen(o->to) >= sizeof u->to || !cluster_version_is_one(o->to))) {
        fprintf(stderr, "tenure cluster: option --to: expected a version, such as 3.5 or 3.5.21, not '%s'\n", o->to);
        code = EXIT_USAGE;
    }
    if (code == EXIT_OK) {
        if (change_open(&u->x, &here, o) && (!u->is_here || ask_program(u)))
            upgrade(u);
        else
            refuse(u, EXIT_FAILED);
        code = change_close(&u->x);
    }
    free(u);
    return code;
}
