/* tenure cluster adopt: from one machine to a cluster, by a snapshot and the restore of etcd's own tools.
 *
 * Each step leaves what the next run goes on with: the old directory is sealed (it serves nobody any more, and names who does),
 * its snapshot is a file that is named when it is whole, and a member's folder gets its name when it is restored. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cluster.h"
#include "cli/cluster_make.h"
#include "cli/output.h"
#include "cli/seal.h"
#include "cli/snapshot.h"
#include "io/file.h"

#define LINE_MAX_BYTES 8192

struct adopt {
    const struct global_options *g;
    struct cluster_layout layout;
    char endpoints[LINE_MAX_BYTES], peers[LINE_MAX_BYTES];
    char snapshot[CLUSTER_PATH_MAX], note[CLUSTER_PATH_MAX], tool[CLUSTER_PATH_MAX];
};

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool restore(const struct adopt *a, const struct cluster_member *m)
{
    char log[CLUSTER_PATH_MAX], peer[64];
    const struct cluster_make make = {.dir = a->layout.dir,
                                      .log = log,
                                      .tool = a->tool,
                                      .snapshot = a->snapshot,
                                      .peers = a->peers,
                                      .token = CLUSTER_TOKEN};
    snprintf(log, sizeof log, "%s/adopt.log", a->layout.dir);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", m->peer_port);
    return cluster_make_member(&make, m->name, peer);
}

/* Sealing comes first, inside: from then on the old directory gives out no revision. */
static bool take_snapshot(struct adopt *a, const char *from)
{
    struct snapshot_options o = {.data_dir = from, .successor = a->endpoints, .seal = true, .quiet = true, .bump = -1};
    if (exists(a->snapshot))
        return true;
    return snapshot_save_offline(&o, a->g, a->snapshot) == EXIT_OK;
}

/* Whether the directory was given to the members of this folder: 1 = yes, 0 = it was not sealed, -1 after having said why not. */
static int was_given(const struct adopt *a, const char *from)
{
    struct backend_config config = {.dir = from, .allow_unfinished = true, .allow_replica = true, .ballast_bytes = -1};
    struct backend *b = NULL;
    struct tenure_error err = {0};
    int rc = seal_open(&config, &b, &err);
    backend_close(b);
    if (rc == 0)
        return 0;
    if (strstr(err.text, a->endpoints))
        return 1;
    fprintf(stderr, "tenure cluster: adopt %s: %s\n", from, err.text);
    return -1;
}

static bool has_member(const struct adopt *a, bool all)
{
    char member[CLUSTER_PATH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < a->layout.n; i++) {
        snprintf(member, sizeof member, "%s/%s", a->layout.dir, a->layout.members[i].name);
        n += exists(member);
    }
    return all ? n == a->layout.n : n > 0;
}

/* The folder is new, or this directory's: members of another cluster would stand in for the one that is adopted, and a member that was
 * lost later must not come back with what it was in the beginning. */
static bool may_go_on(const struct adopt *a, int given)
{
    bool begun = exists(a->note), taken = exists(a->snapshot);
    if (given < 0)
        return false;
    if (!taken && has_member(a, false))
        fprintf(stderr, "tenure cluster: %s holds members of another cluster: name another --data-dir\n",
                a->layout.dir);
    else if (taken && !given)
        fprintf(stderr, "tenure cluster: %s holds what another directory became: name another --data-dir\n",
                a->layout.dir);
    else if (taken && !begun && !has_member(a, true))
        fprintf(
            stderr,
            "tenure cluster: %s was adopted, and has lost a member since: restored, that one would forget what it has voted\n"
            "try: tenure cluster replace\n",
            a->layout.dir);
    else
        return true;
    return false;
}

/* On the disk before the directory is sealed: until it is gone `tenure cluster dev` makes no empty members in their place. */
static bool note_begun(const struct adopt *a)
{
    int fd = open(a->note, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && fsync(fd) == 0 && io_sync_directory(a->layout.dir) == 0;
    if (!ok)
        fprintf(stderr, "tenure cluster: %s: %s\n", a->note, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool adopt(struct adopt *a, const char *from)
{
    bool ok = take_snapshot(a, from);
    for (size_t i = 0; ok && i < a->layout.n; i++)
        ok = restore(a, &a->layout.members[i]);
    return ok && (unlink(a->note) == 0 || errno == ENOENT);
}

static void tell(const struct adopt *a)
{
    if (!output_is_text(a->g)) {
        output_done(a->g, "cluster", a->layout.dir, "adopted");
        return;
    }
    printf("%zu members are in %s; start them: tenure cluster dev --data-dir %s\n", a->layout.n, a->layout.dir,
           a->layout.dir);
    printf("export TENURE_ENDPOINTS=%s\n", a->endpoints);
}

int cluster_adopt(const struct global_options *g, const struct cluster_options *o, const char *from)
{
    struct adopt a = {.g = g};
    int code = EXIT_FAILED;
    if (!exists(from)) {
        fprintf(stderr, "tenure cluster: adopt %s: %s\n", from, strerror(errno));
        return EXIT_USAGE;
    }
    if (!cluster_make_tool(o->etcdutl, a.tool, sizeof a.tool))
        return EXIT_USAGE;
    int lock = cluster_layout_open(&a.layout, o->data_dir, (size_t)o->members, (int)o->port, &code);
    if (lock < 0)
        return code;
    cluster_layout_endpoints(&a.layout, a.endpoints, sizeof a.endpoints);
    cluster_layout_peers(&a.layout, a.peers, sizeof a.peers);
    snprintf(a.snapshot, sizeof a.snapshot, "%s/adopted.db", a.layout.dir);
    snprintf(a.note, sizeof a.note, "%s/" CLUSTER_ADOPTING, a.layout.dir);
    bool is_new = !has_member(&a, false) && !exists(a.snapshot);
    bool ok = (!is_new || note_begun(&a)) && may_go_on(&a, was_given(&a, from)) && adopt(&a, from);
    if (ok)
        tell(&a);
    close(lock);
    return ok ? EXIT_OK : EXIT_FAILED;
}
