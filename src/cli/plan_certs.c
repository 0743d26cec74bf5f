/* The certificates of a plan: DIR/ca signs those of DIR/hosts/NAME and DIR/client, unless the user has an authority of his own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/plan.h"
#include "io/authority.h"

#define CA_DAYS      3650
#define CA_BYTES_MAX (256 * 1024)
#define CA_NAME      "tenure cluster authority"
#define CLIENT_NAME  "client"

static bool failed(const struct tenure_error *err)
{
    fprintf(stderr, "tenure cluster: %s\n", err->text);
    return false;
}

void plan_ca_file(const struct plan *p, char *out, size_t size)
{
    snprintf(out, size, p->ca_cert[0] ? "%s" : "%s/ca/ca.crt", p->ca_cert[0] ? p->ca_cert : p->dir);
}

size_t plan_certificates(struct plan *p, struct plan_certificate out[PLAN_CERTIFICATES_MAX])
{
    static const char *const of[] = {"server", "peer"};
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < 2; k++) {
            struct plan_certificate *c = &out[n++];
            *c = (struct plan_certificate){.member = &p->members[i], .of = of[k]};
            snprintf(c->cert_file, sizeof c->cert_file, "%s/hosts/%s/%s.crt", p->dir, p->members[i].name, of[k]);
            snprintf(c->key_file, sizeof c->key_file, "%s/hosts/%s/%s.key", p->dir, p->members[i].name, of[k]);
        }
    struct plan_certificate *c = &out[n++];
    *c = (struct plan_certificate){.of = "client"};
    snprintf(c->cert_file, sizeof c->cert_file, "%s/client/client.crt", p->dir);
    snprintf(c->key_file, sizeof c->key_file, "%s/client/client.key", p->dir);
    return n;
}

/* A server's is good for its own host's programs too. A peer's is compared with the address that it comes from, which is this one
 * where all are on one machine. etcd shows its server certificate to itself, as its gateway's client. */
static size_t hosts_of(const struct plan_certificate *c, const char *hosts[PLAN_HOSTS_MAX])
{
    size_t n = 0;
    if (!c->member)
        return 0;
    hosts[n++] = c->member->host;
    if (strcmp(c->of, "server") == 0) {
        hosts[n++] = "localhost";
        hosts[n++] = "127.0.0.1";
        hosts[n++] = "::1";
    } else if (plan_is_loopback(c->member->host)) {
        hosts[n++] = "127.0.0.1";
    }
    return n;
}

static bool make_one(const struct io_authority *a, const struct plan_certificate *c, unsigned days, bool anew,
                     bool *ret_made)
{
    const char *hosts[PLAN_HOSTS_MAX];
    struct tenure_error err = {0};
    struct io_certificate wanted = {.cert_file = c->cert_file,
                                    .key_file = c->key_file,
                                    .name = c->member ? c->member->name : CLIENT_NAME,
                                    .hosts = hosts,
                                    .n_hosts = hosts_of(c, hosts),
                                    .uses = IO_CERTIFICATE_CLIENT | (c->member ? IO_CERTIFICATE_SERVER : 0),
                                    .days = days};
    *ret_made = anew || !io_authority_check(a, &wanted, PLAN_SPARE_DAYS < days ? PLAN_SPARE_DAYS : 0);
    if (!*ret_made)
        return true;
    return io_authority_issue(a, &wanted, &err) == 0 || failed(&err);
}

/* ---- the authority ---- */

static bool open_authority(const struct plan *p, struct io_authority **ret)
{
    char cert[PLAN_PATH_BYTES + 32], key[PLAN_PATH_BYTES + 32];
    struct tenure_error err = {0};
    bool made;
    plan_ca_file(p, cert, sizeof cert);
    if (p->ca_cert[0])
        return io_authority_open(cert, p->ca_key, ret, &err) == 0 || failed(&err);
    snprintf(key, sizeof key, "%s/ca/ca.key", p->dir);
    return (io_authority_make(cert, key, CA_NAME, CA_DAYS, &made, &err) == 0 &&
            io_authority_open(cert, key, ret, &err) == 0) ||
           failed(&err);
}

bool plan_check_authority(const struct plan *p)
{
    struct io_authority *a = NULL;
    struct tenure_error err = {0};
    if (io_authority_open(p->ca_cert, p->ca_key, &a, &err) < 0)
        return failed(&err);
    io_authority_close(a);
    return true;
}

/* What the others are checked by; it may hold more than the one that signs. */
static bool copy_ca(const struct plan *p)
{
    char from[PLAN_PATH_BYTES + 32], to[PLAN_PATH_BYTES + 128];
    char *text = malloc(CA_BYTES_MAX);
    plan_ca_file(p, from, sizeof from);
    FILE *f = fopen(from, "re");
    size_t len = f && text ? fread(text, 1, CA_BYTES_MAX, f) : 0;
    bool ok = len > 0 && len < CA_BYTES_MAX;
    if (f)
        fclose(f);
    if (!ok)
        fprintf(stderr, "tenure cluster: %s cannot be read\n", from);
    for (size_t i = 0; ok && i <= p->n; i++) {
        if (i < p->n)
            snprintf(to, sizeof to, "%s/hosts/%s/ca.crt", p->dir, p->members[i].name);
        else
            snprintf(to, sizeof to, "%s/client/ca.crt", p->dir);
        ok = plan_put_file(to, 0644, text, len);
    }
    free(text);
    return ok;
}

bool plan_make_certificates(struct plan *p, unsigned days, bool anew, size_t *ret_made)
{
    struct plan_certificate *all = calloc(PLAN_CERTIFICATES_MAX, sizeof *all);
    struct io_authority *a = NULL;
    bool ok = all && open_authority(p, &a);
    size_t n = ok ? plan_certificates(p, all) : 0;
    *ret_made = 0;
    for (size_t i = 0; ok && i < n; i++) {
        bool made = false;
        ok = make_one(a, &all[i], days, anew, &made);
        *ret_made += made;
        if (all[i].member)
            all[i].member->n_made += made;
    }
    io_authority_close(a);
    free(all);
    return ok && copy_ca(p);
}
