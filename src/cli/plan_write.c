/* The files of a plan: for each host DIR/hosts/NAME with etcd's config file and its unit, for clients DIR/client with their environment,
 * and DIR/README.md with the steps. All of them are made anew by each run, and written where they differ. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/paths.h"
#include "cli/plan.h"
#include "cli/shell.h"
#include "io/atomic_file.h"

enum { PLACE_BYTES = PLAN_PATH_BYTES + 256, URL_BYTES = PLAN_HOST_BYTES + 32 };

bool plan_put_file(const char *path, int mode, const char *text, size_t len)
{
    struct atomic_file f = {0};
    struct tenure_error err = {0};
    bytes data = {(const uint8_t *)text, len};
    if (atomic_file_is(path, (mode_t)mode, data))
        return true;
    paths_make_parents(path);
    int rc = atomic_file_begin(&f, path, (mode_t)mode, data, &err);
    if (rc == 0)
        rc = atomic_file_commit(&f, &err);
    if (rc < 0)
        fprintf(stderr, "tenure cluster: %s: %s\n", path, err.text);
    atomic_file_fini(&f);
    return rc == 0;
}

/* A text that is written in pieces, then put as a whole. */
struct sheet {
    FILE *f;
    char *text;
    size_t len;
};

static bool begin(struct sheet *s)
{
    *s = (struct sheet){0};
    s->f = open_memstream(&s->text, &s->len);
    if (!s->f)
        fprintf(stderr, "tenure cluster: %s\n", strerror(errno));
    return s->f != NULL;
}

