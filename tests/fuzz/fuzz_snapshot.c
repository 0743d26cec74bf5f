/* snapshot/import and snapshot/status over any bytes that may be a bbolt file. Metas are sealed first, so that the fuzzer gets
 * behind their sums. What an import hands out is in order, whatever the file. */
#include <stdlib.h>

#include "snapshot/import.h"
#include "snapshot/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int on_row(void *user, const struct record *r, struct tenure_error *err)
{
    tn_seq *last = user;
    (void)err;
    if (r->seq <= *last)
        abort();
    *last = r->seq;
    return 0;
}

static void seal(uint8_t *file, size_t len, size_t at)
{
    if (len >= at + BOLT_PAGE_HEADER + BOLT_META_SIZE) {
        uint8_t *meta = file + at + BOLT_PAGE_HEADER;
        bolt_put32(meta + BOLT_META_MAGIC, BOLT_MAGIC);
        bolt_put64(meta + BOLT_META_CHECKSUM, bolt_meta_sum(meta));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *file = malloc(len ? len : 1);
    struct bolt_file f;
    struct tenure_error err;
    if (!file)
        return 0;
    if (len)
        memcpy(file, data, len);
    seal(file, len, 0);
    seal(file, len, BOLT_PAGE_SIZE);
    if (bolt_open(&f, bytes_of(file, len), &err) == 0) {
        struct snapshot_import_options options = {.cluster_id = 1, .member_id = 2, .bump = data[0] % 3};
        struct snapshot_summary summary;
        struct snapshot_status status;
        tn_seq last = 0;
        (void)!snapshot_import(&f, &options, on_row, &last, &summary, &err);
        (void)!snapshot_status(&f, &status, &err);
    }
    free(file);
    return 0;
}
