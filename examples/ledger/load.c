/* Clients of the ledger: find its instances in the registry, book, and ask again until they know.
 *
 *     ledger-load [--clients N] [--seed S] [--endpoints URLS]
 *
 * Each client has one booking under way. It picks an instance, follows it to the leader, and when the answer is none (a lost
 * connection, a deadline, 503) sends the same booking again, with the same id, to the next instance: so it is never booked twice. What it
 * did it says line by line on standard output:
 *
 *     sent ID PAYER PAYEE AMOUNT           before the first attempt
 *     done ID STATUS FEE ATTEMPTS MS       201 and 200: it is booked; 422: it was refused, and is not
 *
 * Ends by TERM or INT, when each client knows what became of its last booking, and at the latest 60 s later. Exit codes: 0; 1 when one of
 * them still does not know, or it could not begin.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <jansson.h>

#include <tenure/tenure.h>

#define CLIENTS_MAX 64
#define HASTY_MS    2000  /* an attempt, of every other client */
#define PATIENT_MS  25000 /* of the rest: they wait also for an instance that stands still for longer than its lease */
#define IDLE_MS     200 /* at most, between two bookings: else all clients would go in step with the writer's batches */
#define PAUSE_MS    100 /* behind an attempt without an answer */
#define ENDING_MS   60000
#define ANSWER_MAX  4096
#define ACCOUNTS    20

static struct {
    tenure_picker *picker;
    unsigned seed;
    atomic_int_least64_t until_ms; /* of the ending; 0: it has not begun */
    atomic_int unknown;
} g;

struct client {
    pthread_t thread;
    int number;
    unsigned random;
    CURL *curl;
    size_t len;
    char answer[ANSWER_MAX];
};

struct order {
    char id[64], payer[32], payee[32], json[256];
    int64_t amount;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stdout);
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(args);
}

static bool ends(void)
{
    return atomic_load(&g.until_ms) != 0;
}

static bool is_over(void)
{
    int64_t until = atomic_load(&g.until_ms);
    return until != 0 && now_ms() > until;
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct client *c = user;
    size_t room = sizeof c->answer - 1 - c->len, len = size * n < room ? size * n : room;
    memcpy(c->answer + c->len, data, len);
    c->len += len;
    c->answer[c->len] = 0;
    return size * n;
}

/* One attempt at one instance and, where that sends us on, the leader: the status of the answer, or 0: there was none. */
static long attempt(struct client *c, const struct order *o, const char *endpoint)
{
    char url[256];
    long status = 0;
    snprintf(url, sizeof url, "http://%s/bookings", endpoint);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, o->json);
    c->len = 0;
    c->answer[0] = 0;
    CURLcode rc = curl_easy_perform(c->curl);
    if (rc == CURLE_OK)
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static bool is_known(long status)
{
    return status == 200 || status == 201 || status == 422;
}

static int64_t fee_of(const struct client *c)
{
    json_t *json = json_loads(c->answer, 0, NULL);
    int64_t fee = json_integer_value(json_object_get(json, "fee"));
    json_decref(json);
    return fee;
}

/* Until it is known what became of it. */
static void place(struct client *c, const struct order *o)
{
    struct tenure_error err = {0};
    int64_t begun = now_ms();
    say("sent %s %s %s %" PRId64, o->id, o->payer, o->payee, o->amount);
    for (int attempts = 1; !is_over(); attempts++) {
        const struct tenure_instance *i = tenure_pick(g.picker, tenure_str(""), &err);
        long status = i ? attempt(c, o, i->endpoint) : 0;
        tenure_pick_done(i);
        if (is_known(status)) {
            say("done %s %ld %" PRId64 " %d %" PRId64, o->id, status, status == 422 ? 0 : fee_of(c), attempts,
                now_ms() - begun);
            return;
        }
        pause_ms(PAUSE_MS);
    }
    say("unknown %s", o->id);
    atomic_fetch_add(&g.unknown, 1);
}

