/* tenure cluster plan|certs: the files of a cluster on hosts of its own.
 *
 * plan.json is written last but for the certificates' sake first of all: it says who the members are, and is what a second run goes on
 * with; every file can be made again from it, so that a run that was interrupted is repeated. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "cli/output.h"
#include "cli/plan.h"
#include "io/tls_expiry.h"

#define DAY_S      (24 * 60 * 60)
#define DAYS       365
#define DAYS_MAX   3650
#define PORT       2379
#define ETCD       "/usr/bin/etcd"
#define DATA_DIR   "/var/lib/etcd/{name}"
#define CONFIG_DIR "/etc/etcd"

/* ---- the words ---- */

/* It stands in a unit, in a config file and in a command for a shell. */
static bool take_path(const char *option, const char *value, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+=@/{}";
    if (!value)
        return true;
    if (value[0] == '/' && strspn(value, plain) == strlen(value) && !strstr(value, "/../") &&
        (size_t)snprintf(out, size, "%s", value) < size)
        return true;
    fprintf(stderr, "tenure cluster: option %s: expected a whole path without blanks and quotes, not '%s'\n", option,
            value);
    return false;
}

static bool take_file(const char *value, char *out)
{
    char whole[CLUSTER_PATH_MAX];
    if (!value)
        return true;
    if (realpath(value, whole) && (size_t)snprintf(out, PLAN_PATH_BYTES, "%s", whole) < PLAN_PATH_BYTES)
        return true;
    fprintf(stderr, "tenure cluster: %s: %s\n", value, strerror(errno ? errno : ENAMETOOLONG));
    return false;
}

static bool take_dir(struct plan *p, const char *dir, bool make)
{
    if (make && mkdir(dir, 0700) < 0 && errno != EEXIST) {
        fprintf(stderr, "tenure cluster: %s: %s\n", dir, strerror(errno));
        return false;
    }
    return take_file(dir, p->dir);
}

/* What a member's data hang on is not changed by running the plan again. */
static bool is_changed(const struct plan *p, const struct plan *was)
{
    const char *what = p->port != was->port                      ? "--port"
                       : p->is_insecure != was->is_insecure      ? "--insecure"
                       : strcmp(p->data_dir, was->data_dir) != 0 ? "--data-dir"
                                                                 : NULL;
    if (what)
        fprintf(
            stderr,
            "tenure cluster: %s is not what %s was planned with: members that serve would not find each other, or their data\n"
            "for a cluster that was never started: remove %s/plan.json, and plan anew\n",
            what, p->dir, p->dir);
    return what != NULL;
}

static bool take_authority(struct plan *p, const struct cluster_options *o)
{
    if (!o->ca_cert != !o->ca_key) {
        fprintf(stderr, "tenure cluster: --ca-cert and --ca-key belong together\n");
        return false;
    }
    if (o->insecure && o->ca_cert) {
        fprintf(stderr, "tenure cluster: expected --insecure or --ca-cert, not both\n");
        return false;
    }
    return take_file(o->ca_cert, p->ca_cert) && take_file(o->ca_key, p->ca_key) &&
           (!o->ca_cert || plan_check_authority(p));
}

static bool take_options(struct plan *p, const struct cluster_options *o, bool is_old)
{
    struct plan *was = malloc(sizeof *was);
    if (!was)
        return false;
    *was = *p;
    if (o->port >= 0)
        p->port = (int)o->port;
    p->is_insecure = p->is_insecure || o->insecure;
    bool ok = take_authority(p, o) && take_path("--etcd", o->etcd, p->etcd, sizeof p->etcd) &&
              take_path("--data-dir", o->data_dir, p->data_dir, sizeof p->data_dir) &&
              take_path("--config-dir", o->config_dir, p->config_dir, sizeof p->config_dir) &&
              (!is_old || !is_changed(p, was));
    free(was);
    if (ok && (p->port < 1 || p->port > 65534)) {
        fprintf(stderr, "tenure cluster: option --port: expected 1 to 65534: clients' port, peers have the next one\n");
        return false;
    }
    return ok;
}

