/* HTTP/2 frames made by hand, right and wrong ones, and frames read back as lines of text:
 *
 *     SETTINGS        SETTINGS ack       WINDOW_UPDATE 0 +983041      PING ack
 *     HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 0
 *     DATA 1 10       DATA 1 end 10      RST_STREAM 1 CANCEL          GOAWAY 0 PROTOCOL_ERROR
 */
#ifndef TESTS_RAW_H
#define TESTS_RAW_H

#include <nghttp2/nghttp2.h>

#include "pair.h"

enum { RAW_END_STREAM = 1, RAW_ACK = 1, RAW_END_HEADERS = 4, RAW_PADDED = 8, RAW_PRIORITY = 32 };

void raw_frame(struct buf *out, unsigned type, unsigned flags, uint32_t id, bytes payload);
void raw_preface(struct buf *out); /* a client's: the magic and empty SETTINGS */
void raw_settings(struct buf *out, unsigned key, uint32_t value);
/* Pairs of name and value, ended by NULL; without compression. flags without RAW_END_HEADERS leave the block open. */
void raw_headers(struct buf *out, uint32_t id, unsigned flags, const char *const *pairs);
void raw_header_block(struct buf *out, const char *const *pairs);
void raw_data(struct buf *out, uint32_t id, unsigned flags, bytes data);
void raw_message(struct buf *out, uint32_t id, unsigned flags, const char *text); /* as a gRPC message in one DATA */
void raw_reset(struct buf *out, uint32_t id, uint32_t code);
void raw_goaway(struct buf *out, uint32_t last, uint32_t code, const char *debug);
void raw_window(struct buf *out, uint32_t id, uint32_t more);

/* A request as gRPC clients make it. */
void raw_call(struct buf *out, uint32_t id, unsigned flags, const char *path);

/* Reads what one side writes. The compressor's state is kept from one reading to the next. */
struct raw_reader {
    nghttp2_hd_inflater *inflater;
    struct buf text;
    bool with_control; /* SETTINGS, WINDOW_UPDATE and PING too */
};

void raw_reader_init(struct raw_reader *r);
void raw_reader_fini(struct raw_reader *r);

/* Takes what the side has to write and compares its frames with lines. */
void side_says_at(struct pair *p, struct side *s, struct raw_reader *r, const char *lines, const char *file, int line);
void side_says_whatever(struct pair *p, struct side *s, struct raw_reader *r);
#define side_says(p, s, r, lines) side_says_at((p), (s), (r), (lines), __FILE__, __LINE__)

#endif
