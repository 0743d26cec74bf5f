#include "cli/cluster_make.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/spawn.h"

#define WORDS_MAX 32

bool cluster_make_tool(const char *etcdutl, char *path, size_t size)
{
    if (!etcdutl && program_find("tenure cluster", "--etcdutl", NULL, "etcdutl", NULL, path, size))
        return true;
    return program_find("tenure cluster", "--etcdutl", etcdutl, "etcdctl", "apt install etcd-client", path, size);
}

bool cluster_make_run(const char *log, char **words)
{
    char *argv[WORDS_MAX] = {"sh", "-c", "exec \"$@\" >>\"$TENURE_LOG\" 2>&1", "sh"};
    const struct spawn_variable env[] = {{"ETCDCTL_API", "3"}, {"TENURE_LOG", log}, {NULL, NULL}};
    struct spawn child;
    sigset_t mask;
    int status = 0;
    for (size_t i = 0; words[i]; i++)
        argv[4 + i] = words[i];
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!spawn_make(&child, argv, env, &mask)) {
        fprintf(stderr, "tenure cluster: %s cannot be started: %s\n", words[0], strerror(errno));
        return false;
    }
    spawn_go(&child);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    spawn_fini(&child);
    if (status != 0)
        fprintf(stderr, "tenure cluster: %s failed (code %d); what it said is in %s\n", words[0],
                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), log);
    return status == 0;
}

bool cluster_make_member(const struct cluster_make *m, const char *name, const char *peer_url)
{
    char into[CLUSTER_PATH_MAX], unfinished[CLUSTER_PATH_MAX];
    snprintf(into, sizeof into, "%s/%s", m->dir, name);
    snprintf(unfinished, sizeof unfinished, "%s/%s.unfinished", m->dir, name);
    if (access(into, F_OK) == 0)
        return true;
    if (access(unfinished, F_OK) == 0) {
        char *remove[] = {"rm", "-rf", "--", unfinished, NULL};
        if (!cluster_make_run(m->log, remove))
            return false;
    }
    char *argv[] = {(char *)m->tool,
                    "snapshot",
                    "restore",
                    (char *)m->snapshot,
                    "--name",
                    (char *)name,
                    "--data-dir",
                    unfinished,
                    "--initial-cluster",
                    (char *)m->peers,
                    "--initial-cluster-token",
                    (char *)m->token,
                    "--initial-advertise-peer-urls",
                    (char *)peer_url,
                    NULL};
    if (!cluster_make_run(m->log, argv))
        return false;
    if (rename(unfinished, into) == 0)
        return true;
    fprintf(stderr, "tenure cluster: %s: %s\n", into, strerror(errno));
    return false;
}
