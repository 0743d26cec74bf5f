/* The members of a cluster on this machine: names and ports, written down before the first member is started. A folder has
 * one layout for good: members and their addresses are in etcd's own data. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cluster.h"
#include "io/atomic_file.h"

#define PORT_MAX 65535

static bool refuse(int *ret_code, int code)
{
    *ret_code = code;
    return false;
}

/* A socket that is bound to 127.0.0.1:port (0 = a free one); -1 when somebody has it. */
static int bind_port(int port, int *ret_port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* connections that are over do not count */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}

bool cluster_port_is_free(int port)
{
    int had, fd = bind_port(port, &had);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* All are held until the last one is known, so that they differ. */
static bool choose_ports(struct cluster_layout *l, int port, int *ret_code)
{
    int held[2 * CLUSTER_MEMBERS_MAX];
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < 2 * l->n; i++) {
        struct cluster_member *m = &l->members[i / 2];
        int wanted = port ? port + (int)i : 0;
        held[n] = bind_port(wanted, i % 2 ? &m->peer_port : &m->client_port);
        ok = held[n] >= 0;
        if (ok)
            n++;
        else
            fprintf(stderr,
                    "tenure cluster: port %d of 127.0.0.1 cannot be had: %s\n"
                    "choose others by --port FIRST, or by --port 0 any that are free\n",
                    wanted, strerror(errno));
    }
    while (n > 0)
        close(held[--n]);
    return ok || refuse(ret_code, EXIT_FAILED);
}

/* ---- the file ---- */

static json_t *to_json(const struct cluster_layout *l)
{
    json_t *list = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const struct cluster_member *m = &l->members[i];
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(m->name));
        json_object_set_new(o, "client_port", json_integer(m->client_port));
        json_object_set_new(o, "peer_port", json_integer(m->peer_port));
        if (m->is_removed)
            json_object_set_new(o, "removed", json_true());
        json_array_append_new(list, o);
    }
    json_t *all = json_object();
    json_object_set_new(all, "members", list);
    return all;
}

static bool is_port(json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= PORT_MAX;
}

static bool member_from_json(struct cluster_member *m, json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    json_t *client = json_object_get(o, "client_port"), *peer = json_object_get(o, "peer_port");
    if (!name || !name[0] || strlen(name) >= sizeof m->name || strpbrk(name, "/=,") || !is_port(client) ||
        !is_port(peer))
        return false;
    snprintf(m->name, sizeof m->name, "%s", name);
    m->client_port = (int)json_integer_value(client);
    m->peer_port = (int)json_integer_value(peer);
    m->is_removed = json_is_true(json_object_get(o, "removed"));
    return true;
}

static bool from_json(struct cluster_layout *l, json_t *all)
{
    json_t *list = json_object_get(all, "members");
    size_t n = json_array_size(list);
    if (n == 0 || n > CLUSTER_MEMBERS_MAX)
        return false;
    for (l->n = 0; l->n < n; l->n++)
        if (!member_from_json(&l->members[l->n], json_array_get(list, l->n)))
            return false;
    return true;
}

/* 1 = read; 0 = there is none; -1 after having said what is wrong. */
static int read_layout(struct cluster_layout *l, const char *path)
{
    json_error_t why;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    bool ok = all && from_json(l, all);
    if (!all)
        fprintf(stderr, "tenure cluster: %s: line %d: %s\n", path, why.line, why.text);
    else if (!ok)
        fprintf(stderr,
                "tenure cluster: %s: expected \"members\", 1 to %d objects with name, client_port and peer_port\n",
                path, CLUSTER_MEMBERS_MAX);
    json_decref(all);
    return ok ? 1 : -1;
}

bool cluster_layout_save(const struct cluster_layout *l)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%s/cluster.json", l->dir);
    struct atomic_file f = {0};
    struct tenure_error err = {0};
    json_t *all = to_json(l);
    char *text = json_dumps(all, JSON_INDENT(2));
    int rc = text ? atomic_file_begin(&f, path, 0600, (bytes){(const uint8_t *)text, strlen(text)}, &err)
                  : error_set(&err, TENURE_ENOMEM, "out of memory");
    if (rc == 0)
        rc = atomic_file_commit(&f, &err);
    if (rc < 0)
        fprintf(stderr, "tenure cluster: %s: %s\n", path, err.text);
    atomic_file_fini(&f);
    free(text);
    json_decref(all);
    return rc == 0;
}

/* ---- opening ---- */

static bool make_folder(struct cluster_layout *l, const char *dir)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        fprintf(stderr, "tenure cluster: %s: %s\n", dir, strerror(errno));
        return false;
    }
    char whole[CLUSTER_PATH_MAX];
    if (realpath(dir, whole) && strlen(whole) < CLUSTER_DIR_MAX) {
        memcpy(l->dir, whole, strlen(whole) + 1);
        return true;
    }
    fprintf(stderr, "tenure cluster: %s: %s\n", dir, strerror(errno ? errno : ENAMETOOLONG));
    return false;
}

