/* tenure cluster restore: a whole cluster from one backup.
 *
 * Happy path: the file is checked; read into a log of ours whose revision goes on far ahead, with everything before it compacted
 * (docs/decisions/0012-restore.md: whoever has a fencing token or watches must not meet an old revision again); written as a
 * snapshot of the same version of etcd; each member's folder made of that by etcd's own tool. All of it in a folder beside the
 * place, which gets its name as the last step. The members share a new cluster id, so that one of the old cluster's that comes
 * back is refused by them. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/backup_dir.h"
#include "cli/cluster_care.h"
#include "cli/cluster_make.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "io/file.h"
#include "snapshot/status.h"

#define LINE_MAX_BYTES 8192
#define URL_MAX        256

struct restored_member {
    char name[64], peer[URL_MAX], client[URL_MAX];
};

struct cluster_restoring {
    const struct global_options *g;
    const char *data_dir; /* where it is to be */
    char file[BACKUP_PATH_MAX], version[32];
    struct backup_entry backup;
    char dir[CLUSTER_DIR_MAX]; /* where it is made */
    char tool[CLUSTER_PATH_MAX];
    struct restored_member members[CLUSTER_MEMBERS_MAX];
    size_t n;
    bool is_local; /* `cluster dev` runs them */
    struct cluster_layout layout;
    int folder; /* held, where it is made */
    int lock;   /* of the folder that `cluster dev` is to run; -1 = none */
    struct snapshot_summary summary;
};

/* ---- from what ---- */

/* The newest that is good; each that is not is named. */
static bool choose_of_folder(struct cluster_restoring *r, const char *from)
{
    struct backup_dir d;
    struct tenure_error err = {0};
    bool found = false;
    if (backup_dir_open(&d, from, false, &err) < 0) {
        fprintf(stderr, "tenure cluster: %s\n", err.text);
        return false;
    }
    for (size_t i = d.n; i-- > 0 && !found;) {
        found = backup_dir_check(&d, &d.entries[i], &err) == 0;
        if (!found)
            fprintf(stderr, "tenure cluster: left for an older one: %s\n", err.text);
        if (found)
            r->backup = d.entries[i];
        backup_dir_path(&d, d.entries[i].name, r->file);
    }
    if (!found)
        fprintf(stderr, "tenure cluster: %s lists no good backup\n", from);
    backup_dir_close(&d);
    return found;
}

static bool choose_file(struct cluster_restoring *r, const char *from)
{
    struct stat st;
    struct tenure_error err = {0};
    if (stat(from, &st) == 0 && S_ISDIR(st.st_mode))
        return choose_of_folder(r, from);
    if ((size_t)snprintf(r->file, sizeof r->file, "%s", from) < sizeof r->file &&
        backup_check(r->file, &r->backup, &err) == 0)
        return true;
    fprintf(stderr, "tenure cluster: %s\n", err.text[0] ? err.text : "the file's name is too long");
    return false;
}

/* Files from before 3.6 do not say it; what says 3.6 is taken by every version. */
static bool read_version(struct cluster_restoring *r)
{
    struct snapshot_file f;
    struct snapshot_status s;
    struct tenure_error err = {0};
    int rc = snapshot_file_open(&f, r->file, true, &err);
    if (rc == 0) {
        rc = snapshot_status(&f.bolt, &s, &err);
        if (rc == 0 && s.version.len > 0 && s.version.len < sizeof r->version)
            snprintf(r->version, sizeof r->version, "%.*s", (int)s.version.len, (const char *)s.version.data);
        else
            snprintf(r->version, sizeof r->version, "3.6.0");
        snapshot_file_close(&f);
    }
    if (rc)
        fprintf(stderr, "tenure cluster: %s\n", err.text);
    return rc == 0;
}

/* ---- which members ---- */

static bool member_fits(const struct cluster_restoring *r, const struct restored_member *m, const char *host)
{
    if (!m->name[0] ||
        strspn(m->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != strlen(m->name) ||
        m->name[0] == '.' || m->name[0] == '-' || !host[0] || strlen(host) > URL_MAX - 32)
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->members[i].name, m->name) == 0)
            return false;
    return true;
}

