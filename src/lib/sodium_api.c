/* See sodium_api.h. Either all functions are there or the whole is refused with the name of the first that is not; what was
 * loaded stays. */
#include "lib/sodium_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define SODIUM_LIBRARY "libsodium.so.23"

static struct {
    pthread_once_t once;
    struct sodium table;
    struct tenure_error why; /* code 0: the table is complete */
} the = {.once = PTHREAD_ONCE_INIT};

static void *find(void *library, const char *name)
{
    void *function = the.why.code ? NULL : dlsym(library, name);
    if (!function && !the.why.code)
        error_set(&the.why, TENURE_EUNAVAILABLE, "the libsodium on this machine is too old: it has no %s", name);
    return function;
}

/* POSIX: a pointer to a function and one to an object have one form. */
static void set(void *member, void *function)
{
    memcpy(member, &function, sizeof function);
}

static void load(void)
{
    void *library = dlopen(SODIUM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        error_set(&the.why, TENURE_EUNAVAILABLE, "sealed values need libsodium (Debian's package libsodium23): %s",
                  dlerror());
        return;
    }
#define FROM_SODIUM(name) set(&the.table.name, find(library, #name));
    SODIUM_FUNCTIONS(FROM_SODIUM)
    if (the.why.code == 0 && the.table.sodium_init() < 0)
        error_set(&the.why, TENURE_EUNAVAILABLE, "libsodium finds no random numbers on this machine");
}

const struct sodium *sodium_load(struct tenure_error *err)
{
    pthread_once(&the.once, load);
    if (the.why.code == 0)
        return &the.table;
    error_set(err, the.why.code, "%s", the.why.text);
    return NULL;
}
