/* JSON and protobuf of any message of the API. First byte: which message; its highest bit: which way. From JSON: what is
 * taken is a message that becomes JSON and is taken again, as the same message. To JSON: what comes out is JSON, and the
 * same in any pieces. */
#include <stdlib.h>

#include "http/json_scan.h"
#include "http/routes.h"
#include "http/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

static const ProtobufCMessageDescriptor *choose(uint8_t number)
{
    size_t n;
    const struct route *list = route_list(&n);
    const struct route *r = &list[number % n];
    return number / n % 2 ? r->response : r->request;
}

/* The whole value at once and byte by byte end the same way. */
static enum json_scanned scan(bytes in, size_t *ret_used)
{
    struct json_scan whole, pieces;
    size_t used = 0, at = 0;
    json_scan_init(&whole);
    json_scan_init(&pieces);
    enum json_scanned a = json_scan(&whole, in, ret_used), b = JSON_MORE;
    while (b == JSON_MORE && at < in.len) {
        b = json_scan(&pieces, bytes_of(in.data + at, 1), &used);
        at += used;
    }
    must(a == b);
    must(a != JSON_WHOLE || at == *ret_used);
    if (a == JSON_MORE && json_scan_end(&whole) == JSON_WHOLE)
        a = JSON_WHOLE;
    return a;
}

static void expect_json(const ProtobufCMessageDescriptor *d, bytes message, struct buf *json)
{
    size_t used;
    must(transcode_to_json(d, message, json));
    must(scan(buf_bytes(json), &used) == JSON_WHOLE && used == json->len);
}

static void from_json(const ProtobufCMessageDescriptor *d, bytes in)
{
    struct buf message, json, again;
    struct tenure_error err;
    size_t used;
    if (scan(in, &used) != JSON_WHOLE)
        return;
    buf_init(&message);
    buf_init(&json);
    buf_init(&again);
    if (transcode_from_json(d, bytes_of(in.data, used), &message, &err) == 0) {
        expect_json(d, buf_bytes(&message), &json);
        must(transcode_from_json(d, buf_bytes(&json), &again, &err) == 0);
        struct buf last;
        buf_init(&last);
        expect_json(d, buf_bytes(&again), &last);
        must(bytes_equal(buf_bytes(&json), buf_bytes(&last)));
        buf_fini(&last);
    }
    buf_fini(&message);
    buf_fini(&json);
    buf_fini(&again);
}

static void to_json(const ProtobufCMessageDescriptor *d, bytes in)
{
    struct buf json;
    size_t used;
    buf_init(&json);
    if (transcode_to_json(d, in, &json))
        must(scan(buf_bytes(&json), &used) == JSON_WHOLE && used == json.len);
    buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0 || len > 65536)
        return 0;
    bytes in = bytes_of(data + 1, len - 1);
    if (data[0] & 0x80)
        to_json(choose(data[0] & 0x7f), in);
    else
        from_json(choose(data[0]), in);
    return 0;
}