/* "a=10.0.0.1", or "a=https://10.0.0.1:2380", which is where the other members find it. */
static bool add_member(struct cluster_restoring *r, const char *text)
{
    const char *equals = strchr(text, '=');
    struct restored_member *m = &r->members[r->n];
    if (!equals || r->n == CLUSTER_MEMBERS_MAX || (size_t)(equals - text) >= sizeof m->name)
        return false;
    snprintf(m->name, sizeof m->name, "%.*s", (int)(equals - text), text);
    const char *host = equals + 1, *scheme = strstr(host, "://");
    if (!member_fits(r, m, host))
        return false;
    if (!scheme) {
        snprintf(m->peer, sizeof m->peer, "http://%s:2380", host);
        snprintf(m->client, sizeof m->client, "http://%s:2379", host);
    } else {
        const char *colon = strrchr(scheme + 3, ':');
        int len = colon && colon[1] >= '0' && colon[1] <= '9' ? (int)(colon - host) : (int)strlen(host);
        snprintf(m->peer, sizeof m->peer, "%s", host);
        snprintf(m->client, sizeof m->client, "%.*s:2379", len, host);
    }
    r->n++;
    return true;
}

static bool read_members(struct cluster_restoring *r, const char *text)
{
    char copy[LINE_MAX_BYTES], *save = NULL;
    bool ok = (size_t)snprintf(copy, sizeof copy, "%s", text) < sizeof copy;
    for (char *one = strtok_r(copy, ",", &save); ok && one; one = strtok_r(NULL, ",", &save))
        ok = add_member(r, one);
    if (ok && r->n % 2 == 1)
        return true;
    fprintf(
        stderr,
        "tenure cluster: option --members: expected 1, 3, 5 or 7, or so many NAME=HOST or NAME=PEER_URL, with commas between\n");
    return false;
}

static bool read_count(const char *text, size_t *ret)
{
    char *end;
    unsigned long n = text ? strtoul(text, &end, 10) : 3;
    *ret = (size_t)n;
    if (!text || (*text && *end == 0 && n >= 1 && n <= CLUSTER_MEMBERS_MAX && n % 2 == 1))
        return true;
    fprintf(stderr, "tenure cluster: option --members: expected 1, 3, 5 or 7\n");
    return false;
}

static bool lay_out(struct cluster_restoring *r, size_t n, int port, int *ret_code)
{
    r->lock = cluster_layout_open(&r->layout, r->dir, n, port, ret_code);
    if (r->lock < 0)
        return false;
    r->is_local = true;
    r->n = r->layout.n;
    for (size_t i = 0; i < r->n; i++) {
        const struct cluster_member *m = &r->layout.members[i];
        snprintf(r->members[i].name, sizeof r->members[i].name, "%s", m->name);
        snprintf(r->members[i].peer, URL_MAX, "http://127.0.0.1:%d", m->peer_port);
        snprintf(r->members[i].client, URL_MAX, "http://127.0.0.1:%d", m->client_port);
    }
    return true;
}

static void join(const struct cluster_restoring *r, bool peers, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < r->n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s%s%s", i ? "," : "", peers ? r->members[i].name : "",
                               peers ? "=" : "", peers ? r->members[i].peer : r->members[i].client);
}

/* ---- making it ---- */

static bool remove_all(const char *log, char *path)
{
    char *words[] = {"rm", "-rf", "--", path, NULL};
    return cluster_make_run(log, words);
}

/* The same data, far ahead; as the name that `cluster dev` knows: a member that is lost later must not begin with it again. */
static bool rewrite(struct cluster_restoring *r, const char *log, const char *into)
{
    char ours[CLUSTER_PATH_MAX];
    struct tenure_error err = {0};
    const struct snapshot_into between = {.dir = ours, .bump = SNAPSHOT_BUMP};
    const struct snapshot_options save = {.data_dir = ours, .quiet = true, .bump = -1, .storage_version = r->version};
    snprintf(ours, sizeof ours, "%s/rewritten", r->dir);
    if (snapshot_restore_into(&between, r->file, &r->summary, &err) < 0) {
        fprintf(stderr, "tenure cluster: %s\n", err.text);
        return false;
    }
    return snapshot_save_offline(&save, r->g, into) == EXIT_OK && remove_all(log, ours);
}

