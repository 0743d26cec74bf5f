/* Templates: whatever text, over whatever data. The first byte chooses the escaping, up to the first 0 goes the template, behind it the
 * data as JSON (none: one that has a bit of everything). A template that is its own partial must come to an end too. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli/template.h"

static bytes self;

static int load(void *user, const char *name, struct buf *ret, struct tenure_error *err)
{
    (void)user;
    if (strcmp(name, "self") != 0)
        return error_set(err, TENURE_ENOTFOUND, "none");
    buf_append_bytes(ret, self);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char some[] =
        "{\"a\":\"1\",\"o\":{\"x\":\"<\\\"'>\",\"y\":{\"z\":\"\"}},\"l\":[1,{\"a\":2.5},[true,null]],"
        "\"j\":\"{\\\"k\\\":[1]}\",\"f\":\"no\"}";
    struct tenure_error err;
    struct buf out;
    if (size < 1 || size > 4096)
        return 0;
    struct template_options o = {
        .name = "t", .escape = (enum template_escape)(data[0] & 3), .lenient = data[0] & 4, .load = load};
    const uint8_t *zero = memchr(data + 1, 0, size - 1);
    size_t len = zero ? (size_t)(zero - data - 1) : size - 1;
    json_t *json = zero ? json_loadb((const char *)zero + 1, size - len - 2, 0, NULL) : json_loads(some, 0, NULL);
    if (!json)
        return 0;
    self = bytes_of(data + 1, len);
    buf_init(&out);
    out.len_max = 1 << 16;
    if (template_render(self, json, &o, &out, &err) < 0 && err.code == 0)
        __builtin_trap();
    buf_fini(&out);
    json_decref(json);
    return 0;
}
