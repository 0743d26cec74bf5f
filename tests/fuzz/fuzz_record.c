/* Records of the federation of any bytes: those of mirrors and of homes. What is one is written and read again the same. */
#include <string.h>

#include "mirror/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void again(const struct record *r, bytes to)
{
    struct record back;
    struct buf b;
    buf_init(&b);
    record_format(r, to, to, &b);
    if (record_parse(buf_bytes(&b), &back) || back.writer != r->writer || back.part != r->part ||
        back.n_leases != r->n_leases || back.copied != r->copied)
        __builtin_trap();
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct record r;
    struct home h;
    struct buf to;
    buf_init(&to);
    bool named = record_destination(bytes_of(data, len), &to);
    if (record_parse(bytes_of(data, len), &r) == 0)
        again(&r, named ? buf_bytes(&to) : bytes_str("/"));
    if (home_parse(bytes_of(data, len), &h) == 0 && !home_region_is_good(bytes_str(h.region)))
        __builtin_trap();
    buf_fini(&to);
    return 0;
}
