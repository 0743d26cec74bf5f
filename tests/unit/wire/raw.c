#include "raw.h"

static void u32(struct buf *out, uint32_t v)
{
    buf_append_u32be(out, v);
}

void raw_frame(struct buf *out, unsigned type, unsigned flags, uint32_t id, bytes payload)
{
    buf_append_byte(out, (uint8_t)(payload.len >> 16));
    buf_append_byte(out, (uint8_t)(payload.len >> 8));
    buf_append_byte(out, (uint8_t)payload.len);
    buf_append_byte(out, (uint8_t)type);
    buf_append_byte(out, (uint8_t)flags);
    u32(out, id);
    buf_append_bytes(out, payload);
}

/* Adds the frame and frees what it was made of. */
static void frame_of(struct buf *out, unsigned type, unsigned flags, uint32_t id, struct buf *payload)
{
    raw_frame(out, type, flags, id, buf_bytes(payload));
    buf_fini(payload);
}

void raw_preface(struct buf *out)
{
    buf_append(out, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    raw_frame(out, NGHTTP2_SETTINGS, 0, 0, bytes_of(NULL, 0));
}

void raw_settings(struct buf *out, unsigned key, uint32_t value)
{
    struct buf b = {0};
    buf_append_byte(&b, (uint8_t)(key >> 8));
    buf_append_byte(&b, (uint8_t)key);
    u32(&b, value);
    frame_of(out, NGHTTP2_SETTINGS, 0, 0, &b);
}

static void hpack_string(struct buf *out, const char *s)
{
    size_t len = strlen(s);
    if (len < 127) {
        buf_append_byte(out, (uint8_t)len);
    } else {
        buf_append_byte(out, 127);
        for (len -= 127; len >= 128; len /= 128)
            buf_append_byte(out, (uint8_t)(len % 128 + 128));
        buf_append_byte(out, (uint8_t)len);
    }
    buf_append(out, s, strlen(s));
}

void raw_header_block(struct buf *out, const char *const *pairs)
{
    for (; *pairs; pairs += 2) {
        buf_append_byte(out, 0); /* a literal, not indexed, with a new name */
        hpack_string(out, pairs[0]);
        hpack_string(out, pairs[1]);
    }
}

void raw_headers(struct buf *out, uint32_t id, unsigned flags, const char *const *pairs)
{
    struct buf b = {0};
    raw_header_block(&b, pairs);
    frame_of(out, NGHTTP2_HEADERS, flags, id, &b);
}

void raw_call(struct buf *out, uint32_t id, unsigned flags, const char *path)
{
    const char *const pairs[] = {
        ":method",  "POST",         ":scheme",          "http", ":path", path, ":authority", "localhost", "te",
        "trailers", "content-type", "application/grpc", NULL,
    };
    raw_headers(out, id, flags | RAW_END_HEADERS, pairs);
}

void raw_data(struct buf *out, uint32_t id, unsigned flags, bytes data)
{
    raw_frame(out, NGHTTP2_DATA, flags, id, data);
}

void raw_message(struct buf *out, uint32_t id, unsigned flags, const char *text)
{
    struct buf b = {0};
    buf_append_byte(&b, 0);
    u32(&b, (uint32_t)strlen(text));
    buf_append(&b, text, strlen(text));
    frame_of(out, NGHTTP2_DATA, flags, id, &b);
}

void raw_reset(struct buf *out, uint32_t id, uint32_t code)
{
    struct buf b = {0};
    u32(&b, code);
    frame_of(out, NGHTTP2_RST_STREAM, 0, id, &b);
}

void raw_goaway(struct buf *out, uint32_t last, uint32_t code, const char *debug)
{
    struct buf b = {0};
    u32(&b, last);
    u32(&b, code);
    buf_append(&b, debug, strlen(debug));
    frame_of(out, NGHTTP2_GOAWAY, 0, 0, &b);
}

void raw_window(struct buf *out, uint32_t id, uint32_t more)
{
    struct buf b = {0};
    u32(&b, more);
    frame_of(out, NGHTTP2_WINDOW_UPDATE, 0, id, &b);
}

/* ---- reading ---- */

void raw_reader_init(struct raw_reader *r)
{
    *r = (struct raw_reader){0};
    assert_int_equal(nghttp2_hd_inflate_new(&r->inflater), 0);
}

void raw_reader_fini(struct raw_reader *r)
{
    nghttp2_hd_inflate_del(r->inflater);
    buf_fini(&r->text);
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void read_headers(struct raw_reader *r, const uint8_t *data, size_t len)
{
    int flags = 0;
    while (len > 0 || !(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(r->inflater, &nv, &flags, data, len, 1);
        assert_true(n >= 0);
        data += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            buf_printf(&r->text, ", %.*s %.*s", (int)nv.namelen, (const char *)nv.name, (int)nv.valuelen,
                       (const char *)nv.value);
    }
    nghttp2_hd_inflate_end_headers(r->inflater);
}

static const char *end_mark(unsigned flags)
{
    return flags & RAW_END_STREAM ? " end" : "";
}

static void read_control(struct raw_reader *r, unsigned type, unsigned flags, uint32_t id, const uint8_t *data)
{
    if (!r->with_control)
        return;
    if (type == NGHTTP2_SETTINGS)
        buf_printf(&r->text, "SETTINGS%s\n", flags & RAW_ACK ? " ack" : "");
    else if (type == NGHTTP2_PING)
        buf_printf(&r->text, "PING%s\n", flags & RAW_ACK ? " ack" : "");
    else
        buf_printf(&r->text, "WINDOW_UPDATE %u +%u\n", id, read_u32(data));
}

static void read_frame(struct raw_reader *r, const uint8_t *head, const uint8_t *data, size_t len)
{
    unsigned type = head[3], flags = head[4];
    uint32_t id = read_u32(head + 5);
    switch (type) {
    case NGHTTP2_HEADERS:
        buf_printf(&r->text, "HEADERS %u%s", id, end_mark(flags));
        read_headers(r, data, len);
        buf_append_byte(&r->text, '\n');
        break;
    case NGHTTP2_DATA:
        buf_printf(&r->text, "DATA %u%s %zu\n", id, end_mark(flags), len);
        break;
    case NGHTTP2_RST_STREAM:
        buf_printf(&r->text, "RST_STREAM %u %s\n", id, nghttp2_http2_strerror(read_u32(data)));
        break;
    case NGHTTP2_GOAWAY:
        buf_printf(&r->text, "GOAWAY %u %s\n", read_u32(data), nghttp2_http2_strerror(read_u32(data + 4)));
        break;
    default:
        read_control(r, type, flags, id, data);
        break;
    }
}

/* Takes what the side has to write and adds its frames, as lines, to the reader's text. */
static void read_side(struct pair *p, struct side *s, struct raw_reader *r)
{
    while (side_write(p, s)) {
    }
    const uint8_t *at = s->wire.data, *end = at + s->wire.len;
    if (s->wire.len >= NGHTTP2_CLIENT_MAGIC_LEN && memcmp(at, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) == 0)
        at += NGHTTP2_CLIENT_MAGIC_LEN;
    while (at < end) {
        assert_true(end - at >= 9);
        size_t len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        assert_true((size_t)(end - at) >= 9 + len);
        read_frame(r, at, at + 9, len);
        at += 9 + len;
    }
    buf_reset(&s->wire);
}

void side_says_whatever(struct pair *p, struct side *s, struct raw_reader *r)
{
    read_side(p, s, r);
    buf_reset(&r->text);
}

void side_says_at(struct pair *p, struct side *s, struct raw_reader *r, const char *lines, const char *file, int line)
{
    read_side(p, s, r);
    buf_append_byte(&r->text, 0);
    if (strcmp((const char *)r->text.data, lines) != 0) {
        print_error("%s:%d: expected to say\n%s\nsaid\n%s\n", file, line, lines, (const char *)r->text.data);
        fail();
    }
    buf_reset(&r->text);
}
