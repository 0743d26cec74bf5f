/* Opening a handle: options, endpoints, the engine, the loop and, for a blocking handle, its thread. Nothing is connected
 * here; the engine does that when there is something to ask.
 *
 * The thread blocks all signals, so that the program's handlers run on the program's threads. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/address.h"
#include "lib/connection.h"
#include "lib/discover.h"
#include "lib/handle.h"
#include "lib/post.h"
#include "lib/srv.h"
#include "lib/trace.h"

#define CALL_TIMEOUT_MS  5000
#define CLOSE_TIMEOUT_MS 5000
#define SESSION_TTL_S    30
#define PORT_DEFAULT     2379
#define ENDPOINT_DEFAULT "http://127.0.0.1:2379"
#define ENDPOINT_KIT     "http://testkit:2379"

/* ---- endpoints ---- */

struct endpoints {
    char *memory; /* the text, its commas now ends */
    const char *list[ENDPOINTS_MAX];
    size_t n;
    bool tls; /* one of them has it */
};

static char *trim(char *s)
{
    s += strspn(s, " \t");
    size_t len = strlen(s);
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        s[--len] = 0;
    return s;
}

static int endpoints_add(struct endpoints *e, char *text, struct tenure_error *err)
{
    struct io_address address;
    text = trim(text);
    if (text[0] == 0)
        return error_set(err, TENURE_EINVALID, "endpoints: there is an empty one; give http://HOST:PORT,…");
    if (e->n == ENDPOINTS_MAX)
        return error_set(err, TENURE_EINVALID, "endpoints: more than %d", ENDPOINTS_MAX);
    int rc = io_address_parse(text, PORT_DEFAULT, &address, err);
    if (rc < 0)
        return error_wrap(err, "endpoints");
    e->list[e->n++] = text;
    e->tls = e->tls || address.tls;
    return 0;
}

