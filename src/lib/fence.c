/* Fencing in the store and in memory. */
#include <tenure/fence.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/token.h"
#include "lib/fence.h"
#include "lib/handle.h"
#include "recipes/home.h"

#define NAME_MAX_BYTES 1024

int fence_refused(struct tenure_error *err, const char *resource, tenure_token token, tenure_token seen)
{
    return error_set(err, TENURE_EFENCED,
                     "%s: token %" PRId64 " is refused, %" PRId64 " was there: somebody else holds the lock since then",
                     resource, token, seen);
}

int fence_token_check(struct tenure_error *err, const char *resource, tenure_token token)
{
    return token > 0
               ? 0
               : error_set(err, TENURE_EINVALID, "%s: %" PRId64 " is no token: expected 1 or more", resource, token);
}

int tenure_token_parse(struct tenure_bytes text, tenure_token *ret, struct tenure_error *err)
{
    if (ret && text.data && token_parse(bytes_of(text.data, text.len), ret))
        return 0;
    return error_set(err, TENURE_EINVALID, "'%.*s' is no token: expected a number from 1 on",
                     text.data ? (int)(text.len < 40 ? text.len : 40) : 0, text.data ? (const char *)text.data : "");
}

/* ---- the store ---- */

void tenure_if_token(tenure_txn *t, const char *holder_key, tenure_token token)
{
    /* A create revision of 0 would hold where there is no key at all. */
    int64_t create = lib_txn_is_federated(t) ? home_token_revision(token) : token;
    tenure_if_create_revision(t, create > 0 ? tenure_str(holder_key) : (struct tenure_bytes){NULL, 0}, TENURE_EQ,
                              create);
}

/* False: no name, or too long. */
static bool uuid_key(const char *name, char ret[NAME_MAX_BYTES + 32])
{
    ret[0] = 0;
    if (!name || !name[0] || strlen(name) > NAME_MAX_BYTES)
        return false;
    snprintf(ret, NAME_MAX_BYTES + 32, "/leader/%s/fencing-token", name);
    return true;
}

void tenure_if_fencing_token(tenure_txn *t, const char *name, const char *uuid)
{
    char key[NAME_MAX_BYTES + 32];
    bool fine = uuid_key(name, key) && uuid && uuid[0];
    tenure_if_value(t, fine ? tenure_str(key) : (struct tenure_bytes){NULL, 0}, TENURE_EQ, tenure_str(uuid));
}

/* RFC 9562, version 4. */
static int uuid_draw(char ret[TENURE_UUID_SIZE], struct tenure_error *err)
{
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return error_set(err, TENURE_EIO, "fencing token: no random numbers to be had");
    b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    size_t n = 0;
    for (int i = 0; i < 16; i++)
        n += (size_t)snprintf(ret + n, TENURE_UUID_SIZE - n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                              b[i]);
    return 0;
}

int tenure_fence_generate(tenure_client *c, const char *name, const char *holder_key, tenure_token token, int64_t lease,
                          char ret[TENURE_UUID_SIZE], struct tenure_error *err)
{
    struct tenure_error own = {0};
    char key[NAME_MAX_BYTES + 32], uuid[TENURE_UUID_SIZE];
    struct tenure_txn_result *r = NULL;
    err = err ? err : &own;
    if (!c || !ret || !holder_key || !uuid_key(name, key) || lease < 0)
        return error_set(err, TENURE_EINVALID,
                         "fencing token: expected a name, a holder's key and its token and lease");
    int rc = fence_token_check(err, key, token);
    if (rc == 0)
        rc = uuid_draw(uuid, err);
    if (rc < 0)
        return rc;
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_token(t, holder_key, token);
    tenure_then_put(t, tenure_str(key), tenure_str(uuid), lease);
    tenure_txn_exact(t, true);
    rc = tenure_txn_commit(t, 0, &r, err);
    if (rc == 0 && r->outcome == TENURE_TXN_FAILED)
        rc = error_set(err, TENURE_ENOTHELD, "%s does not stand with token %" PRId64 " any more", holder_key, token);
    else if (rc == 0)
        memcpy(ret, uuid, sizeof uuid);
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

int tenure_fence_validate(tenure_client *c, const char *name, const char *uuid, struct tenure_error *err)
{
    struct tenure_error own = {0};
    char key[NAME_MAX_BYTES + 32];
    struct tenure_get_result *r = NULL;
    err = err ? err : &own;
    if (!c || !uuid_key(name, key) || !uuid || !uuid[0])
        return error_set(err, TENURE_EINVALID, "fencing token: expected a name and a token");
    int rc = tenure_get(c, tenure_str(key), NULL, &r, err);
    if (rc == 0 &&
        (r->n_kvs == 0 || r->kvs[0].value.len != strlen(uuid) || memcmp(r->kvs[0].value.data, uuid, strlen(uuid)) != 0))
        rc = error_set(err, TENURE_EFENCED, "%s: %s is not the one that stands there", key, uuid);
    tenure_get_free(r);
    return rc;
}

/* ---- memory ---- */

struct tenure_fence {
    pthread_mutex_t inside;
    _Atomic tenure_token seen;
    char resource[];
};

tenure_fence *tenure_fence_new(const char *resource)
{
    size_t len = resource ? strlen(resource) : 0;
    tenure_fence *f = len ? calloc(1, sizeof *f + len + 1) : NULL;
    if (!f)
        return NULL;
    memcpy(f->resource, resource, len);
    pthread_mutex_init(&f->inside, NULL);
    return f;
}

void tenure_fence_free(tenure_fence *f)
{
    if (!f)
        return;
    pthread_mutex_destroy(&f->inside);
    free(f);
}

int tenure_fence_enter(tenure_fence *f, tenure_token token, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!f)
        return error_set(err, TENURE_EINVALID, "fence: there is none");
    int rc = fence_token_check(err, f->resource, token);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&f->inside);
    if (token < f->seen) {
        rc = fence_refused(err, f->resource, token, f->seen);
        pthread_mutex_unlock(&f->inside);
        return rc;
    }
    f->seen = token;
    return 0;
}

void tenure_fence_leave(tenure_fence *f)
{
    if (f)
        pthread_mutex_unlock(&f->inside);
}

tenure_token tenure_fence_seen(const tenure_fence *f)
{
    return f ? f->seen : 0;
}
