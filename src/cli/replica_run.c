/* A replica as it runs: a server on the copy, and on its loop a handle of the source's, which the follower drives.
 *
 *     prepared -> serving and following --stopped--> over
 *        ^          |  the source has dropped what we lack: still serving, while a thread makes a new copy
 *        `----------'  that copy takes the directory's place, and the server begins anew on the same addresses
 *
 * A source that has another history ends it: a copy that nobody can bring up to date must not pass for one.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/connect.h"
#include "cli/replica.h"
#include "cli/serve_flags.h"
#include "cli/serve_log.h"
#include "lib/handle.h"
#include "replica/follower.h"
#include "server/server.h"

enum { LISTEN_MAX = 16, COPY_RETRY_S = 2 };
#define NO_QUOTA (INT64_C(1) << 50)

struct run {
    const struct replica_options *o;
    const struct global_options *g;
    struct log log;
    uint64_t cluster;
    struct replica_prefixes prefixes;
    struct replica_mark mark;     /* of the copy that is served */
    struct replica_ranges ranges; /* of a copy by ranges */
    char *ranges_text;
    bool has_user, has_certificate;
    char *listen_text, *advertise_text;
    const char *listen[LISTEN_MAX], *advertise[LISTEN_MAX];
    size_t n_listen, n_advertise;
    char urls[LISTEN_MAX][256]; /* as they came to be: kept when it begins anew */

    struct server *server;
    struct follower *follower;
    tenure_client *source;
    bool source_closed, closing;

    pthread_t copier;
    bool copying;                /* that thread is there */
    atomic_bool copied;          /* it is done */
    atomic_bool ending;          /* it is to end */
    struct tenure_error refused; /* its last word: there is nothing to copy any more; to be read when it has ended */
};

/* ---- between the two ---- */

static tn_ms on_enter(void *user)
{
    struct run *r = user;
    return server_enter(r->server);
}

static bool on_users(void *user)
{
    struct run *r = user;
    struct tenure_error err;
    if (replica_mark_users(r->o->data_dir, &err) == 0)
        return true;
    log_write(&r->log, LOG_ERROR, "it cannot be kept that the source has authentication on: nothing is answered",
              "error=\"%s\"", err.text);
    return false;
}

static void on_asked(void *user)
{
    struct run *r = user;
    if (r->source)
        handle_wants_turn(r->source);
}

/* ---- the next copy ---- */

static void pause_a_moment(const struct run *r)
{
    struct timespec t = {0, 100000000};
    for (int i = 0; i < COPY_RETRY_S * 10 && !r->ending; i++)
        nanosleep(&t, NULL);
}

static void *copy_again(void *arg)
{
    struct run *r = arg;
    int rc = -1;
    while (rc && !r->ending) {
        struct tenure_error err = {0};
        struct tenure_options options;
        connect_options(r->g, &options);
        tenure_client *c = tenure_open(r->g->endpoints, &options, &err);
        struct replica_source from = {.client = c, .has_user = r->has_user, .prefixes = &r->prefixes};
        bool refused = c && replica_is_refused(&from, r->cluster, &r->refused);
        rc = c && !refused ? replica_copy_beside(r->o->data_dir, r->o->name, &from, r->cluster, &err) : -1;
        tenure_close(c);
        if (refused) {
            server_stop(r->server);
            return NULL;
        }
        r->refused = (struct tenure_error){0};
        if (rc)
            log_write(&r->log, LOG_WARN, "no new copy yet", "error=\"%s\"", err.text);
        if (rc)
            pause_a_moment(r);
    }
    if (rc == 0) {
        r->copied = true;
        server_stop(r->server);
    }
    return NULL;
}