static int endpoints_parse(struct endpoints *e, const char *text, struct tenure_error *err)
{
    if (!text)
        return 0;
    char *rest = e->memory = strdup(text);
    int rc = rest ? 0 : error_set(err, TENURE_ENOMEM, "endpoints: out of memory");
    while (rc == 0 && rest) {
        char *one = strsep(&rest, ",");
        rc = endpoints_add(e, one, err);
    }
    return rc;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* NULL: none, because they come by DNS. */
static const char *endpoints_default(struct tenure_options *o)
{
    const char *env = environment("TENURE_ENDPOINTS");
    if (!env && !o->discovery_srv)
        o->discovery_srv = lib_srv_default();
    return env ? env : o->discovery_srv ? NULL : ENDPOINT_DEFAULT;
}

/* ---- the parts ---- */

void handle_log_sink(void *user, enum log_level level, const char *line)
{
    tenure_client *c = user;
    c->log(c->log_user, (int)level, line);
}

static int make_seed(const tenure_client *c, struct rng *ret, struct tenure_error *err)
{
    uint64_t seed;
    if (c->kit)
        seed = c->kit->random(c->kit_user);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return error_errno(err, errno, "no random numbers");
    rng_init(ret, seed);
    return 0;
}

/* Who asks, when the program does not say: *ret_memory is what the answers live in, to be freed. */
static int identity_default(struct client_config *config, char **ret_memory, struct tenure_error *err)
{
    const char *user = environment("TENURE_USER");
    config->token = environment("TENURE_AUTH_TOKEN");
    if (config->token || !user)
        return 0;
    char *copy = *ret_memory = strdup(user), *colon = copy ? strchr(copy, ':') : NULL;
    if (!copy)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    config->user = copy;
    config->password = environment("TENURE_PASSWORD");
    if (colon && !config->password) {
        *colon = 0;
        config->password = colon + 1;
    }
    return 0;
}

static void forget(char *secret, size_t len)
{
    if (secret)
        explicit_bzero(secret, len);
    free(secret);
}

static int open_engine(tenure_client *c, const struct endpoints *e, const struct tenure_options *o,
                       struct tenure_error *err)
{
    struct client_config config = {
        .endpoints = e->list,
        .n_endpoints = e->n,
        .endpoints_come = o->discovery_srv != NULL,
        .call_timeout_ms = c->call_timeout_ms,
        .connect_timeout_ms = o->connect_timeout_ms,
        .user = o->user,
        .password = o->password,
        .token = o->token,
        .never_older = o->never_older != 0,
        .on_event = c->on_call ? trace_on_event : NULL,
        .on_event_user = c,
        .log = {.min = LOG_DEBUG, .sink = c->log ? handle_log_sink : NULL, .user = c},
    };
    char *memory = NULL;
    int rc = make_seed(c, &config.seed, err);
    if (rc == 0 && !o->user && !o->password && !o->token && !c->kit)
        rc = identity_default(&config, &memory, err);
    size_t memory_len = memory ? strlen(environment("TENURE_USER")) : 0;
    if (rc == 0)
        rc = client_new(&config, c->now, &c->engine, err);
    forget(memory, memory_len);
    return rc;
}

/* The new thread inherits the mask of this one. The mutex makes it wait until c->thread is known to it. */
static int start_thread(tenure_client *c, struct tenure_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&c->posts.mutex);
    int rc = pthread_create(&c->thread, NULL, handle_thread, c);
    pthread_mutex_unlock(&c->posts.mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : error_errno(err, rc, "the handle's thread");
}

static int set_options(tenure_client *c, const struct tenure_options *o, struct tenure_error *err)
{
    if (o->call_timeout_ms < 0 || o->connect_timeout_ms < 0 || o->close_timeout_ms < 0 || o->session_ttl_s < 0 ||
        o->discover_ms < 0)
        return error_set(err, TENURE_EINVALID, "a time in the options is negative");
    c->call_timeout_ms = o->call_timeout_ms ? o->call_timeout_ms : CALL_TIMEOUT_MS;
    c->close_timeout_ms = o->close_timeout_ms ? o->close_timeout_ms : CLOSE_TIMEOUT_MS;
    c->session_ttl_s = o->session_ttl_s ? o->session_ttl_s : SESSION_TTL_S;
    if (c->call_timeout_ms > TIMEOUT_MAX_MS || c->close_timeout_ms > TIMEOUT_MAX_MS)
        return error_set(err, TENURE_EINVALID, "a time in the options is too large");
    c->log = o->log;
    c->log_user = o->log_user;
    c->on_call = o->on_call;
    c->on_call_user = o->on_call_user;
    c->exact_guarded = o->exact_guarded != 0;
    c->federated = o->federated != 0;
    if (o->marks_prefix && !(c->marks_prefix = strdup(o->marks_prefix)))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->purpose = strdup(o->purpose ? o->purpose : program_invocation_short_name);
    return c->purpose ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

/* ---- the handle ---- */

static tenure_client *alloc(enum handle_kind kind, const struct lib_kit *kit, void *kit_user, struct tenure_error *err)
{
    tenure_client *c = calloc(1, sizeof *c);
    if (!c || posts_init(&c->posts) < 0) {
        free(c);
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    c->kind = kind;
    c->pid = getpid();
    c->kit = kit;
    c->kit_user = kit_user;
    c->now = handle_clock(c);
    atomic_init(&c->refs, 1);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        c->sockets[i].fd = -1;
    list_init(&c->conns);
    list_init(&c->views);
    list_init(&c->objects);
    list_init(&c->timed);
    list_init(&c->marks);
    list_init(&c->exacts);
    scopes_init(&c->scopes);
    buf_init(&c->out);
    return c;
}

static int build(tenure_client *c, struct uv_loop_s *uv, const char *endpoints, const struct tenure_options *options,
                 struct tenure_error *err)
{
    struct tenure_options o;
    struct endpoints e = {0};
    int rc = options_take(&o, sizeof o, options, "options", err);
    if (rc == 0)
        rc = set_options(c, &o, err);
    if (rc == 0)
        rc = endpoints_parse(&e, endpoints ? endpoints : endpoints_default(&o), err);
    if (rc == 0)
        rc = lib_secure_open(c, &o, e.tls, err);
    if (rc == 0)
        rc = open_engine(c, &e, &o, err);
    if (rc == 0 && !c->kit)
        rc = io_loop_new(uv, &c->loop, err);
    if (rc == 0)
        rc = driver_start(c, err);
    if (rc == 0 && o.discovery_srv && !c->kit)
        rc = lib_srv_start(c, &o, err);
    if (rc == 0 && o.on_connection)
        rc = lib_connection_start(c, o.on_connection, o.on_connection_user, err);
    if (rc == 0 && o.discover_ms > 0)
        rc = lib_discover_start(c, o.discover_ms, err);
    if (rc == 0 && c->kind == HANDLE_BLOCKING)
        rc = start_thread(c, err);
    free(e.memory);
    return rc;
}

/* c: NULL = it could not be made. */
static tenure_client *open_handle(tenure_client *c, struct uv_loop_s *uv, const char *endpoints,
                                  const struct tenure_options *options, struct tenure_error *err)
{
    if (!c)
        return NULL;
    if (build(c, uv, endpoints, options, err) == 0)
        return c;
    if (err)
        error_wrap(err, "open");
    handle_abandon(c);
    return NULL;
}

static _Thread_local lib_kit_opener opener; /* NULL but in a test */

void lib_kit_set_opener(lib_kit_opener instead)
{
    opener = instead;
}

tenure_client *tenure_open(const char *endpoints, const struct tenure_options *options, struct tenure_error *err)
{
    if (opener)
        return opener(options, err);
    return open_handle(alloc(HANDLE_BLOCKING, NULL, NULL, err), NULL, endpoints, options, err);
}

tenure_client *tenure_open_uv(struct uv_loop_s *loop, const char *endpoints, const struct tenure_options *options,
                              struct tenure_error *err)
{
    if (!loop) {
        error_set(err, TENURE_EINVALID, "open: the loop is NULL");
        return NULL;
    }
    return open_handle(alloc(HANDLE_UV, NULL, NULL, err), loop, endpoints, options, err);
}

tenure_client *tenure_open_poll(const char *endpoints, const struct tenure_options *options, struct tenure_error *err)
{
    return open_handle(alloc(HANDLE_POLL, NULL, NULL, err), NULL, endpoints, options, err);
}

tenure_client *lib_kit_open(const struct lib_kit *kit, void *user, const struct tenure_options *options,
                            struct tenure_error *err)
{
    return open_handle(alloc(HANDLE_KIT, kit, user, err), NULL, ENDPOINT_KIT, options, err);
}
