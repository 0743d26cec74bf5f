/* Recipes per second by libtenure, by blocking calls: the same work as gorecipes/main.go. Each client has a handle and a thread
 * of its own.
 *
 *     recipes --port N --op election|stm|queue|barrier --clients N --seconds S
 */
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenure/tenure.h>
#include <time.h>

static struct {
    int port, clients;
    double seconds;
    const char *op;
} opt = {.port = 2379, .clients = 1, .seconds = 2, .op = "stm"};

static struct {
    atomic_ullong cycles;
    double begin_s, end_s;
} run;

struct worker {
    tenure_client *client;
    tenure_session *session;
    tenure_queue *queue;
    sem_t leads;
    char own[64], key[80];
    pthread_t thread;
};

static void die(const char *what, const struct tenure_error *err)
{
    fprintf(stderr, "recipes: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    sem_post(&((struct worker *)user)->leads);
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    (void)e, (void)user;
    if (code)
        die("an election ended", err);
}

/* A term of one election that all want. */
static void election(struct worker *w)
{
    struct tenure_error err = {0};
    struct tenure_election_options o = {
        .size = sizeof o, .session = w->session, .on_gained = on_gained, .on_stopped = on_stopped, .user = w};
    tenure_election *e = tenure_election_start(w->client, "bench", &o, &err);
    if (!e)
        die("campaign", &err);
    sem_wait(&w->leads);
    tenure_election_stop(e);
}

static int one_more(tenure_stm_view *v, void *key)
{
    struct tenure_kv kv = {0};
    char text[32];
    int rc = tenure_stm_get(v, tenure_str(key), &kv);
    if (rc < 0 && rc != TENURE_ENOTFOUND)
        return rc;
    snprintf(text, sizeof text, "%ld", (kv.value.len ? strtol(kv.value.data, NULL, 10) : 0) + 1);
    return tenure_stm_put(v, tenure_str(key), tenure_str(text), 0);
}

/* One in, one out, of a queue that all use. */
static void queue(struct worker *w)
{
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    if (tenure_queue_put(w->queue, tenure_str(w->own), NULL, &err) || tenure_queue_take(w->queue, 0, &item, &err))
        die("the queue", &err);
    tenure_queue_item_free(item);
}

/* Held and released, of its own. */
static void barrier(struct worker *w)
{
    struct tenure_error err = {0};
    if (tenure_barrier_hold(w->client, w->own, NULL, &err) || tenure_barrier_release(w->client, w->own, NULL, &err) ||
        tenure_barrier_wait(w->client, w->own, NULL, &err))
        die("the barrier", &err);
}

static void cycle(struct worker *w)
{
    struct tenure_error err = {0};
    switch (opt.op[0]) {
    case 'e':
        election(w);
        break;
    case 'q':
        queue(w);
        break;
    case 'b':
        barrier(w);
        break;
    default: /* one more, in a key of its own */
        if (tenure_stm(w->client, NULL, one_more, w->key, &err))
            die("stm", &err);
    }
}

static void *work(void *arg)
{
    while (now_s() < run.end_s) {
        cycle(arg);
        double now = now_s();
        if (now > run.begin_s && now < run.end_s)
            atomic_fetch_add(&run.cycles, 1);
    }
    return NULL;
}

static void prepare(struct worker *w, int i)
{
    struct tenure_error err = {0};
    struct tenure_options to = {.size = sizeof to, .call_timeout_ms = 30000};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 30};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", opt.port);
    snprintf(w->own, sizeof w->own, "bench-%03d", i);
    snprintf(w->key, sizeof w->key, "stm/%s", w->own);
    sem_init(&w->leads, 0, 0);
    if (!(w->client = tenure_open(url, &to, &err)))
        die("open", &err);
    if (opt.op[0] == 'e' && !(w->session = tenure_session_open(w->client, &so, &err)))
        die("session", &err);
    if (opt.op[0] == 'q' && !(w->queue = tenure_queue_open(w->client, "bench", NULL, &err)))
        die("queue", &err);
}

static void finish(struct worker *w)
{
    tenure_queue_close(w->queue);
    if (w->session)
        tenure_session_close(w->session, NULL);
    tenure_close(w->client);
}

int main(int argc, char **argv)
{
    static const struct option table[] = {
        {"port", 1, 0, 'p'}, {"op", 1, 0, 'o'}, {"clients", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    int o;
    while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (o) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'o':
            opt.op = optarg;
            break;
        case 'c':
            opt.clients = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        default:
            return 2;
        }
    struct worker *workers = calloc((size_t)opt.clients, sizeof *workers);
    if (!workers)
        die("out of memory", NULL);
    for (int i = 0; i < opt.clients; i++)
        prepare(&workers[i], i);
    double cpu_before = cpu_us();
    run.begin_s = now_s() + opt.seconds * 0.2;
    run.end_s = run.begin_s + opt.seconds;
    for (int i = 0; i < opt.clients; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            die("a thread", NULL);
    for (int i = 0; i < opt.clients; i++)
        pthread_join(workers[i].thread, NULL);
    unsigned long long cycles = atomic_load(&run.cycles);
    printf("{\"op\":\"%s\",\"clients\":%d,\"cycles\":%llu,\"per_s\":%.0f,\"client_us_per_cycle\":%.1f}\n", opt.op,
           opt.clients, cycles, (double)cycles / opt.seconds, (cpu_us() - cpu_before) / (double)(cycles + 1));
    for (int i = 0; i < opt.clients; i++)
        finish(&workers[i]);
    free(workers);
    return 0;
}
