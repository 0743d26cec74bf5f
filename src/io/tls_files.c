/* Whether the files that a context was made from are still the same: by device, number, size and times, which a file that was
 * moved into its place, and one that was written anew, differ in. */
#include <string.h>
#include <sys/stat.h>

#include "base/types.h"
#include "io/tls.h"

#define NS_A_S INT64_C(1000000000)

bool io_tls_look(const struct io_tls_config *k, struct io_tls_stamps *stamps)
{
    const char *const paths[] = {k->cert_file, k->key_file, k->ca_file, k->crl_file};
    struct io_tls_stamps now = {0};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct stat st;
        if (!paths[i] || stat(paths[i], &st) < 0)
            continue;
        now.of[i].dev = (int64_t)st.st_dev;
        now.of[i].ino = (int64_t)st.st_ino;
        now.of[i].size = st.st_size;
        now.of[i].mtime_ns = st.st_mtim.tv_sec * NS_A_S + st.st_mtim.tv_nsec;
        now.of[i].ctime_ns = st.st_ctim.tv_sec * NS_A_S + st.st_ctim.tv_nsec;
    }
    bool changed = memcmp(&now, stamps, sizeof now) != 0;
    *stamps = now;
    return changed;
}