static bool put(struct sheet *s, int mode, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool put(struct sheet *s, int mode, const char *format, ...)
{
    char path[PLACE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    bool ok = fclose(s->f) == 0 && plan_put_file(path, mode, s->text, s->len);
    free(s->text);
    return ok;
}

/* ---- a member ---- */

static void print_security(FILE *f, const char *whose, const char *config, const char *name)
{
    fprintf(f,
            "%s-transport-security:\n"
            "  cert-file: \"%s/%s.crt\"\n"
            "  key-file: \"%s/%s.key\"\n"
            "  trusted-ca-file: \"%s/ca.crt\"\n"
            "  client-cert-auth: true\n",
            whose, config, name, config, name, config);
}

/* etcd listens on addresses only; programs on its own host find it under 127.0.0.1 as well. */
static void print_addresses(FILE *f, const struct plan *p, const struct plan_member *m)
{
    const char *scheme = p->is_insecure ? "http" : "https";
    char client[URL_BYTES], peer[URL_BYTES];
    bool is_number = strchr(m->host, ':') || strspn(m->host, "0123456789.") == strlen(m->host);
    plan_url(p, m, false, client, sizeof client);
    plan_url(p, m, true, peer, sizeof peer);
    if (!is_number)
        fprintf(f,
                "listen-client-urls: \"%s://0.0.0.0:%d\"\n"
                "listen-peer-urls: \"%s://0.0.0.0:%d\"\n",
                scheme, p->port, scheme, p->port + 1);
    else if (plan_is_loopback(m->host))
        fprintf(f, "listen-client-urls: \"%s\"\nlisten-peer-urls: \"%s\"\n", client, peer);
    else
        fprintf(f, "listen-client-urls: \"%s,%s://127.0.0.1:%d\"\nlisten-peer-urls: \"%s\"\n", client, scheme, p->port,
                peer);
    fprintf(f, "advertise-client-urls: \"%s\"\ninitial-advertise-peer-urls: \"%s\"\n", client, peer);
}

static bool write_config(const struct plan *p, const struct plan_member *m, const char *data, const char *config)
{
    struct sheet s;
    if (!begin(&s))
        return false;
    fprintf(
        s.f,
        "# Member %s, by `tenure cluster plan`; for etcd 3.4 and later. What begins with \"initial\" counts at its first start only.\n"
        "name: \"%s\"\ndata-dir: \"%s\"\n\n",
        m->name, m->name, data);
    print_addresses(s.f, p, m);
    fprintf(s.f,
            "initial-cluster: \"%s\"\ninitial-cluster-token: \"%s\"\ninitial-cluster-state: \"%s\"\n\n"
            "# Old revisions are dropped after a day, or the file would grow until nothing can be written.\n"
            "auto-compaction-mode: \"periodic\"\nauto-compaction-retention: \"24h\"\n\n"
            "logger: \"zap\"\nlog-level: \"info\"\nlog-outputs: [\"stderr\"]\n",
            m->initial, p->token, m->joins ? "existing" : "new");
    if (!p->is_insecure) {
        fprintf(s.f, "\n");
        print_security(s.f, "client", config, "server");
        print_security(s.f, "peer", config, "peer");
    }
    return put(&s, 0644, "%s/hosts/%s/etcd.yaml", p->dir, m->name);
}

static bool write_unit(const struct plan *p, const struct plan_member *m, const char *data, const char *config)
{
    static const char var_lib[] = "/var/lib/";
    struct sheet s;
    if (!begin(&s))
        return false;
    fprintf(s.f,
            "[Unit]\nDescription=etcd, member %s\nDocumentation=https://etcd.io/docs/\n"
            "After=network-online.target\nWants=network-online.target\n\n"
            "[Service]\nType=notify\nUser=etcd\nGroup=etcd\nExecStart=%s --config-file %s/etcd.yaml\n"
            "Restart=on-failure\nRestartSec=2\n"
            "# It is ready when it has read its data and found the others, which takes as long as it takes.\n"
            "TimeoutStartSec=infinity\nLimitNOFILE=65536\nOOMScoreAdjust=-900\n"
            "# Who syncs late loses the leadership.\nIOSchedulingClass=best-effort\nIOSchedulingPriority=0\n\n",
            m->name, p->etcd, config);
    if (strncmp(data, var_lib, sizeof var_lib - 1) == 0)
        fprintf(s.f, "StateDirectory=%s\nStateDirectoryMode=0700\n", data + sizeof var_lib - 1);
    else
        fprintf(s.f, "ReadWritePaths=%s\n", data);
    fprintf(s.f,
            "UMask=0077\nNoNewPrivileges=yes\nCapabilityBoundingSet=\nAmbientCapabilities=\nProtectSystem=strict\n"
            "ProtectHome=read-only\nPrivateTmp=yes\nPrivateDevices=yes\nProtectClock=yes\nProtectHostname=yes\n"
            "ProtectKernelLogs=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\n"
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\nRestrictNamespaces=yes\n"
            "RestrictRealtime=yes\nRestrictSUIDSGID=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n"
            "SystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n\n"
            "[Install]\nWantedBy=multi-user.target\n");
    return put(&s, 0644, "%s/hosts/%s/etcd.service", p->dir, m->name);
}

/* ---- clients ---- */

static void print_variable(FILE *f, const struct plan *p, const char *name, const char *file)
{
    char path[PLACE_BYTES];
    snprintf(path, sizeof path, "%s/client/%s", p->dir, file);
    fprintf(f, "%s=", name);
    shell_print_word(f, path);
    fprintf(f, "\n");
}

static void print_endpoints(FILE *f, const struct plan *p, const char *name)
{
    fprintf(f, "%s=", name);
    for (size_t i = 0; i < p->n; i++) {
        char url[URL_BYTES];
        plan_url(p, &p->members[i], false, url, sizeof url);
        fprintf(f, "%s%s", i ? "," : "", url);
    }
    fprintf(f, "\n");
}

static bool write_environment(const struct plan *p)
{
    struct sheet s;
    if (!begin(&s))
        return false;
    fprintf(s.f, "# For clients: `set -a; . %s/client/tenure.env; set +a`, or systemd's EnvironmentFile=.\n", p->dir);
    print_endpoints(s.f, p, "TENURE_ENDPOINTS");
    if (!p->is_insecure) {
        print_variable(s.f, p, "TENURE_CACERT", "ca.crt");
        print_variable(s.f, p, "TENURE_CERT", "client.crt");
        print_variable(s.f, p, "TENURE_KEY", "client.key");
    }
    fprintf(s.f, "ETCDCTL_API=3\n");
    print_endpoints(s.f, p, "ETCDCTL_ENDPOINTS");
    if (!p->is_insecure) {
        print_variable(s.f, p, "ETCDCTL_CACERT", "ca.crt");
        print_variable(s.f, p, "ETCDCTL_CERT", "client.crt");
        print_variable(s.f, p, "ETCDCTL_KEY", "client.key");
    }
    return put(&s, 0644, "%s/client/tenure.env", p->dir);
}

/* ---- the steps ---- */

static void print_copy(FILE *f, const struct plan *p, const struct plan_member *m, const char *config)
{
    fprintf(f, "    tar -C ");
    shell_print_word(f, p->dir);
    fprintf(f,
            "/hosts/%s -c . | ssh root@%s 'install -d -m 700 %s && tar -x -C %s -f - &&\n"
            "        chown -R etcd:etcd %s && mv %s/etcd.service /etc/systemd/system/ && systemctl daemon-reload'\n",
            m->name, m->host, config, config, config, config);
}

static void print_copies(FILE *f, const struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        char config[PLAN_PATH_BYTES];
        if (plan_expand(p->config_dir, &p->members[i], config, sizeof config))
            print_copy(f, p, &p->members[i], config);
    }
}

static void print_starts(FILE *f, const struct plan *p)
{
    fprintf(f, "## 2. Start those who are there first, all at once: each waits for the others\n\n");
    for (size_t i = 0; i < p->n; i++)
        if (!p->members[i].joins)
            fprintf(f, "    ssh root@%s systemctl enable --now --no-block etcd\n", p->members[i].host);
    fprintf(f, "\n## 3. Use it\n\n    set -a; . ");
    shell_print_word(f, p->dir);
    fprintf(f, "/client/tenure.env; set +a\n    tenure cluster status\n\n");
}

static void print_joins(FILE *f, const struct plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_member *m = &p->members[i];
        char url[URL_BYTES];
        if (!m->joins)
            continue;
        if (n++ == 0)
            fprintf(
                f,
                "## 4. Those who join, one after the other: the first command waits until the second has started it\n\n");
        plan_url(p, m, true, url, sizeof url);
        fprintf(
            f,
            "    tenure cluster add --name %s --peer-urls %s\n    ssh root@%s systemctl enable --now --no-block etcd\n",
            m->name, url, m->host);
    }
    fprintf(f, n ? "\n" : "");
}

