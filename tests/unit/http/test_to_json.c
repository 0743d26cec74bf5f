/* Protobuf into JSON, and every message of the API there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../wire/sample.h"
#include "http/json_scan.h"
#include "http/routes.h"
#include "http/transcode.h"
#include "kv.pb-c.h"
#include "rpc.pb-c.h"
#include "wire/pbw.h"

static void expect(const ProtobufCMessageDescriptor *d, const struct buf *message, const char *json)
{
    struct buf out;
    buf_init(&out);
    assert_true(transcode_to_json(d, buf_bytes(message), &out));
    buf_append_byte(&out, 0);
    assert_string_equal(out.data, json);
    buf_fini(&out);
}

static void the_form_is_etcds(void **state)
{
    struct buf m;
    (void)state;
    buf_init(&m);
    expect(&mvccpb__key_value__descriptor, &m, "{}");
    pbw_int_always(&m, 6, INT64_MIN); /* out of order, and twice */
    pbw_bytes_always(&m, 1, bytes_str("old"));
    pbw_int_always(&m, 4, 0);
    pbw_bytes_always(&m, 1, bytes_str("ab\xff"));
    pbw_int_always(&m, 77, 1);
    expect(&mvccpb__key_value__descriptor, &m, "{\"key\":\"YWL/\",\"lease\":\"-9223372036854775808\"}");
    buf_reset(&m);
    pbw_int_always(&m, 1, 1);
    pbw_bytes_always(&m, 2, (bytes){0});
    expect(&mvccpb__event__descriptor, &m, "{\"type\":\"DELETE\",\"kv\":{}}");
    buf_reset(&m);
    pbw_int_always(&m, 1, 9);
    expect(&mvccpb__event__descriptor, &m, "{\"type\":9}");
    buf_reset(&m);
    pbw_int_always(&m, 4, 0); /* of a oneof */
    expect(&etcdserverpb__compare__descriptor, &m, "{\"version\":\"0\"}");
    buf_reset(&m);
    pbw_bytes_always(&m, 5, bytes_of("\0\1\2", 3)); /* packed, and not */
    pbw_int_always(&m, 5, 1);
    expect(&etcdserverpb__watch_create_request__descriptor, &m,
           "{\"filters\":[\"NOPUT\",\"NODELETE\",2,\"NODELETE\"]}");
    buf_reset(&m);
    pbw_int_always(&m, 2, UINT32_MAX);
    expect(&etcdserverpb__hash_response__descriptor, &m, "{\"hash\":4294967295}");
    buf_reset(&m);
    pbw_bytes_always(&m, 2, bytes_str("a\"<b>\n"));
    expect(&etcdserverpb__member__descriptor, &m, "{\"name\":\"a\\\"<b>\\n\"}");
    buf_fini(&m);
}

static void what_is_no_message_is_noticed(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } bad[] = {{"\x08", 1}, {"\x0a\x05", 2}, {"\x0a\x01", 2}, {"\x08\x01", 2},
               {"\x0b", 1}, {"\xff", 1},     {"\x2d\1\2", 3}};
    struct buf out;
    (void)state;
    buf_init(&out);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(transcode_to_json(&mvccpb__key_value__descriptor, bytes_of(bad[i].data, bad[i].len), &out));
    buf_fini(&out);
}

/* ---- there and back ---- */

static void tidy_message(ProtobufCMessage *m);

static void tidy_string(char *s)
{
    for (; s && *s; s++)
        *s = (char)(*s & 0x7f ? *s & 0x7f : 'x');
}

static void tidy_field(const ProtobufCFieldDescriptor *f, void *at)
{
    if (f->type == PROTOBUF_C_TYPE_STRING)
        tidy_string(*(char **)at);
    else if (f->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **)at)
        tidy_message(*(ProtobufCMessage **)at);
}

/* Without unknown fields, and strings as UTF-8, as they must be. */
static void tidy_message(ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->n_unknown_fields; i++)
        free(m->unknown_fields[i].data);
    free(m->unknown_fields);
    m->unknown_fields = NULL;
    m->n_unknown_fields = 0;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        uint8_t *base = (uint8_t *)m;
        bool unset = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(uint32_t *)(base + f->quantifier_offset) != f->id;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
                continue;
            for (size_t n = 0; n < *(size_t *)(base + f->quantifier_offset); n++)
                tidy_field(f, *(void ***)(base + f->offset) + n);
        } else if (!unset) {
            tidy_field(f, base + f->offset);
        }
    }
}

/* As protobuf-c writes it. */
static void pack(const ProtobufCMessageDescriptor *d, bytes in, bool tidy, struct buf *out)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, in.len, in.data);
    assert_non_null(m);
    if (tidy)
        tidy_message(m);
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *to = buf_reserve(out, len ? len : 1);
    assert_non_null(to);
    buf_added(out, protobuf_c_message_pack(m, to));
    protobuf_c_message_free_unpacked(m, NULL);
}

static void there_and_back(struct sample *s, const ProtobufCMessageDescriptor *d)
{
    struct buf raw, packed, json, back, packed_back;
    struct json_scan scan;
    struct tenure_error err;
    size_t used;
    struct buf *all[] = {&raw, &packed, &json, &back, &packed_back};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i]);
    sample_message(s, d, 3, &raw);
    pack(d, buf_bytes(&raw), true, &packed);
    assert_true(transcode_to_json(d, buf_bytes(&packed), &json));
    json_scan_init(&scan);
    assert_int_equal(json_scan(&scan, buf_bytes(&json), &used), JSON_WHOLE);
    assert_int_equal(used, json.len);
    if (transcode_from_json(d, buf_bytes(&json), &back, &err) < 0)
        fail_msg("%s: %s in %.*s", d->name, err.text, (int)json.len, (const char *)json.data);
    pack(d, buf_bytes(&back), false, &packed_back);
    if (!bytes_equal(buf_bytes(&packed), buf_bytes(&packed_back)))
        fail_msg("%s is another after %.*s", d->name, (int)json.len, (const char *)json.data);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
}

static void every_message_goes_there_and_back(void **state)
{
    struct sample s;
    size_t n;
    const struct route *routes = route_list(&n);
    (void)state;
    sample_init(&s, 1);
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < n; i++) {
            there_and_back(&s, routes[i].request);
            there_and_back(&s, routes[i].response);
            sample_reset(&s);
        }
    }
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_is_etcds),
        cmocka_unit_test(what_is_no_message_is_noticed),
        cmocka_unit_test(every_message_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