static bool make_layout(struct cluster_layout *l, size_t n, int port, int *ret_code)
{
    l->n = n ? n : 3;
    for (size_t i = 0; i < l->n; i++)
        snprintf(l->members[i].name, sizeof l->members[i].name, "m%u", (unsigned)(i + 1) % 10);
    if (!choose_ports(l, port, ret_code))
        return false;
    return cluster_layout_save(l) || refuse(ret_code, EXIT_FAILED);
}

static int take_lock(const struct cluster_layout *l)
{
    char path[CLUSTER_PATH_MAX];
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof path, "%s/lock", l->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && fcntl(fd, F_SETLK, &all) == 0)
        return fd;
    fprintf(stderr, "tenure cluster: %s: %s\n", path,
            errno == EACCES || errno == EAGAIN ? "this cluster is being run by another process" : strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* As read_layout; also whether it is what was asked for. */
static int find_layout(struct cluster_layout *l, size_t n)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%s/cluster.json", l->dir);
    int found = read_layout(l, path);
    if (found <= 0 || !n || n == l->n)
        return found;
    fprintf(stderr,
            "tenure cluster: %s holds a cluster of %zu members, not of %zu\n"
            "leave --members out to go on with it, or give another --data-dir\n",
            l->dir, l->n, n);
    return -1;
}

int cluster_layout_open(struct cluster_layout *l, const char *dir, size_t n, int port, int *ret_code)
{
    char path[CLUSTER_PATH_MAX];
    *l = (struct cluster_layout){0};
    *ret_code = EXIT_USAGE;
    if (!make_folder(l, dir))
        return -1;
    snprintf(path, sizeof path, "%s/tenure.db", l->dir);
    if (access(path, F_OK) == 0) {
        fprintf(stderr,
                "tenure cluster: %s is the directory of a `tenure serve`: name another --data-dir\n"
                "what it holds becomes a cluster by: tenure cluster adopt %s --data-dir NEW\n",
                l->dir, l->dir);
        return -1;
    }
    if (find_layout(l, n) < 0) /* what cannot be is said also while it runs */
        return -1;
    int lock = take_lock(l), found = lock < 0 ? -1 : find_layout(l, n); /* what another process made meanwhile counts */
    if (lock < 0)
        *ret_code = EXIT_FAILED;
    if (found > 0 || (found == 0 && make_layout(l, n, port, ret_code)))
        return lock;
    if (lock >= 0)
        close(lock);
    return -1;
}

bool cluster_layout_read(struct cluster_layout *l, const char *dir)
{
    char whole[CLUSTER_PATH_MAX];
    *l = (struct cluster_layout){0};
    if (!realpath(dir, whole) || strlen(whole) >= CLUSTER_DIR_MAX) {
        fprintf(stderr, "tenure cluster: %s: %s\n", dir, strerror(errno ? errno : ENAMETOOLONG));
        return false;
    }
    memcpy(l->dir, whole, strlen(whole) + 1);
    int found = find_layout(l, 0);
    if (found == 0)
        fprintf(stderr, "tenure cluster: %s: `tenure cluster dev` has no cluster there\n", dir);
    return found > 0;
}

/* ---- the program ---- */

bool cluster_layout_use(const struct cluster_layout *l, const char *program)
{
    char path[CLUSTER_PATH_MAX];
    struct atomic_file f = {0};
    struct tenure_error err = {0};
    snprintf(path, sizeof path, "%s/program", l->dir);
    if (!program)
        return unlink(path) == 0 || errno == ENOENT;
    int rc = atomic_file_begin(&f, path, 0600, (bytes){(const uint8_t *)program, strlen(program)}, &err);
    if (rc == 0)
        rc = atomic_file_commit(&f, &err);
    if (rc < 0)
        fprintf(stderr, "tenure cluster: %s: %s\n", path, err.text);
    atomic_file_fini(&f);
    return rc == 0;
}

bool cluster_layout_program(const struct cluster_layout *l, char *out, size_t size)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%s/program", l->dir);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(out, 1, size - 1, f) : 0;
    if (f)
        fclose(f);
    out[n] = 0;
    return n > 0 && access(out, X_OK) == 0;
}

void cluster_layout_endpoints(const struct cluster_layout *l, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < l->n && at < size; i++)
        if (!l->members[i].is_removed)
            at += (size_t)snprintf(out + at, size - at, "%shttp://127.0.0.1:%d", at ? "," : "",
                                   l->members[i].client_port);
}

void cluster_layout_peers(const struct cluster_layout *l, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < l->n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s=http://127.0.0.1:%d", i ? "," : "", l->members[i].name,
                               l->members[i].peer_port);
}
