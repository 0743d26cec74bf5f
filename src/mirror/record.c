/* See record.h. */
#include "mirror/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "recipes/members.h"
#include "tenure/error.h"

void record_key_set(struct record_key *k, bytes key)
{
    k->len = key.len <= RECORD_KEY_MAX ? key.len : 0;
    if (k->len)
        memcpy(k->data, key.data, k->len);
}

/* ---- out ---- */

static void put_key(struct buf *out, const char *name, const struct record_key *k)
{
    buf_printf(out, "\"%s\":\"", name);
    for (size_t i = 0; i < k->len; i++)
        buf_printf(out, "%02x", k->data[i]);
    buf_append_byte(out, '"');
}

static void put_int(struct buf *out, const char *name, int64_t n)
{
    if (n)
        buf_printf(out, ",\"%s\":%" PRId64, name, n);
}

static void put_leases(struct buf *out, const struct record *r)
{
    if (r->n_leases == 0)
        return;
    for (size_t i = 0; i < r->n_leases; i++)
        buf_printf(out, "%s{\"ttl\":%" PRId64 ",\"id\":\"%" PRIx64 "\"}", i ? "," : ",\"leases\":[", r->leases[i].ttl_s,
                   (uint64_t)r->leases[i].id);
    buf_append_byte(out, ']');
}

static void put_progress(struct buf *out, const struct record *r)
{
    const char *state = r->at ? "copying" : r->revision ? "following" : "starting";
    buf_printf(out, ",\"state\":\"%s\",\"revision\":%" PRId64, state, r->revision);
    if (r->part) {
        put_int(out, "part_of", r->part_of);
        put_int(out, "part", r->part);
    }
    put_int(out, "at", r->at);
    if (r->at && r->cursor.len) {
        buf_append_byte(out, ',');
        put_key(out, "cursor", &r->cursor);
    }
    if (r->at)
        buf_printf(out, ",\"keys\":%" PRId64 ",\"total\":%" PRId64, r->keys, r->total);
    buf_printf(out, ",\"copied\":%" PRId64 ",\"deleted\":%" PRId64, r->copied, r->deleted);
    put_leases(out, r);
    if (r->check_mod) {
        buf_append_bytes(out, bytes_str(",\"check\":{"));
        put_key(out, "key", &r->check);
        buf_printf(out, ",\"mod\":%" PRId64 ",\"crc\":%" PRId64 "}", r->check_mod, r->check_crc);
    }
}

static void put_for_people(struct buf *out, const struct record *r)
{
    put_int(out, "newest", r->newest);
    buf_printf(out, ",\"lag\":%" PRId64 ",\"lag_ms\":%" PRId64 ",\"time\":%" PRId64, r->lag, r->lag_ms, r->time_ms);
    if (r->error[0]) {
        buf_append_bytes(out, bytes_str(",\"error\":"));
        members_put_text(out, bytes_str(r->error));
        put_int(out, "error_time", r->error_ms);
    }
}

void record_format(const struct record *r, bytes prefix, bytes to, struct buf *out)
{
    buf_append_bytes(out, bytes_str("{\"prefix\":"));
    members_put_text(out, prefix);
    buf_append_bytes(out, bytes_str(",\"to\":"));
    members_put_text(out, to.len ? to : prefix);
    buf_printf(out, ",\"source_cluster\":\"%" PRIx64 "\"", r->source_cluster);
    if (r->home.epoch)
        buf_printf(out, ",\"region\":\"%s\",\"epoch\":%" PRId64, r->home.region, r->home.epoch);
    buf_printf(out, ",\"writer\":\"%" PRIx64 "\",\"seq\":%" PRId64, r->writer, r->seq);
    put_progress(out, r);
    put_for_people(out, r);
    buf_append_byte(out, '}');
}

/* ---- in ---- */