static bool make_members(struct cluster_restoring *r, const char *log, const char *snapshot)
{
    char peers[LINE_MAX_BYTES], token[64];
    const struct cluster_make make = {
        .dir = r->dir, .log = log, .tool = r->tool, .snapshot = snapshot, .peers = peers, .token = token};
    bool ok = true;
    join(r, true, peers, sizeof peers);
    snprintf(token, sizeof token, "restored-%" PRIx32 "-%s", r->backup.hash, strrchr(r->dir, '-') + 1);
    for (size_t i = 0; ok && i < r->n; i++)
        ok = cluster_make_member(&make, r->members[i].name, r->members[i].peer);
    return ok;
}

static bool name_it(struct cluster_restoring *r)
{
    char up[CLUSTER_PATH_MAX];
    if (rename(r->dir, r->data_dir) < 0) {
        fprintf(stderr, "tenure cluster: %s: %s\n", r->data_dir, strerror(errno));
        return false;
    }
    snprintf(up, sizeof up, "%s/..", r->data_dir);
    if (io_sync_directory(up) < 0 && errno != EACCES)
        fprintf(stderr, "tenure cluster: %s: %s\n", up, strerror(errno));
    return true;
}

static void log_name(const char *dir, char out[CLUSTER_PATH_MAX])
{
    snprintf(out, CLUSTER_PATH_MAX, "%s/restore.log", dir);
}

/* The log comes first: by it a folder is known for one of these. */
static bool begin_log(const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        fprintf(stderr, "tenure cluster: %s: %s\n", log, strerror(errno));
    else
        close(fd);
    return fd >= 0;
}

static bool make(struct cluster_restoring *r)
{
    char log[CLUSTER_PATH_MAX], snapshot[CLUSTER_PATH_MAX];
    log_name(r->dir, log);
    snprintf(snapshot, sizeof snapshot, "%s/adopted.db", r->dir);
    if (begin_log(log) && rewrite(r, log, snapshot) && make_members(r, log, snapshot) && name_it(r))
        return true;
    fprintf(stderr, "tenure cluster: nothing was restored; what there is of it is in %s\n", r->dir);
    return false;
}

/* ---- telling ---- */

static json_t *members_json(const struct cluster_restoring *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct restored_member *m = &r->members[i];
        json_array_append_new(list, json_pack("{s:s,s:o,s:s,s:s}", "name", m->name, "folder",
                                              json_sprintf("%s/%s", r->data_dir, m->name), "peer_url", m->peer,
                                              "endpoint", m->client));
    }
    return list;
}

static void tell_how_to_start(const struct cluster_restoring *r)
{
    char all[LINE_MAX_BYTES];
    if (r->is_local) {
        printf("%zu members are in %s; start them: tenure cluster dev --data-dir %s\n", r->n, r->data_dir, r->data_dir);
    } else {
        printf(
            "no member of the old cluster may run any more; then copy each folder to its host and start it there, with the\n"
            "configuration that the old member had, or with these options and its certificates:\n");
        for (size_t i = 0; i < r->n; i++) {
            const struct restored_member *m = &r->members[i];
            printf(
                "  %s: %s/%s\n    etcd --name %s --data-dir FOLDER --listen-peer-urls %s --initial-advertise-peer-urls %s"
                " --listen-client-urls %s --advertise-client-urls %s\n",
                m->name, r->data_dir, m->name, m->name, m->peer, m->peer, m->client, m->client);
        }
    }
    join(r, false, all, sizeof all);
    printf("export TENURE_ENDPOINTS=%s\n", all);
}

static void tell(const struct cluster_restoring *r)
{
    static const struct output_column columns[] = {{.path = "name", .heading = "NAME"},
                                                   {.path = "endpoint", .heading = "ENDPOINT"},
                                                   {.path = "folder", .heading = "FOLDER"},
                                                   {0}};
    static const struct output_form form = {.lists = {"members"}, .columns = columns};
    if (!output_is_text(r->g)) {
        json_t *o = json_object();
        json_object_set_new(o, "data_dir", json_string(r->data_dir));
        json_object_set_new(o, "file", json_string(r->file));
        json_object_set_new(o, "backup_revision", json_integer(r->backup.revision));
        json_object_set_new(o, "revision", json_integer(r->summary.revision));
        json_object_set_new(o, "leases", json_integer(r->summary.leases));
        json_object_set_new(o, "members", members_json(r));
        output_print(r->g, &form, o);
        return;
    }
    printf("%s, revision %" PRId64 ", is restored and goes on at revision %" PRId64
           ": fencing tokens grow, old watches are told to begin anew\n",
           r->file, r->backup.revision, r->summary.revision);
    tell_how_to_start(r);
}

