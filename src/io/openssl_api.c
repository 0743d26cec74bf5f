/* Finds each function of the table by its name, once. Either all are there or the whole is refused with the name of the
 * first that is not; a half-filled table is never handed out. What was loaded stays for the life of the process: OpenSSL
 * keeps thread-local data that outlives any one user. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "io/openssl_api.h"

#define SSL_LIBRARY    "libssl.so.3"
#define CRYPTO_LIBRARY "libcrypto.so.3"

static struct {
    pthread_once_t once;
    struct openssl table;
    struct tenure_error why; /* code 0: the table is complete */
    atomic_bool loaded;
} the = {.once = PTHREAD_ONCE_INIT};

static void *open_library(const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        error_set(&the.why, TENURE_EUNAVAILABLE, "TLS needs OpenSSL 3 (Debian's package libssl3): %s", dlerror());
    return library;
}

static void *find(void *library, const char *name)
{
    void *function = the.why.code ? NULL : dlsym(library, name);
    if (!function && !the.why.code)
        error_set(&the.why, TENURE_EUNAVAILABLE, "the OpenSSL on this machine is too old: it has no %s", name);
    return function;
}

/* POSIX: a pointer to a function and one to an object have one form. */
static void set(void *member, void *function)
{
    memcpy(member, &function, sizeof function);
}

static void load(void)
{
    void *crypto = open_library(CRYPTO_LIBRARY);
    void *ssl = crypto ? open_library(SSL_LIBRARY) : NULL;
    if (!ssl)
        return;
#define FROM_SSL(name)    set(&the.table.name, find(ssl, #name));
#define FROM_CRYPTO(name) set(&the.table.name, find(crypto, #name));
    OPENSSL_SSL_FUNCTIONS(FROM_SSL)
    OPENSSL_CRYPTO_FUNCTIONS(FROM_CRYPTO)
    atomic_store(&the.loaded, the.why.code == 0);
}

const struct openssl *openssl_load(struct tenure_error *err)
{
    pthread_once(&the.once, load);
    if (the.why.code == 0)
        return &the.table;
    error_set(err, the.why.code, "%s", the.why.text);
    return NULL;
}

bool openssl_is_loaded(void)
{
    return atomic_load(&the.loaded);
}

const char *openssl_error(void)
{
    unsigned long code = the.table.ERR_peek_last_error();
    const char *text = code ? the.table.ERR_reason_error_string(code) : NULL;
    the.table.ERR_clear_error();
    return text ? text : "unknown error";
}
