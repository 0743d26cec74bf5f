/* Certificates of a handle: read when it is opened, so that a wrong path is an error there and not of some later call, and
 * again before a connection is made when their files have changed, as a program that runs for months sees them renewed. */
#include <stdlib.h>
#include <string.h>

#include "lib/handle.h"

static const char *value(const char *given, const char *variable)
{
    const char *text = given ? given : variable ? getenv(variable) : NULL;
    return text && text[0] ? text : NULL;
}

/* A copy that lives as long as the handle. */
static int keep(tenure_client *c, size_t place, const char *text, const char **ret, struct tenure_error *err)
{
    if (text && !(c->secure.texts[place] = strdup(text)))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    *ret = c->secure.texts[place];
    return 0;
}

static int read_files(tenure_client *c, struct tenure_error *err)
{
    struct io_tls *fresh;
    io_tls_look(&c->secure.config, &c->secure.files);
    int rc = io_tls_new(&c->secure.config, &fresh, err);
    if (rc < 0)
        return rc;
    io_tls_unref(c->secure.tls);
    c->secure.tls = fresh;
    return 0;
}

int lib_secure_open(tenure_client *c, const struct tenure_options *o, bool needed, struct tenure_error *err)
{
    struct io_tls_config *k = &c->secure.config;
    bool own = o->cert_file || o->key_file; /* half of a pair is not completed from elsewhere */
    int rc = keep(c, 0, value(o->ca_file, "TENURE_CACERT"), &k->ca_file, err);
    if (rc == 0)
        rc = keep(c, 1, value(o->cert_file, own ? NULL : "TENURE_CERT"), &k->cert_file, err);
    if (rc == 0)
        rc = keep(c, 2, value(o->key_file, own ? NULL : "TENURE_KEY"), &k->key_file, err);
    if (rc == 0)
        rc = keep(c, 3, value(o->server_name ? o->server_name : o->discovery_srv, NULL), &k->server_name, err);
    k->insecure_skip_verify = o->insecure_skip_verify != 0;
    return rc == 0 && needed ? read_files(c, err) : rc;
}

struct io_tls *lib_secure_present(tenure_client *c, struct tenure_error *err)
{
    struct tenure_error ignored;
    if (!c->secure.tls)
        return read_files(c, err) == 0 ? c->secure.tls : NULL;
    if (io_tls_look(&c->secure.config, &c->secure.files) && read_files(c, &ignored) < 0) {
        struct log log = {.sink = c->log ? handle_log_sink : NULL, .user = c};
        log_write(&log, LOG_WARN, "certificates cannot be read; the old ones stay in use", "error=\"%s\"",
                  ignored.text);
    }
    return c->secure.tls;
}

void lib_secure_close(tenure_client *c)
{
    c->secure.tls = io_tls_unref(c->secure.tls);
    for (size_t i = 0; i < ARRAY_LEN(c->secure.texts); i++)
        free(c->secure.texts[i]);
}
