/* One job: two references, the loop's and the thread's; the last one frees. The thread reaches the loop through the wake alone,
 * under the mutex, and only while the loop still waits for it. */
#include "io/srv.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/wake.h"

enum { ANSWER_MAX = 65535, RETRY_S = 1, TRIES = 2, DNS_PORT = 53, SRV_RDATA_MIN = 7 };

struct io_srv {
    atomic_int refs;
    pthread_mutex_t mutex;
    bool is_cancelled; /* under the mutex */
    struct io_wake *wake;
    io_srv_cb cb;
    void *user;
    struct io_srv_query query;
    struct io_srv_answer answer; /* the thread's until the wake */
};

/* ---- the library that takes answers apart ---- */

static struct {
    int (*initparse)(const unsigned char *, int, ns_msg *);
    int (*parserr)(ns_msg *, ns_sect, int, ns_rr *);
} parser;
static pthread_once_t parser_once = PTHREAD_ONCE_INIT;

static void parser_load(void)
{
    void *lib = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return;
    *(void **)&parser.initparse = dlsym(lib, "ns_initparse");
    *(void **)&parser.parserr = dlsym(lib, "ns_parserr");
}

/* ---- one question ---- */

static bool server_parse(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    unsigned long port = DNS_PORT;
    size_t len = strcspn(text, ":");
    char *end = NULL;
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = 0;
    if (text[len])
        port = strtoul(text + len + 1, &end, 10);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1 && (!end || (end > text + len + 1 && !*end)) && port > 0 &&
           port <= 65535;
}

bool io_srv_server_is_valid(const char *text)
{
    struct sockaddr_in ignored;
    return server_parse(text, &ignored);
}

static int resolver_init(struct __res_state *r, const char *server)
{
    memset(r, 0, sizeof *r);
    if (res_ninit(r) < 0)
        return -1;
    r->retrans = RETRY_S;
    r->retry = TRIES;
    r->options |= RES_NOALIASES;
    if (server[0] && server_parse(server, &r->nsaddr_list[0]))
        r->nscount = 1;
    return 0;
}

/* Names of hosts as they may stand in a URL. */
static bool host_is_plain(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && len == strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") &&
           host[0] != '.';
}

static bool same_name(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    a_len -= a_len > 0 && a[a_len - 1] == '.';
    b_len -= b_len > 0 && b[b_len - 1] == '.';
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* Past the bound the last of the highest priority goes. */
static void keep_record(struct io_srv_answer *a, const struct io_srv_record *r)
{
    size_t worst = 0;
    if (a->n < SRV_MAX) {
        a->records[a->n++] = *r;
        return;
    }
    for (size_t i = 1; i < a->n; i++)
        if (a->records[i].priority >= a->records[worst].priority)
            worst = i;
    if (r->priority < a->records[worst].priority)
        a->records[worst] = *r;
}

/* A record that points nowhere, or cannot be read, is none. */
static void take_record(struct io_srv_answer *a, ns_msg *m, const ns_rr *rr, bool tls)
{
    struct io_srv_record record = {0}, *r = &record;
    const unsigned char *data = ns_rr_rdata(*rr);
    if (ns_rr_rdlen(*rr) < SRV_RDATA_MIN)
        return;
    r->priority = (uint16_t)(data[0] << 8 | data[1]);
    r->weight = (uint16_t)(data[2] << 8 | data[3]);
    r->port = (uint16_t)(data[4] << 8 | data[5]);
    r->tls = tls;
    if (dn_expand(ns_msg_base(*m), ns_msg_end(*m), data + 6, r->host, sizeof r->host) < 0 || r->port == 0)
        return;
    size_t len = strlen(r->host);
    if (len > 0 && r->host[len - 1] == '.')
        r->host[len - 1] = 0;
    if (!host_is_plain(r->host))
        return;
    if (a->n == 0 || ns_rr_ttl(*rr) < a->ttl_s)
        a->ttl_s = ns_rr_ttl(*rr);
    keep_record(a, r);
}

/* Records of the name asked for, or of what it is an alias of. */
static void take_answer(struct io_srv_answer *a, const unsigned char *bytes, int len, const char *name, bool tls)
{
    ns_msg m;
    ns_rr rr;
    char owner[NS_MAXDNAME];
    snprintf(owner, sizeof owner, "%s", name);
    if (parser.initparse(bytes, len, &m) < 0)
        return;
    for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
        if (parser.parserr(&m, ns_s_an, i, &rr) < 0)
            return;
        if (ns_rr_class(rr) != ns_c_in || !same_name(ns_rr_name(rr), owner))
            continue;
        if (ns_rr_type(rr) == ns_t_cname &&
            dn_expand(ns_msg_base(m), ns_msg_end(m), ns_rr_rdata(rr), owner, sizeof owner) < 0)
            return;
        if (ns_rr_type(rr) == ns_t_srv)
            take_record(a, &m, &rr, tls);
    }
}

