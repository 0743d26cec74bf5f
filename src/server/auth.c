/* See auth.h.
 *
 * Passwords: a queue, and as many threads at a time as half the processors, at most WORKERS_MAX: a storm of logins must not
 * take the loop's own time. The core bounds how many wait. A thread lives for one password: making it costs a thousandth
 * of what a hash does.
 *
 * Happy path of one: password_submit -> a thread -> done, on the loop: core_password_done, and the next begins.
 */
#include "server/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "http/jwt.h"
#include "io/jwt_key.h"
#include "io/password.h"
#include "io/work.h"

#define WORKERS_MAX   4
#define JWT_TTL_MS    300000
#define TOKEN_OPT_MAX 4096

struct worker {
    struct server *server;
    struct io_work *work; /* NULL: idle */
    struct core_password *job;
    struct tenure_error error;
    unsigned cost;
};

struct auth_driver {
    struct worker workers[WORKERS_MAX];
    size_t n_workers;
    struct core_password *first, *last; /* the queue, by job->driver */
    struct jwt_key *key;                /* NULL: simple tokens */
    int64_t ttl_ms;                     /* of signed ones */
};

/* ---- --auth-token ---- */

/* As Go reads a duration: "1h30m", "90s", "1.5h". */
static bool read_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
    double sum = 0;
    if (!*text)
        return false;
    while (*text) {
        char *end;
        double number = strtod(text, &end);
        size_t u = 0;
        if (end == text || number < 0 || strspn(text, "0123456789.") != (size_t)(end - text))
            return false;
        while (u < ARRAY_LEN(units) && strncmp(end, units[u].name, strlen(units[u].name)) != 0)
            u++;
        if (u == ARRAY_LEN(units))
            return false;
        sum += number * units[u].ms;
        text = end + strlen(units[u].name);
    }
    *ret_ms = (int64_t)sum;
    return sum < 1e15;
}

/* One NAME=VALUE of "jwt,…". etcd warns of names that it does not know. */
static int take_option(struct server *s, struct jwt_key_config *key, char *option, struct tenure_error *err)
{
    char *value = strchr(option, '=');
    const char **to = NULL;
    if (!value || strchr(value + 1, '='))
        return error_set(err, TENURE_EINVALID, "auth-token: '%s' is not NAME=VALUE", option);
    *value++ = 0;
    if (strcmp(option, "sign-method") == 0)
        to = &key->sign_method;
    else if (strcmp(option, "pub-key") == 0)
        to = &key->public_file;
    else if (strcmp(option, "priv-key") == 0)
        to = &key->private_file;
    else if (strcmp(option, "ttl") == 0)
        return read_duration(value, &s->auth->ttl_ms)
                   ? 0
                   : error_set(err, TENURE_EINVALID, "auth-token: ttl '%s' is not a time such as 10m", value);
    if (!to) {
        log_write(&s->log, LOG_WARN, "auth-token: unknown option", "name=\"%s\"", option);
        return 0;
    }
    if (*to)
        return error_set(err, TENURE_EINVALID, "auth-token: %s is given twice", option);
    *to = value;
    return 0;
}

static int open_token(struct server *s, const char *kind, struct tenure_error *err)
{
    struct jwt_key_config key = {0};
    char options[TOKEN_OPT_MAX];
    if (!kind || strcmp(kind, "simple") == 0)
        return 0;
    if (strncmp(kind, "jwt", 3) != 0 || (kind[3] && kind[3] != ','))
        return error_set(err, TENURE_EINVALID, "auth-token: '%.100s' is neither simple nor jwt,NAME=VALUE,…", kind);
    if (strlen(kind) >= sizeof options)
        return error_set(err, TENURE_EINVALID, "auth-token: too long");
    snprintf(options, sizeof options, "%s", kind[3] ? kind + 4 : "");
    char *rest = options, *option;
    while (*rest && (option = strsep(&rest, ","))) {
        int rc = take_option(s, &key, option, err);
        if (rc)
            return rc;
        if (!rest)
            break;
    }
    return jwt_key_open(&key, &s->auth->key, err);
}

/* ---- passwords ---- */

static size_t workers_wanted(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t half = processors > 2 ? (size_t)processors / 2 : 1;
    return half < WORKERS_MAX ? half : WORKERS_MAX;
}

/* On a thread of its own: touches the job and itself alone. */
static void run(void *user)
{
    struct worker *w = user;
    struct core_password *job = w->job;
    int rc;
    if (job->kind == CORE_PASSWORD_HASH) {
        rc = password_hash(job->password, w->cost, job->hash, sizeof job->hash, &w->error);
        job->result = rc == 0 ? CORE_PASSWORD_OK : CORE_PASSWORD_FAILED;
        return;
    }
    rc = password_check(job->password, job->hash, &w->error);
    job->result = rc == 1 ? CORE_PASSWORD_OK : rc == 0 ? CORE_PASSWORD_WRONG : CORE_PASSWORD_FAILED;
}