static bool write_steps(const struct plan *p)
{
    struct sheet s;
    if (!begin(&s))
        return false;
    fprintf(
        s.f,
        "# A cluster of %zu, planned by `tenure cluster plan`\n\n"
        "hosts/NAME goes to that host, client/ to those who use the cluster%s.\n"
        "Running the plan again keeps what is good, makes what has changed or runs out within %d days, and says who joins.\n\n"
        "## 1. Each host has etcd (%s, user etcd; Debian: apt install etcd-server, systemctl disable --now etcd), and its files\n\n",
        p->n,
        p->is_insecure ? ""
        : p->ca_key[0] ? ""
                       : ", and ca/ to nobody: ca.key signs whatever it is asked to",
        PLAN_SPARE_DAYS, p->etcd);
    print_copies(s.f, p);
    fprintf(s.f, "\n");
    print_starts(s.f, p);
    print_joins(s.f, p);
    if (!p->is_insecure) {
        fprintf(s.f, "## Later: certificates run out\n\n    tenure cluster certs ");
        shell_print_word(s.f, p->dir);
        fprintf(s.f, "            # says when\n    tenure cluster certs ");
        shell_print_word(s.f, p->dir);
        fprintf(s.f, " --renew    # all anew; then copy as in step 1: etcd reads them with each connection\n");
    }
    return put(&s, 0644, "%s/README.md", p->dir);
}

bool plan_write(const struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_member *m = &p->members[i];
        char data[PLAN_PATH_BYTES], config[PLAN_PATH_BYTES];
        if (!plan_expand(p->data_dir, m, data, sizeof data) || !plan_expand(p->config_dir, m, config, sizeof config)) {
            fprintf(stderr, "tenure cluster: the folders of %s are too long\n", m->name);
            return false;
        }
        if (!write_config(p, m, data, config) || !write_unit(p, m, data, config))
            return false;
    }
    return write_environment(p) && write_steps(p);
}