/* 0 = answered, with records or without; else what it failed with. */
static int ask(struct __res_state *r, struct io_srv_answer *a, unsigned char *bytes, const char *name, bool tls)
{
    if (!name[0])
        return 0;
    int len = res_nquery(r, name, ns_c_in, ns_t_srv, bytes, ANSWER_MAX);
    if (len >= 0)
        take_answer(a, bytes, len < ANSWER_MAX ? len : ANSWER_MAX, name, tls);
    else if (r->res_h_errno != HOST_NOT_FOUND && r->res_h_errno != NO_DATA)
        return TENURE_EUNAVAILABLE;
    return 0;
}

static void ask_all(struct io_srv *s, struct __res_state *r, unsigned char *bytes)
{
    struct io_srv_answer *a = &s->answer;
    int secure = ask(r, a, bytes, s->query.secure, true);
    int plain = ask(r, a, bytes, s->query.plain, false);
    const char *name = s->query.plain[0] ? s->query.plain : s->query.secure;
    if (a->n > 0)
        a->code = 0;
    else if (secure || plain)
        a->code = error_set(&a->error, TENURE_EUNAVAILABLE, "%s: no server of names answers, or it has failed", name);
    else
        a->code = error_set(&a->error, TENURE_ENOTFOUND, "%s: there are no SRV records", name);
}

static void look_up(struct io_srv *s)
{
    struct io_srv_answer *a = &s->answer;
    struct __res_state r;
    pthread_once(&parser_once, parser_load);
    unsigned char *bytes = malloc(ANSWER_MAX);
    if (!parser.initparse || !parser.parserr)
        a->code = error_set(&a->error, TENURE_EUNAVAILABLE, "SRV records need libresolv.so.2, which is not there");
    else if (!bytes || resolver_init(&r, s->query.server) < 0)
        a->code = error_set(&a->error, TENURE_ENOMEM, "out of memory for a lookup");
    else {
        ask_all(s, &r, bytes);
        res_nclose(&r);
    }
    free(bytes);
}

/* ---- the job ---- */

static void unref(struct io_srv *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static void *job_thread(void *arg)
{
    struct io_srv *s = arg;
    look_up(s);
    pthread_mutex_lock(&s->mutex);
    if (!s->is_cancelled)
        io_wake_send(s->wake);
    pthread_mutex_unlock(&s->mutex);
    unref(s);
    return NULL;
}

static void on_wake(void *user)
{
    struct io_srv *s = user;
    pthread_mutex_lock(&s->mutex); /* the thread is behind its wake */
    pthread_mutex_unlock(&s->mutex);
    s->wake = io_wake_close(s->wake);
    s->cb(s->user, &s->answer);
    unref(s);
}

/* With all signals blocked, as of every thread of ours; nobody joins it. */
static int start_thread(struct io_srv *s, struct tenure_error *err)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return error_set(err, TENURE_ENOMEM, "out of memory for a lookup");
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&s->refs, 1);
    int rc = pthread_create(&thread, &attr, job_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        return 0;
    atomic_fetch_sub(&s->refs, 1);
    return error_errno(err, rc, "a thread for a lookup");
}

int io_srv_start(struct io_loop *l, const struct io_srv_query *q, io_srv_cb cb, void *user, struct io_srv **ret,
                 struct tenure_error *err)
{
    struct io_srv *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->mutex, NULL) != 0) {
        free(s);
        return error_set(err, TENURE_ENOMEM, "out of memory for a lookup");
    }
    atomic_init(&s->refs, 1);
    s->cb = cb;
    s->user = user;
    s->query = *q;
    int rc = io_wake_new(l, on_wake, s, &s->wake, err);
    if (rc == 0)
        rc = start_thread(s, err);
    if (rc < 0) {
        io_wake_close(s->wake);
        unref(s);
        return rc;
    }
    *ret = s;
    return 0;
}

struct io_srv *io_srv_cancel(struct io_srv *s)
{
    if (!s)
        return NULL;
    pthread_mutex_lock(&s->mutex);
    s->is_cancelled = true;
    s->wake = io_wake_close(s->wake);
    pthread_mutex_unlock(&s->mutex);
    unref(s);
    return NULL;
}
