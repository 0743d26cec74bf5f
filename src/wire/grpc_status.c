/* Status numbers as text, percent-encoding, and gRPC's two mapping tables (doc/http-grpc-status-mapping and the table
 * of error codes in PROTOCOL-HTTP2 of gRPC's documents). */
#include "wire/grpc_status.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

const char *grpc_status_digits(enum grpc_status status)
{
    static const char *const digits[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                         "9", "10", "11", "12", "13", "14", "15", "16"};
    return (size_t)status < ARRAY_LEN(digits) ? digits[status] : digits[GRPC_UNKNOWN];
}

enum grpc_status grpc_status_parse(bytes value)
{
    unsigned n = 0;
    if (value.len == 0 || value.len > 2)
        return GRPC_UNKNOWN;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return GRPC_UNKNOWN;
        n = 10 * n + (value.data[i] - '0');
    }
    return n <= GRPC_UNAUTHENTICATED ? (enum grpc_status)n : GRPC_UNKNOWN;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e && c != '%';
}

char *grpc_message_encode(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = strlen(text);
    char *out = len < SIZE_MAX / 3 ? malloc(3 * len + 1) : NULL;
    if (!out)
        return NULL;
    char *p = out;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (is_plain(c)) {
            *p++ = (char)c;
            continue;
        }
        *p++ = '%';
        *p++ = hex[c >> 4];
        *p++ = hex[c & 15];
    }
    *p = 0;
    return out;
}

/* -1 for what is no hexadecimal digit. */
static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_message_decode(bytes value, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        int high = c == '%' && i + 2 < value.len ? hex_value(value.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(value.data[i + 2]) : -1;
        if (low >= 0) {
            c = (uint8_t)(16 * high + low);
            i += 2;
        }
        buf_append_byte(out, c);
    }
}

enum grpc_status grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_status grpc_status_of_reset(uint32_t h2_error_code)
{
    switch (h2_error_code) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_INTERNAL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_SETTINGS_TIMEOUT:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
    case NGHTTP2_CONNECT_ERROR:
        return GRPC_INTERNAL;
    case NGHTTP2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_UNKNOWN;
    }
}
