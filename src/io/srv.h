/* DNS SRV records: a lookup on a thread of its own, because libc's resolver blocks, and its answer on the loop.
 *
 * The wire format is libc's: res_nquery asks (again over TCP where an answer was cut, and of nobody but who was asked),
 * libresolv, loaded when it is first needed, takes answers apart.
 *
 * Bounds: one question of each service, each asked twice of at most three servers; SRV_MAX records, those of the lowest priorities, are kept. A job that is
 * cancelled ends unseen, a few seconds later at most. Thread: the loop's.
 */
#ifndef IO_SRV_H
#define IO_SRV_H

#include "io/loop.h"

enum { SRV_MAX = 64, SRV_HOST_MAX = 256, SRV_NAME_MAX = 256 };

struct io_srv_record {
    uint16_t priority, weight, port;
    bool tls;
    char host[SRV_HOST_MAX]; /* without the dot at its end */
};

/* How it ended: code 0 with at least one record and the smallest TTL; TENURE_ENOTFOUND (no such name, no records, or "not
 * here"), TENURE_EUNAVAILABLE (no server answered, or with a failure), TENURE_ENOMEM, … */
struct io_srv_answer {
    int code;
    struct tenure_error error;
    size_t n;
    uint32_t ttl_s;
    struct io_srv_record records[SRV_MAX];
};

struct io_srv_query {
    char secure[SRV_NAME_MAX], plain[SRV_NAME_MAX]; /* "_etcd-client-ssl._tcp.example.org", …; empty = not asked */
    char server[64];                                /* "IPV4[:PORT]"; empty = as resolv.conf says */
};

struct io_srv;
typedef void (*io_srv_cb)(void *user, const struct io_srv_answer *a);

/* Whether text can be a server of a query. Any thread. */
bool io_srv_server_is_valid(const char *text);
/* Copies q. cb comes once, from the loop; *ret is gone when it does. 0, TENURE_ENOMEM, TENURE_EIO. */
int io_srv_start(struct io_loop *l, const struct io_srv_query *q, io_srv_cb cb, void *user, struct io_srv **ret,
                 struct tenure_error *err) MUST_USE;
/* Without waiting; cb does not come any more. NULL is fine; NULL. */
struct io_srv *io_srv_cancel(struct io_srv *s);

#endif