static int digit(uint8_t b)
{
    return b >= '0' && b <= '9' ? b - '0' : b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* The member as a text without escapes; empty when it is none. */
static bytes word(bytes json, const char *name)
{
    bytes text;
    if (!members_find(json, name, &text) || text.len < 2 || text.data[0] != '"')
        return (bytes){NULL, 0};
    return bytes_of(text.data + 1, text.len - 2);
}

static bool get_id(bytes json, const char *name, uint64_t *ret)
{
    bytes hex = word(json, name);
    uint64_t n = 0;
    for (size_t i = 0; i < hex.len; i++) {
        if (digit(hex.data[i]) < 0)
            return false;
        n = n << 4 | (uint64_t)digit(hex.data[i]);
    }
    *ret = n;
    return hex.len > 0 && hex.len <= 16;
}

static bool get_key(bytes json, const char *name, struct record_key *ret)
{
    bytes hex = word(json, name);
    if (hex.len % 2 || hex.len / 2 > RECORD_KEY_MAX)
        return false;
    for (size_t i = 0; i < hex.len / 2; i++) {
        int high = digit(hex.data[2 * i]), low = digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->data[i] = (uint8_t)(high << 4 | low);
    }
    ret->len = hex.len / 2;
    return true;
}

/* One that is not there counts as 0. False: it is below. */
static bool get_count(bytes json, const char *name, int64_t *ret)
{
    *ret = 0;
    members_int(json, name, ret);
    return *ret >= 0;
}

static bool get_leases(bytes json, struct record *r)
{
    bytes array, item;
    if (!members_find(json, "leases", &array))
        return true;
    for (size_t at = 0; members_next_item(array, &at, &item);) {
        int64_t ttl_s = 0;
        uint64_t id;
        if (r->n_leases == RECORD_LEASES_MAX || !members_int(item, "ttl", &ttl_s) || ttl_s < 1 ||
            !get_id(item, "id", &id))
            return false;
        r->leases[r->n_leases].ttl_s = ttl_s;
        r->leases[r->n_leases++].id = (tn_lease)id;
    }
    return true;
}

static bool get_check(bytes json, struct record *r)
{
    bytes check;
    if (!members_find(json, "check", &check))
        return true;
    return get_key(check, "key", &r->check) && get_count(check, "mod", &r->check_mod) &&
           get_count(check, "crc", &r->check_crc);
}

static bool get_home(bytes json, struct record *r)
{
    bytes region = word(json, "region");
    if (!get_count(json, "epoch", &r->home.epoch) || region.len > HOME_REGION_MAX)
        return false;
    if (region.len)
        memcpy(r->home.region, region.data, region.len);
    return r->home.epoch == 0 || home_region_is_good(region);
}

static void get_for_people(bytes json, struct record *r)
{
    struct buf error;
    members_int(json, "newest", &r->newest);
    members_int(json, "lag", &r->lag);
    members_int(json, "lag_ms", &r->lag_ms);
    members_int(json, "time", &r->time_ms);
    members_int(json, "error_time", &r->error_ms);
    buf_init(&error);
    if (members_text(json, "error", &error))
        snprintf(r->error, sizeof r->error, "%.*s", (int)error.len, (const char *)error.data);
    buf_fini(&error);
}

int record_parse(bytes json, struct record *ret)
{
    struct record r = {.seq = 0};
    bool good = members_is_object(json) && get_id(json, "source_cluster", &r.source_cluster) &&
                get_id(json, "writer", &r.writer) && get_count(json, "seq", &r.seq) && get_home(json, &r) &&
                get_count(json, "revision", &r.revision) && get_count(json, "part_of", &r.part_of) &&
                get_count(json, "part", &r.part) && get_count(json, "at", &r.at) &&
                get_key(json, "cursor", &r.cursor) && get_count(json, "keys", &r.keys) &&
                get_count(json, "total", &r.total) && get_count(json, "copied", &r.copied) &&
                get_count(json, "deleted", &r.deleted) && get_leases(json, &r) && get_check(json, &r);
    if (!good)
        return TENURE_ECORRUPT;
    get_for_people(json, &r);
    *ret = r;
    return 0;
}

bool record_destination(bytes json, struct buf *to)
{
    return members_text(json, "to", to) || members_text(json, "prefix", to);
}

bool record_source(bytes json, struct buf *to)
{
    return members_text(json, "prefix", to);
}