static bool make_token(struct plan *p)
{
    uint64_t any;
    if (p->token[0])
        return true;
    if (getrandom(&any, sizeof any, 0) != (ssize_t)sizeof any) {
        perror("tenure cluster: random numbers");
        return false;
    }
    snprintf(p->token, sizeof p->token, "tenure-%016" PRIx64, any);
    return true;
}

static bool take_members(struct plan *p, const struct cluster_options *o)
{
    if (o->members_text)
        return plan_read_members(p, o->members_text);
    if (p->n == 0)
        fprintf(stderr,
                "tenure cluster: expected --members NAME=ADDRESS,…, such as a=10.0.0.1,b=10.0.0.2,c=10.0.0.3\n");
    return p->n > 0;
}

static void warn(const struct plan *p)
{
    if (p->n % 2 == 0)
        fprintf(stderr, "warning: %zu members bear no more losses than %zu: an odd number is better\n", p->n, p->n - 1);
    else if (p->n == 1)
        fprintf(stderr, "warning: one member bears no loss\n");
    if (p->is_insecure)
        fprintf(stderr, "warning: without TLS anybody who reaches these ports reads and writes everything\n");
}

/* ---- plan ---- */

static void tell(const struct plan *p, const struct global_options *g, size_t made)
{
    static const struct output_column columns[] = {{.path = "name", .heading = "NAME"},
                                                   {.path = "endpoint", .heading = "ENDPOINT"},
                                                   {.path = "joins", .heading = "JOINS"},
                                                   {.path = "certificates_made", .heading = "CERTIFICATES MADE"},
                                                   {0}};
    static const struct output_form form = {.lists = {"members"}, .columns = columns};
    char url[PLAN_HOST_BYTES + 32], steps[PLAN_PATH_BYTES + 32];
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_member *m = &p->members[i];
        json_t *row = json_object();
        plan_url(p, m, false, url, sizeof url);
        json_object_set_new(row, "name", json_string(m->name));
        json_object_set_new(row, "host", json_string(m->host));
        json_object_set_new(row, "endpoint", json_string(url));
        json_object_set_new(row, "joins", json_boolean(m->joins));
        json_object_set_new(row, "certificates_made", json_integer((json_int_t)m->n_made));
        json_array_append_new(list, row);
    }
    snprintf(steps, sizeof steps, "%s/README.md", p->dir);
    json_object_set_new(o, "directory", json_string(p->dir));
    json_object_set_new(o, "steps", json_string(steps));
    json_object_set_new(o, "certificates_made", json_integer((json_int_t)made));
    json_object_set_new(o, "members", list);
    output_print(g, &form, o);
    if (output_is_text(g))
        printf("the steps are in %s\n", steps);
}

static unsigned days_of(const struct cluster_options *o)
{
    if (o->days >= 0 && o->days <= DAYS_MAX)
        return o->days ? (unsigned)o->days : DAYS;
    fprintf(stderr, "tenure cluster: option --days: expected 1 to %d\n", DAYS_MAX);
    return 0;
}

static int plan(struct plan *p, const struct global_options *g, const struct cluster_options *o, const char *dir)
{
    size_t made = 0;
    unsigned days = days_of(o);
    if (!days || !take_dir(p, dir, true))
        return EXIT_USAGE;
    int found = plan_load(p);
    if (found < 0 || !take_options(p, o, found > 0) || !take_members(p, o))
        return EXIT_USAGE;
    warn(p);
    if (!make_token(p) || !plan_save(p) || (!p->is_insecure && !plan_make_certificates(p, days, false, &made)) ||
        !plan_write(p))
        return EXIT_FAILED;
    tell(p, g, made);
    return EXIT_OK;
}