static unsigned draw(struct client *c, unsigned below)
{
    return (unsigned)rand_r(&c->random) % below;
}

/* One in twenty is larger than the limit usually is; one in ten costs something that is hard to round. */
static void make_order(struct client *c, int number, struct order *o)
{
    unsigned payer = draw(c, ACCOUNTS), payee = (payer + 1 + draw(c, ACCOUNTS - 1)) % ACCOUNTS;
    snprintf(o->id, sizeof o->id, "%u-%d-%d", g.seed, c->number, number);
    snprintf(o->payer, sizeof o->payer, "account-%u", payer + 1);
    snprintf(o->payee, sizeof o->payee, "account-%u", payee + 1);
    o->amount = draw(c, 20) == 0 ? 20000 : 1 + draw(c, 5000);
    snprintf(o->json, sizeof o->json, "{\"id\": \"%s\", \"from\": \"%s\", \"to\": \"%s\", \"amount\": %" PRId64 "}",
             o->id, o->payer, o->payee, o->amount);
}

static void *client(void *arg)
{
    struct client *c = arg;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    c->curl = curl_easy_init();
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c->curl, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    curl_easy_setopt(c->curl, CURLOPT_MAXREDIRS, 3L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, c->number % 2 ? (long)HASTY_MS : (long)PATIENT_MS);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    for (int number = 1; !ends(); number++) {
        struct order o;
        make_order(c, number, &o);
        place(c, &o);
        pause_ms(draw(c, IDLE_MS));
    }
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(headers);
    return NULL;
}

/* A live copy of who is there, and a picker on it, for all clients. While the servers do not answer it goes on with what it has. */
static int discover(tenure_client *handle, struct tenure_error *err)
{
    struct tenure_picker_options o = {.size = sizeof o, .policy = TENURE_PICK_ROUND_ROBIN, .any_if_none = true};
    tenure_service_view *view = tenure_service_view_start(handle, "ledger", NULL, err);
    if (!view || tenure_service_view_await(view, 10000, err) < 0)
        return -1;
    g.picker = tenure_picker_new(view, &o, err);
    return g.picker ? 0 : -1;
}

static int run(int clients, const sigset_t *signals)
{
    static struct client all[CLIENTS_MAX];
    int begun = 0, number;
    for (; begun < clients; begun++) {
        struct client *c = &all[begun];
        c->number = begun + 1;
        c->random = g.seed * 1000 + (unsigned)begun;
        if (pthread_create(&c->thread, NULL, client, c) != 0)
            break;
    }
    sigwait(signals, &number);
    atomic_store(&g.until_ms, now_ms() + ENDING_MS);
    for (int i = 0; i < begun; i++)
        pthread_join(all[i].thread, NULL);
    return begun == clients && atomic_load(&g.unknown) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"clients", 1, NULL, 'c'}, {"seed", 1, NULL, 's'}, {"endpoints", 1, NULL, 'e'}, {NULL, 0, NULL, 0}};
    const char *endpoints = NULL;
    int clients = 8;
    g.seed = 1;
    for (int word; (word = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (word == 'c')
            clients = atoi(optarg);
        else if (word == 's')
            g.seed = (unsigned)strtoul(optarg, NULL, 10);
        else if (word == 'e')
            endpoints = optarg;
        else
            return 2;
    }
    if (optind != argc || clients < 1 || clients > CLIENTS_MAX)
        return fprintf(stderr, "usage: ledger-load [--clients 1…64] [--seed N] [--endpoints URLS]\n"), 2;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);

    struct tenure_error err = {0};
    tenure_client *handle = tenure_open(endpoints, NULL, &err);
    int rc = handle ? discover(handle, &err) : -1;
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    else
        rc = run(clients, &signals);
    tenure_picker_free(g.picker);
    tenure_close(handle);
    curl_global_cleanup();
    return rc == 0 ? 0 : 1;
}
