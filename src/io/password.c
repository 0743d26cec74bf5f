/* See password.h. Declared by hand rather than by <crypt.h>: what is loaded by name needs no header, and libcrypt is not
 * linked. Its memory holds what was computed of the password, and is wiped.
 */
#include "io/password.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CRYPT_LIBRARY "libcrypt.so.1"
#define CRYPT_MEMORY  32768 /* sizeof (struct crypt_data), part of its ABI */
#define SALT_BYTES    16
#define HASH_MAX      128

static struct {
    pthread_once_t once;
    char *(*crypt_rn)(const char *phrase, const char *setting, void *data, int size);
    char *(*crypt_gensalt_rn)(const char *prefix, unsigned long count, const char *random, int n_random, char *out,
                              int size);
    struct tenure_error why;
} the = {.once = PTHREAD_ONCE_INIT};

/* POSIX: a pointer to a function and one to an object have one form. */
static void find(void *library, const char *name, void *member)
{
    void *function = dlsym(library, name);
    if (function)
        memcpy(member, &function, sizeof function);
    else if (!the.why.code)
        error_set(&the.why, TENURE_EUNAVAILABLE, "%s has no %s", CRYPT_LIBRARY, name);
}

static void load(void)
{
    void *library = dlopen(CRYPT_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        error_set(&the.why, TENURE_EUNAVAILABLE, "passwords need libcrypt (Debian's package libcrypt1): %s", dlerror());
        return;
    }
    find(library, "crypt_rn", &the.crypt_rn);
    find(library, "crypt_gensalt_rn", &the.crypt_gensalt_rn);
}

static int loaded(struct tenure_error *err)
{
    pthread_once(&the.once, load);
    return the.why.code ? error_set(err, the.why.code, "%s", the.why.text) : 0;
}

/* Computes what `setting` (a salt, or a whole hash) makes of the password. */
static int compute(const char *password, const char *setting, char *out, size_t size, struct tenure_error *err)
{
    char *memory = calloc(1, CRYPT_MEMORY);
    if (!memory)
        return error_set(err, TENURE_ENOMEM, "password: out of memory");
    const char *made = the.crypt_rn(password, setting, memory, CRYPT_MEMORY);
    size_t len = made && made[0] != '*' ? strlen(made) : 0;
    if (len > 0 && len < size)
        memcpy(out, made, len + 1);
    explicit_bzero(memory, CRYPT_MEMORY);
    free(memory);
    return len > 0 && len < size ? 0 : error_set(err, TENURE_EIO, "libcrypt cannot make such a hash");
}

int password_hash(const char *password, unsigned cost, char *out, size_t size, struct tenure_error *err)
{
    char random[SALT_BYTES], salt[HASH_MAX];
    int rc = loaded(err);
    if (rc)
        return rc;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set(err, TENURE_EIO, "no random numbers from the system");
    if (!the.crypt_gensalt_rn("$2a$", cost, random, sizeof random, salt, sizeof salt))
        return error_set(err, TENURE_EIO, "libcrypt makes no bcrypt hash of cost %u", cost);
    return compute(password, salt, out, size, err);
}

static bool same(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char differ = 0;
    if (n != strlen(b))
        return false;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[i]); /* no part of it can be told from the time */
    return differ == 0;
}

int password_check(const char *password, const char *hash, struct tenure_error *err)
{
    char made[HASH_MAX];
    int rc = loaded(err);
    if (rc)
        return rc;
    if (strncmp(hash, "$2", 2) != 0 || compute(password, hash, made, sizeof made, err) != 0)
        return 0; /* not a hash that anything fits */
    rc = same(made, hash);
    explicit_bzero(made, sizeof made);
    return rc;
}
