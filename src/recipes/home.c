/* See home.h. */
#include "recipes/home.h"

#include <inttypes.h>

#include "recipes/members.h"
#include "tenure/error.h"

#define TOKEN_REVISION_MAX ((INT64_C(1) << HOME_TOKEN_BITS) - 1)

bool home_region_is_good(bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t b = name.data[i];
        if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '-'))
            return false;
    }
    return name.len > 0 && name.len <= HOME_REGION_MAX;
}

bool home_prefix_is_good(bytes prefix)
{
    return prefix.len > 0 && prefix.data[0] == '/' && prefix.data[prefix.len - 1] == '/' &&
           !memchr(prefix.data, 0, prefix.len);
}

int home_parse(bytes value, struct home *ret)
{
    struct buf region;
    int64_t epoch = 0;
    buf_init(&region);
    bool good = members_is_object(value) && members_int(value, "epoch", &epoch) && epoch >= 1 &&
                epoch <= HOME_EPOCH_MAX && members_text(value, "region", &region) &&
                home_region_is_good(buf_bytes(&region));
    if (good) {
        bytes authority;
        *ret = (struct home){.epoch = epoch};
        ret->authority = members_find(value, "authority", &authority) && bytes_equal(authority, bytes_str("true"));
        memcpy(ret->region, region.data, region.len);
    }
    int rc = good ? 0 : buf_error(&region) == TENURE_ENOMEM ? TENURE_ENOMEM : TENURE_ECORRUPT;
    buf_fini(&region);
    return rc;
}

void home_format(const struct home *h, struct buf *to)
{
    buf_printf(to, "{\"region\":\"%s\",\"epoch\":%" PRId64 "%s}", h->region, h->epoch,
               h->authority ? ",\"authority\":true" : "");
}

int home_word_parse(bytes value, struct home_word *ret)
{
    struct home_word w = {0};
    int rc = home_parse(value, &w.home);
    if (rc)
        return rc;
    if (!members_int(value, "ttl", &w.ttl_s) || !members_int(value, "left_ms", &w.left_ms) ||
        !members_int(value, "seen", &w.seen) || w.ttl_s < 0 || w.ttl_s > HOME_WORD_TTL_MAX || w.left_ms < 0 ||
        w.left_ms > w.ttl_s * 1000)
        return TENURE_ECORRUPT;
    *ret = w;
    return 0;
}

void home_word_format(const struct home_word *w, struct buf *to)
{
    buf_printf(to,
               "{\"region\":\"%s\",\"epoch\":%" PRId64 ",\"ttl\":%" PRId64 ",\"left_ms\":%" PRId64 ",\"seen\":%" PRId64
               "}",
               w->home.region, w->home.epoch, w->ttl_s, w->left_ms, w->seen);
}

struct key_range home_range(void)
{
    /* '0' is behind '/': everything that begins with HOME_KEYS "/". */
    return (struct key_range){bytes_str(HOME_KEYS "/"), bytes_str(HOME_KEYS "0")};
}

bytes home_prefix_of(bytes record_key)
{
    size_t n = strlen(HOME_KEYS);
    if (!bytes_has_prefix(record_key, bytes_str(HOME_KEYS "/")))
        return (bytes){NULL, 0};
    bytes prefix = bytes_of(record_key.data + n, record_key.len - n);
    return home_prefix_is_good(prefix) ? prefix : (bytes){NULL, 0};
}

size_t home_covering(const struct kv *records, size_t n, bytes key)
{
    size_t found = SIZE_MAX, longest = 0;
    for (size_t i = 0; i < n; i++) {
        bytes prefix = home_prefix_of(records[i].key);
        if (prefix.len > longest && bytes_has_prefix(key, prefix)) {
            found = i;
            longest = prefix.len;
        }
    }
    return found;
}

bool home_candidate(bytes key, size_t *at, struct buf *to)
{
    if (key.len == 0 || key.data[0] != '/' || *at >= key.len)
        return false;
    const uint8_t *slash = memchr(key.data + *at, '/', key.len - *at);
    if (!slash)
        return false;
    *at = (size_t)(slash - key.data) + 1;
    buf_reset(to);
    buf_append_bytes(to, bytes_str(HOME_KEYS));
    buf_append(to, key.data, *at);
    return true;
}

int64_t home_token(int64_t epoch, tn_rev create_revision)
{
    if (epoch < 0 || epoch > HOME_EPOCH_MAX || create_revision < 0 || create_revision > TOKEN_REVISION_MAX)
        return 0;
    return (epoch << HOME_TOKEN_BITS) + create_revision;
}

int64_t home_token_epoch(int64_t token)
{
    return token < 0 ? 0 : token >> HOME_TOKEN_BITS;
}

tn_rev home_token_revision(int64_t token)
{
    return token < 0 ? 0 : token & TOKEN_REVISION_MAX;
}