static struct plan *new_plan(void)
{
    struct plan *p = calloc(1, sizeof *p);
    if (!p) {
        fprintf(stderr, "tenure cluster: out of memory\n");
        return NULL;
    }
    p->port = PORT;
    snprintf(p->etcd, sizeof p->etcd, ETCD);
    snprintf(p->data_dir, sizeof p->data_dir, DATA_DIR);
    snprintf(p->config_dir, sizeof p->config_dir, CONFIG_DIR);
    return p;
}

int cluster_plan(const struct global_options *g, const struct cluster_options *o, const char *dir)
{
    struct plan *p = new_plan();
    int code = p ? plan(p, g, o, dir) : EXIT_FAILED;
    free(p);
    return code;
}

/* ---- certs ---- */

/* Days that are left; *ret_is_due: one runs out soon. */
static json_t *certificate_json(const struct plan_certificate *c, bool *ret_is_due)
{
    struct tenure_error err = {0};
    int64_t left_s = 0;
    json_t *o = json_object();
    json_object_set_new(o, "member", json_string(c->member ? c->member->name : ""));
    json_object_set_new(o, "of", json_string(c->of));
    json_object_set_new(o, "file", json_string(c->cert_file));
    if (io_tls_expiry_file(c->cert_file, &left_s, &err) < 0)
        json_object_set_new(o, "error", json_string(err.text));
    else
        json_object_set_new(o, "days_left", json_integer(left_s / DAY_S));
    *ret_is_due = *ret_is_due || left_s < (int64_t)PLAN_SPARE_DAYS * DAY_S;
    return o;
}

static int show(struct plan *p, const struct global_options *g)
{
    static const struct output_column columns[] = {{.path = "member", .heading = "MEMBER"},
                                                   {.path = "of", .heading = "OF"},
                                                   {.path = "days_left", .heading = "DAYS LEFT", .kind = OUTPUT_NUMBER},
                                                   {.path = "file", .heading = "FILE"},
                                                   {.path = "error", .heading = "ERROR", .optional = true},
                                                   {0}};
    static const struct output_form form = {.lists = {"certificates"}, .columns = columns};
    struct plan_certificate *all = calloc(PLAN_CERTIFICATES_MAX + 1, sizeof *all);
    bool is_due = false;
    json_t *o = json_object(), *list = json_array();
    size_t n = all ? plan_certificates(p, all) : 0;
    if (n > 0) {
        all[n] = (struct plan_certificate){.of = "authority"};
        plan_ca_file(p, all[n].cert_file, sizeof all[n].cert_file);
        n++;
    }
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, certificate_json(&all[i], &is_due));
    free(all);
    json_object_set_new(o, "due", json_boolean(is_due));
    json_object_set_new(o, "certificates", list);
    output_print(g, &form, o);
    if (output_is_text(g) && is_due)
        fprintf(stderr, "within %d days one of them has run out\ntry: tenure cluster certs %s --renew\n",
                PLAN_SPARE_DAYS, p->dir);
    return is_due ? EXIT_FAILED : EXIT_OK;
}

static int certs(struct plan *p, const struct global_options *g, const struct cluster_options *o, const char *dir)
{
    size_t made;
    unsigned days = days_of(o);
    if (!days || !take_dir(p, dir, false))
        return EXIT_USAGE;
    int found = plan_load(p);
    if (found == 0)
        fprintf(stderr, "tenure cluster: %s has no plan.json: `tenure cluster plan` makes one\n", p->dir);
    if (found <= 0)
        return EXIT_USAGE;
    if (p->is_insecure) {
        fprintf(stderr, "tenure cluster: %s was planned without TLS\n", p->dir);
        return EXIT_USAGE;
    }
    if (o->renew && !plan_make_certificates(p, days, true, &made))
        return EXIT_FAILED;
    return show(p, g);
}

int cluster_certs(const struct global_options *g, const struct cluster_options *o, const char *dir)
{
    struct plan *p = new_plan();
    int code = p ? certs(p, g, o, dir) : EXIT_FAILED;
    free(p);
    return code;
}
