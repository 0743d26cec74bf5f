/* A cluster on hosts of its own: who its members are, and the files that each of them, and its clients, need.
 *
 *   plan_members.c  reads the words of --members          plan_certs.c  the authority and what it signs
 *   plan_file.c     DIR/plan.json, what a plan goes on with  plan_write.c  config files, units, environment, steps
 *
 * One thread. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <tenure/error.h>

#include "cli/cluster.h"

enum {
    PLAN_NAME_BYTES = 64,
    PLAN_HOST_BYTES = 256,
    PLAN_PATH_BYTES = 1024,
    PLAN_LIST_BYTES = CLUSTER_MEMBERS_MAX * (PLAN_NAME_BYTES + PLAN_HOST_BYTES + 32),
    PLAN_CERTIFICATES_MAX = 2 * CLUSTER_MEMBERS_MAX + 1,
    PLAN_HOSTS_MAX = 4,
    PLAN_SPARE_DAYS = 30, /* what runs out earlier is made anew */
};

struct plan_member {
    char name[PLAN_NAME_BYTES];
    char host[PLAN_HOST_BYTES];    /* an address or a name */
    bool joins;                    /* a cluster that is there: planned later than the first ones */
    char initial[PLAN_LIST_BYTES]; /* etcd's --initial-cluster, as it was when this one was planned */
    size_t n_made;                 /* certificates, in this run */
};

struct plan {
    char dir[PLAN_PATH_BYTES]; /* absolute */
    char token[40];
    int port;                                                    /* of clients; peers have the next one */
    char etcd[PLAN_PATH_BYTES];                                  /* the program, on the hosts */
    char data_dir[PLAN_PATH_BYTES], config_dir[PLAN_PATH_BYTES]; /* likewise; {name} stands for the member's */
    char ca_cert[PLAN_PATH_BYTES], ca_key[PLAN_PATH_BYTES];      /* the user's; "" = our own */
    bool is_insecure;
    size_t n;
    struct plan_member members[CLUSTER_MEMBERS_MAX];
};

/* ---- plan_members.c ---- */

/* Reads "a=10.0.0.1,b=…" over the members that the plan has: who is there stays as he is, who is not any more goes (which is said).
 * False after having said what is wrong. */
bool plan_read_members(struct plan *p, const char *text);
/* "https://10.0.0.1:2379" */
void plan_url(const struct plan *p, const struct plan_member *m, bool of_peers, char *out, size_t size);
/* The address or name, within a URL. */
const char *plan_url_host(const char *host, char *out, size_t size);
bool plan_is_loopback(const char *host);
/* With {name} and {host} replaced. False when it is too long. */
bool plan_expand(const char *text, const struct plan_member *m, char *out, size_t size);
/* Letters, digits, '.', '_' and '-', none of the last three in front: the name of a member, a file, a word of a shell. */
bool plan_is_name(const char *name);

/* ---- plan_file.c ---- */

/* 1 = there is one and it was read over p; 0 = there is none; -1 after having said what is wrong. */
int plan_load(struct plan *p);
bool plan_save(const struct plan *p);

/* ---- plan_certs.c ---- */

struct plan_certificate {
    struct plan_member *member; /* NULL: of clients */
    const char *of;             /* "server", "peer", "client" */
    char cert_file[PLAN_PATH_BYTES + 64], key_file[PLAN_PATH_BYTES + 64];
};

/* All that the plan has; answers how many. */
size_t plan_certificates(struct plan *p, struct plan_certificate out[PLAN_CERTIFICATES_MAX]);
/* False after having said why certificates cannot be signed by the user's authority. */
bool plan_check_authority(const struct plan *p);
/* Makes the authority where there is none, and each certificate that does not do any more, or (anew) all of them; copies the
 * authority's to whoever is to check by it. False after having said why not. */
bool plan_make_certificates(struct plan *p, unsigned days, bool anew, size_t *ret_made);
void plan_ca_file(const struct plan *p, char *out, size_t size);

/* ---- plan_write.c ---- */

/* False after having said why not. */
bool plan_write(const struct plan *p);
bool plan_put_file(const char *path, int mode, const char *text, size_t len);

#endif
