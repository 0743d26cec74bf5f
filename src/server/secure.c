/* The server's certificates. Their files are looked at when a connection comes, at most once a second, and read again when
 * one has changed; SIGHUP reads them in any case. New connections get what was read last; those that are there go on with
 * what they began with. Files that cannot be read, or do not fit together yet because only one of them was replaced, are said
 * in the log and change nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/internal.h"

static int read_files(struct server *s, struct tenure_error *err)
{
    struct io_tls *fresh;
    io_tls_look(&s->config.tls, &s->tls_files);
    int rc = io_tls_new(&s->config.tls, &fresh, err);
    if (rc < 0)
        return rc;
    io_tls_unref(s->tls);
    s->tls = fresh;
    return 0;
}

/* ---- a certificate of our own ---- */

static char *in_data_dir(const struct server *s, const char *name)
{
    char *path;
    return asprintf(&path, "%s/fixtures/client/%s", s->config.data_dir, name) < 0 ? NULL : path;
}

/* Where etcd keeps its own, so that what points clients to it goes on working. The two paths live as long as the server. */
static int self_sign(struct server *s, const char *const *hosts, size_t n_hosts, struct tenure_error *err)
{
    bool made;
    unsigned years = s->config.self_signed_years ? s->config.self_signed_years : 1;
    if (!s->self_cert)
        s->self_cert = in_data_dir(s, "cert.pem");
    if (!s->self_key)
        s->self_key = in_data_dir(s, "key.pem");
    if (!s->self_cert || !s->self_key)
        return error_set(err, TENURE_ENOMEM, "TLS: out of memory");
    int rc = io_tls_self_signed(s->self_cert, s->self_key, hosts, n_hosts, years, &made, err);
    if (rc < 0)
        return rc;
    s->config.tls.cert_file = s->self_cert;
    s->config.tls.key_file = s->self_key;
    if (made)
        log_write(&s->log, LOG_INFO, "a certificate signed by itself was made", "file=%s years=%u", s->self_cert,
                  years);
    return 0;
}

/* The certificate may have run out meanwhile. */
static int self_sign_again(struct server *s, struct tenure_error *err)
{
    const char *hosts[LISTENERS_MAX];
    size_t n = 0;
    if (!s->self_cert)
        return 0;
    for (size_t i = 0; i < s->n_listeners; i++) {
        const struct io_address *at = io_listener_address(s->listeners[i].listener);
        if (at->tls)
            hosts[n++] = at->kind == IO_ADDRESS_UNIX ? "localhost" : at->host;
    }
    return self_sign(s, hosts, n, err);
}

/* ---- life ---- */

int secure_open(struct server *s, const char *const *hosts, size_t n_hosts, struct tenure_error *err)
{
    struct io_tls_config *k = &s->config.tls;
    int rc = 0;
    k->is_server = true;
    if (s->config.auto_tls && !k->cert_file && !k->key_file)
        rc = self_sign(s, hosts, n_hosts, err);
    else if (!k->cert_file && !k->key_file)
        rc = error_set(err, TENURE_EINVALID,
                       "an https or unixs address needs a certificate: --cert-file and --key-file, or --auto-tls");
    if (rc < 0)
        return rc;
    return read_files(s, err);
}

void secure_reload(struct server *s)
{
    struct tenure_error err;
    char quoted[sizeof err.text];
    if (!s->tls)
        return;
    if (self_sign_again(s, &err) == 0 && read_files(s, &err) == 0)
        log_write(&s->log, LOG_INFO, "certificates were read again", "file=%s", s->config.tls.cert_file);
    else
        log_write(&s->log, LOG_WARN, "certificates cannot be read; the old ones stay in use", "error=%s",
                  log_quote(quoted, sizeof quoted, bytes_str(err.text)));
}

struct io_tls *secure_present(struct server *s, tn_ms now)
{
    if (now >= s->next_tls_check) {
        s->next_tls_check = now + SECURE_MS;
        if (io_tls_look(&s->config.tls, &s->tls_files))
            secure_reload(s);
    }
    return s->tls;
}

void secure_close(struct server *s)
{
    s->tls = io_tls_unref(s->tls);
    free(s->self_cert);
    free(s->self_key);
}