static struct core_password *queue_take(struct auth_driver *a)
{
    struct core_password *job = a->first;
    if (!job)
        return NULL;
    a->first = job->driver;
    if (!a->first)
        a->last = NULL;
    job->driver = NULL;
    return job;
}

static void queue_put(struct auth_driver *a, struct core_password *job)
{
    job->driver = NULL;
    if (a->last)
        a->last->driver = job;
    else
        a->first = job;
    a->last = job;
}

static struct worker *idle_worker(struct auth_driver *a)
{
    for (size_t i = 0; i < a->n_workers; i++) {
        if (!a->workers[i].job)
            return &a->workers[i];
    }
    return NULL;
}

static void end_job(struct worker *w, tn_ms now)
{
    struct core_password *job = w->job;
    w->job = NULL;
    w->work = NULL;
    if (job->result == CORE_PASSWORD_FAILED && w->error.text[0])
        log_write(&w->server->log, LOG_ERROR, "a password could not be hashed", "error=\"%s\"", w->error.text);
    core_password_done(w->server->core, job, now);
}

static void done(void *user);

static void begin_jobs(struct server *s, tn_ms now)
{
    struct auth_driver *a = s->auth;
    struct worker *w;
    while (a->first && (w = idle_worker(a))) {
        w->job = queue_take(a);
        w->error = (struct tenure_error){0};
        if (io_work_start(s->loop, run, done, w, &w->work, &w->error) < 0)
            end_job(w, now);
    }
}

static void done(void *user)
{
    struct worker *w = user;
    struct server *s = w->server;
    tn_ms now = turn_begin(s);
    end_job(w, now);
    begin_jobs(s, now);
}

static bool on_password(void *user, struct core_password *job)
{
    struct server *s = user;
    queue_put(s->auth, job);
    begin_jobs(s, io_now(s->loop));
    return true;
}

/* ---- tokens ---- */

static void on_random(void *user, void *to, size_t len)
{
    uint8_t *at = to;
    (void)user;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

static int on_sign(void *user, bytes name, uint64_t auth_revision, struct buf *out)
{
    const struct auth_driver *a = ((struct server *)user)->auth;
    struct jwt_claims claims = {name, auth_revision};
    struct buf signature;
    buf_init(&signature);
    jwt_begin(jwt_key_method(a->key), &claims, (io_wall_ms() + a->ttl_ms) / 1000, out);
    int rc = buf_error(out);
    if (!rc)
        rc = jwt_key_sign(a->key, buf_bytes(out), &signature);
    if (!rc) {
        jwt_end(buf_bytes(&signature), out);
        rc = buf_error(out);
    }
    buf_fini(&signature);
    return rc;
}

static int on_verify(void *user, bytes token, struct arena *arena, bytes *ret_name, uint64_t *ret_revision)
{
    const struct auth_driver *a = ((struct server *)user)->auth;
    struct jwt jwt;
    struct jwt_claims claims;
    int rc = jwt_split(token, arena, &jwt);
    if (!rc && !bytes_equal(jwt.alg, bytes_str(jwt_key_method(a->key))))
        rc = TENURE_EINVALID; /* the token does not choose how it is proved */
    if (!rc && !jwt_key_proves(a->key, jwt.signed_by, jwt.signature))
        rc = TENURE_EINVALID;
    if (!rc)
        rc = jwt_claims(jwt.claims, io_wall_ms() / 1000, arena, &claims);
    if (rc)
        return rc;
    *ret_name = claims.username;
    *ret_revision = claims.revision;
    return 0;
}

/* ---- life ---- */

int auth_open(struct server *s, struct tenure_error *err)
{
    struct auth_driver *a = s->auth = calloc(1, sizeof *a);
    unsigned cost = s->config.bcrypt_cost;
    if (!a)
        return error_set(err, TENURE_ENOMEM, "auth: out of memory");
    a->ttl_ms = JWT_TTL_MS;
    a->n_workers = workers_wanted();
    if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX)
        cost = PASSWORD_COST_DEFAULT;
    for (size_t i = 0; i < a->n_workers; i++)
        a->workers[i] = (struct worker){.server = s, .cost = cost};
    return open_token(s, s->config.auth_token, err);
}

void auth_configure(struct server *s, struct core_config *config)
{
    config->token_ttl_ms = s->config.auth_token_ttl_s * 1000;
    config->random = on_random;
    config->password_submit = on_password;
    config->token_sign = s->auth->key ? on_sign : NULL;
    config->token_verify = s->auth->key ? on_verify : NULL;
}

void auth_close(struct server *s)
{
    struct auth_driver *a = s->auth;
    struct core_password *job;
    if (!a)
        return;
    tn_ms now = io_now(s->loop);
    while ((job = queue_take(a)))
        core_password_done(s->core, job, now);
    for (size_t i = 0; i < a->n_workers; i++) {
        struct worker *w = &a->workers[i];
        if (!w->job)
            continue;
        io_work_join(w->work);
        end_job(w, now);
    }
    a->key = jwt_key_close(a->key);
    free(a);
    s->auth = NULL;
}