/* ---- the command ---- */

/* Whoever makes a cluster in a folder holds this lock of it; it goes with the process. -1: another one has it, or the folder is gone. */
static int take_folder(const char *dir)
{
    struct stat held, there;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && stat(dir, &there) == 0 &&
        held.st_ino == there.st_ino)
        return fd;
    close(fd);
    return -1;
}

/* Another folder that has such a name by chance is not ours, but for an empty one, which is none to lose. */
static bool is_of_restore(const char *dir)
{
    char log[CLUSTER_PATH_MAX];
    log_name(dir, log);
    return access(log, F_OK) == 0;
}

/* Of restores into the same place that were killed, or failed. */
static void remove_left(const char *place, int len)
{
    char pattern[CLUSTER_DIR_MAX + 32];
    glob_t all = {0};
    size_t n = 0;
    for (int i = 0; i < len && n < CLUSTER_DIR_MAX; i++) { /* a name may have letters of patterns */
        if (strchr("*?[]\\", place[i]))
            pattern[n++] = '\\';
        pattern[n++] = place[i];
    }
    snprintf(pattern + n, sizeof pattern - n, ".restoring-??????");
    if (glob(pattern, 0, NULL, &all) == 0)
        for (size_t i = 0; i < all.gl_pathc; i++) {
            int fd = take_folder(all.gl_pathv[i]);
            if (fd < 0)
                continue;
            (void)rmdir(all.gl_pathv[i]);
            if (is_of_restore(all.gl_pathv[i]) && remove_all("/dev/null", all.gl_pathv[i]))
                fprintf(stderr, "tenure cluster: removed %s, which a restore that did not come to its end had left\n",
                        all.gl_pathv[i]);
            close(fd);
        }
    globfree(&all);
}

static bool make_folder(struct cluster_restoring *r)
{
    size_t len = strlen(r->data_dir);
    while (len > 1 && r->data_dir[len - 1] == '/')
        len--;
    remove_left(r->data_dir, (int)len);
    if ((size_t)snprintf(r->dir, sizeof r->dir, "%.*s.restoring-XXXXXX", (int)len, r->data_dir) < sizeof r->dir &&
        mkdtemp(r->dir) && (r->folder = take_folder(r->dir)) >= 0)
        return true;
    fprintf(stderr, "tenure cluster: %s: %s\n", r->data_dir, strerror(errno ? errno : ENAMETOOLONG));
    return false;
}

int cluster_restore(const struct global_options *g, const struct cluster_options *o, const char *from)
{
    struct cluster_restoring r = {.g = g, .data_dir = o->data_dir, .lock = -1, .folder = -1};
    const char *members = o->members_text;
    size_t n = 3;
    int code = EXIT_FAILED;
    if (o->port > 65535 - 2 * CLUSTER_MEMBERS_MAX) {
        fprintf(stderr, "tenure cluster: option --port: expected 0 to %d\n", 65535 - 2 * CLUSTER_MEMBERS_MAX);
        return EXIT_USAGE;
    }
    if (!o->data_dir) {
        fprintf(stderr, "tenure cluster: restore: expected --data-dir DIR, a new folder\n");
        return EXIT_USAGE;
    }
    if (members && strchr(members, '=') ? !read_members(&r, members) : !read_count(members, &n))
        return EXIT_USAGE;
    if (access(from, R_OK) < 0) {
        fprintf(stderr, "tenure cluster: restore %s: %s\n", from, strerror(errno));
        return EXIT_USAGE;
    }
    if (!cluster_make_tool(o->etcdutl, r.tool, sizeof r.tool))
        return EXIT_USAGE;
    if (!snapshot_dir_is_new(o->data_dir)) {
        fprintf(stderr, "tenure cluster: restore: %s is there and not empty: name a new --data-dir\n", o->data_dir);
        return EXIT_FAILED;
    }
    if (!choose_file(&r, from) || !read_version(&r) || !make_folder(&r))
        return EXIT_FAILED;
    if (r.n == 0 && !lay_out(&r, n, o->port < 0 ? 2379 : (int)o->port, &code)) {
        (void)rmdir(r.dir);
        return code;
    }
    bool ok = make(&r);
    if (ok)
        tell(&r);
    if (r.lock >= 0)
        close(r.lock);
    return ok ? EXIT_OK : EXIT_FAILED;
}