static void begin_copy(struct run *r)
{
    sigset_t all, before;
    if (r->copying)
        return;
    log_write(&r->log, LOG_WARN, "a new copy is made; reads are answered from the old one meanwhile", NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r->copying = pthread_create(&r->copier, NULL, copy_again, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_copy(struct run *r)
{
    r->ending = true;
    if (r->copying)
        pthread_join(r->copier, NULL);
    r->copying = false;
    r->ending = false;
}

/* ---- the turn ---- */

static tn_ms on_turn(void *user, tn_ms now)
{
    struct run *r = user;
    if (r->closing)
        return TN_MS_NEVER;
    follower_run(r->follower, now);
    if (follower_state(r->follower) == FOLLOWER_LOST)
        begin_copy(r);
    if (follower_state(r->follower) == FOLLOWER_REFUSED)
        server_stop(r->server);
    return follower_deadline(r->follower);
}

/* ---- opening ---- */

static size_t split(char *text, const char **ret)
{
    size_t n = 0;
    for (char *one; text && n < LISTEN_MAX && (one = strsep(&text, ","));) {
        if (*one)
            ret[n++] = one;
    }
    return n;
}

static void fill(const struct run *r, struct server_config *k)
{
    const struct replica_options *o = r->o;
    *k = (struct server_config){
        .data_dir = o->data_dir,
        .name = o->name ? o->name : "replica",
        .listen_urls = (const char *const *)r->listen,
        .n_listen_urls = r->n_listen,
        .advertise_urls = (const char *const *)r->advertise,
        .n_advertise_urls = r->n_advertise,
        .listen_anywhere = o->listen_anywhere,
        .auth_token = o->auth_token,
        .tls = {.cert_file = o->tls_cert,
                .key_file = o->tls_key,
                .ca_file = o->tls_client_ca,
                .client_cert_auth = o->tls_client_ca != NULL},
        .quota_bytes = NO_QUOTA,
        .retention_ms = -1,
        .source = &follower_source,
        .source_user = r->follower,
        .source_cluster = r->cluster,
        .source_has_users = r->has_user,
        .staleness_ms_max = o->staleness_ms,
        .source_parts = r->ranges.all,
        .n_source_parts = r->ranges.n,
        .source_parts_text = r->ranges_text,
        .forward_others = o->others && strcmp(o->others, "forward") == 0,
        .forward_when_stale = o->when_stale && strcmp(o->when_stale, "forward") == 0,
        .on_turn = on_turn,
        .user = (void *)r,
        .log = r->log,
    };
}

/* Without a user as nobody: a source that wants to know who asks is noticed by that, at any time. */
static int open_source(struct run *r, struct tenure_error *err)
{
    struct tenure_options options;
    connect_options(r->g, &options);
    r->source = tenure_open_uv(io_loop_uv(server_loop(r->server)), r->g->endpoints, &options, err);
    return r->source ? 0 : err->code;
}

static void forget_ranges(struct run *r)
{
    replica_mark_free(&r->mark);
    replica_ranges_free(&r->ranges);
    free(r->ranges_text);
    r->ranges_text = NULL;
}

/* Which keys are here: another copy may have been made in another way. */
static int read_ranges(struct run *r, struct tenure_error *err)
{
    forget_ranges(r);
    int rc = replica_mark_read(r->o->data_dir, &r->mark, err);
    if (rc || r->mark.first == 0)
        return rc;
    r->ranges_text = replica_prefixes_text(r->mark.prefixes, r->mark.n_prefixes);
    rc = replica_ranges(r->mark.prefixes, r->mark.n_prefixes, &r->ranges);
    return r->ranges_text && rc == 0 ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

static int open_all(struct run *r, struct tenure_error *err)
{
    struct server_config config;
    int rc = read_ranges(r, err);
    if (rc)
        return rc;
    struct follower_config follow = {.cluster_id = r->cluster,
                                     .has_users = r->has_user,
                                     .has_certificate = r->has_certificate,
                                     .log = r->log,
                                     .users_are_on = on_users,
                                     .enter = on_enter,
                                     .asked = on_asked,
                                     .parts = r->ranges.all,
                                     .n_parts = r->ranges.n,
                                     .first = r->mark.first,
                                     .user = r};
    r->follower = follower_new(&follow);
    if (!r->follower)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    fill(r, &config);
    rc = server_open(&config, &r->server, err);
    if (rc == 0)
        rc = open_source(r, err);
    if (rc == 0)
        follower_start(r->follower, server_core(r->server), server_store(r->server), r->source->engine,
                       handle_now(r->source));
    return rc;
}

/* ---- closing ---- */

static void on_source_closed(void *user)
{
    struct run *r = user;
    r->source_closed = true;
    io_loop_stop(server_loop(r->server));
}

static void close_all(struct run *r)
{
    r->closing = true;
    if (r->source) {
        tenure_client *source = r->source;
        follower_stop(r->follower, handle_now(source));
        r->source = NULL;
        r->source_closed = false;
        tenure_close_start(source, on_source_closed, r);
        while (!r->source_closed)
            io_loop_run(server_loop(r->server));
    }
    r->server = server_close(r->server);
    r->follower = follower_free(r->follower);
    r->closing = false;
}

/* ---- running ---- */

static void keep_urls(struct run *r)
{
    for (size_t i = 0; i < r->n_listen; i++) {
        snprintf(r->urls[i], sizeof r->urls[i], "%s", server_url(r->server, i));
        r->listen[i] = r->urls[i];
    }
}

static void say_ready(struct run *r, bool again)
{
    char line[4096];
    if (again)
        return;
    puts(server_ready_line(r->server, line, sizeof line));
    fflush(stdout);
    clearerr(stdout);
}

/* 1: a new copy has taken the place, begin anew. */
static int serve(struct run *r, bool again, struct tenure_error *err)
{
    int rc = open_all(r, err);
    if (rc == 0) {
        keep_urls(r);
        say_ready(r, again);
        server_run(r->server);
        r->closing = true;
        end_copy(r);
        if (follower_state(r->follower) == FOLLOWER_REFUSED) {
            *err = *follower_error(r->follower);
            rc = err->code;
        } else if (r->refused.code) {
            *err = r->refused;
            rc = err->code;
        }
    }
    close_all(r);
    if (rc == 0 && r->copied)
        rc = replica_take_beside(r->o->data_dir, err);
    bool anew = rc == 0 && r->copied;
    r->copied = false;
    return anew ? 1 : rc;
}

static int prepare(struct run *r, struct tenure_error *err)
{
    tenure_client *c = connect_open("replica", r->g);
    struct replica_source from = {.client = c, .has_user = r->has_user, .prefixes = &r->prefixes};
    int rc = c ? replica_prepare(r->o->data_dir, r->o->name, &from, &r->cluster, err) : TENURE_EINVALID;
    tenure_close(c);
    return rc;
}

static int run_with_log(struct run *r)
{
    struct tenure_error err = {0};
    r->listen_text = strdup(r->o->listen);
    r->advertise_text = r->o->advertise ? strdup(r->o->advertise) : NULL;
    r->n_listen = split(r->listen_text, r->listen);
    r->n_advertise = split(r->advertise_text, r->advertise);
    int rc = r->listen_text ? prepare(r, &err) : TENURE_ENOMEM;
    bool again = false;
    while (rc == 0) {
        rc = serve(r, again, &err);
        if (rc <= 0)
            break;
        rc = 0;
        again = true;
    }
    forget_ranges(r);
    free(r->listen_text);
    free(r->advertise_text);
    if (rc == 0)
        return EXIT_OK;
    return err.code ? connect_failed("replica", r->g, &err) : connect_code();
}

int replica_run(const struct replica_options *o, const struct global_options *g)
{
    struct tenure_error err = {0};
    struct serve_log *log;
    struct serve_flags flags;
    struct run r = {.o = o, .g = g};
    (void)replica_prefixes(&o->prefixes, &r.prefixes); /* looked at by the command */
    unsetenv("TENURE_AUTH_TOKEN");
    r.has_certificate = g->cert_file || getenv("TENURE_CERT");
    r.has_user = g->user || getenv("TENURE_USER") || r.has_certificate;
    serve_flags_init(&flags);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is a full disk, not the end */
    if (serve_log_open(&flags.o, &log, &err) < 0)
        return connect_failed("replica", g, &err);
    r.log = serve_log_log(log, false);
    int code = run_with_log(&r);
    serve_log_close(log);
    serve_flags_fini(&flags);
    return code;
}
