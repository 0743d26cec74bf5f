/* Certificates in a temporary folder, and contexts from them. */
#ifndef TESTS_UNIT_IO_TLS_FIXTURE_H
#define TESTS_UNIT_IO_TLS_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs.h"
#include "io/tls.h"

static char folder[64];

/* Borrowed until 64 calls later. */
static const char *in_folder(const char *name, const char *end)
{
    static char paths[64][128];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s%s", folder, name, end);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tenure-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    certs_make(folder);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* A server with the certificate of that name. */
static inline struct io_tls_config server_config(const char *name)
{
    return (struct io_tls_config){
        .is_server = true, .cert_file = in_folder(name, ".pem"), .key_file = in_folder(name, ".key")};
}

/* One that wants clients to have a certificate of our authority. */
static inline struct io_tls_config mutual_config(void)
{
    struct io_tls_config k = server_config("server");
    k.client_cert_auth = true;
    k.ca_file = in_folder("ca", ".pem");
    return k;
}

/* A client that trusts our authority, with a certificate of that name or without (NULL). */
static inline struct io_tls_config client_config(const char *name)
{
    struct io_tls_config k = {.ca_file = in_folder("ca", ".pem")};
    if (name) {
        k.cert_file = in_folder(name, ".pem");
        k.key_file = in_folder(name, ".key");
    }
    return k;
}

static inline struct io_tls *context(struct io_tls_config k)
{
    struct io_tls *t = NULL;
    struct tenure_error err = {0};
    if (io_tls_new(&k, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

#endif
