#include "http.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <microhttpd.h>

#include "say.h"
#include "store.h"

#define BODY_MAX        4096
#define CONNECTIONS_MAX 64
#define SILENT_S        10 /* a connection on which nothing comes is closed */

struct http {
    struct MHD_Daemon *daemon;
    const char *name;
    struct writer *writer;
    struct coordination *coordination;
    pthread_mutex_t reads; /* one at a time, on a connection of their own */
    struct pg pg;
};

struct body {
    size_t len;
    char text[BODY_MAX];
};

/* ---- answers ---- */

/* Takes json. location: NULL or where the leader is. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, json_t *json, const char *location)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
    if (!text)
        return MHD_NO;
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Content-Type", "application/json");
    if (location)
        MHD_add_response_header(r, "Location", location);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(r, "Retry-After", "1");
    enum MHD_Result result = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result problem(struct MHD_Connection *connection, unsigned status, const char *why)
{
    return reply(connection, status, json_pack("{s:s}", "error", why), NULL);
}

static json_t *as_json(const struct booking *b)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "id", b->id, "from", b->payer, "to", b->payee, "amount",
                     (json_int_t)b->amount, "fee", (json_int_t)b->fee, "rules", (json_int_t)b->rules, "token",
                     (json_int_t)b->token);
}

/* A follower sends its clients to the leader: it does not ask on their behalf, so that no answer passes through two hands. */
static enum MHD_Result redirect(struct http *h, struct MHD_Connection *connection)
{
    char leader[ADDRESS_SIZE], location[ADDRESS_SIZE + 16];
    if (!coordination_leader(h->coordination, leader))
        return problem(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "nobody leads for now");
    snprintf(location, sizeof location, "%s/bookings", leader);
    return reply(connection, MHD_HTTP_TEMPORARY_REDIRECT, json_pack("{s:s}", "leader", leader), location);
}

static enum MHD_Result reply_booking(struct http *h, struct MHD_Connection *connection, const struct booking *b)
{
    switch (b->verdict) {
    case BOOKED:
        return reply(connection, MHD_HTTP_CREATED, as_json(b), NULL);
    case BOOKED_BEFORE:
        return reply(connection, MHD_HTTP_OK, as_json(b), NULL);
    case ID_TAKEN:
        return problem(connection, MHD_HTTP_CONFLICT, "another booking has this id");
    case REFUSED_LIMIT:
        return problem(connection, 422, "the amount is over the limit");
    case REFUSED_FUNDS:
        return problem(connection, 422, "the payer has not that much");
    case REFUSED_ACCOUNT:
        return problem(connection, 422, "two accounts are needed, and one is not there");
    case NOT_LEADER:
        return redirect(h, connection);
    case UNCLEAR:
        return reply(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                     json_pack("{s:s, s:b}", "error", "the database did not say", "unclear", 1), NULL);
    case UNDECIDED:
    case UNAVAILABLE:
        break;
    }
    return problem(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not now");
}

/* ---- requests ---- */

static bool copy_name(char to[NAME_SIZE], const char *from)
{
    size_t len = strlen(from);
    if (len == 0 || len >= NAME_SIZE)
        return false;
    memcpy(to, from, len + 1);
    return true;
}

/* NULL, or what is wrong with it. */
static const char *read_request(const struct body *body, struct booking *b)
{
    const char *id, *payer, *payee;
    json_int_t amount;
    json_t *json = json_loadb(body->text, body->len, 0, NULL);
    const char *wrong = NULL;
    if (!json ||
        json_unpack(json, "{s:s, s:s, s:s, s:I}", "id", &id, "from", &payer, "to", &payee, "amount", &amount) < 0)
        wrong = "expected JSON with id, from, to and amount";
    else if (!copy_name(b->id, id) || !copy_name(b->payer, payer) || !copy_name(b->payee, payee))
        wrong = "id, from and to have 1 to 63 bytes";
    else if (amount <= 0 || amount > AMOUNT_MAX)
        wrong = "the amount is out of bounds";
    else
        b->amount = amount;
    json_decref(json);
    return wrong;
}

static enum MHD_Result book(struct http *h, struct MHD_Connection *connection, const struct body *body)
{
    struct booking b = {.amount = 0};
    if (body->len > BODY_MAX)
        return problem(connection, 413, "the request is too large");
    const char *wrong = read_request(body, &b);
    if (wrong)
        return problem(connection, MHD_HTTP_BAD_REQUEST, wrong);
    writer_book(h->writer, &b);
    return reply_booking(h, connection, &b);
}

static enum MHD_Result show(struct http *h, struct MHD_Connection *connection, const char *id)
{
    struct booking b;
    pthread_mutex_lock(&h->reads);
    enum pg_outcome outcome = store_read(&h->pg, id, &b);
    pthread_mutex_unlock(&h->reads);
    if (outcome != PG_DONE)
        return problem(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not now");
    if (b.verdict == UNDECIDED)
        return problem(connection, MHD_HTTP_NOT_FOUND, "there is no such booking");
    return reply(connection, MHD_HTTP_OK, as_json(&b), NULL);
}

static enum MHD_Result status(struct http *h, struct MHD_Connection *connection)
{
    struct rules rules;
    char leader[ADDRESS_SIZE];
    int64_t token = coordination_token(h->coordination);
    bool known = coordination_leader(h->coordination, leader);
    coordination_rules(h->coordination, &rules);
    return reply(connection, MHD_HTTP_OK,
                 json_pack("{s:s, s:b, s:I, s:s, s:I, s:I}", "name", h->name, "leads", token != 0, "token",
                           (json_int_t)token, "leader", known ? leader : "", "rules", (json_int_t)rules.revision,
                           "fenced", (json_int_t)writer_fenced(h->writer)),
                 NULL);
}

static enum MHD_Result route(struct http *h, struct MHD_Connection *connection, const char *url, const char *method,
                             const struct body *body)
{
    bool is_get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    if (strcmp(url, "/bookings") == 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0)
        return book(h, connection, body);
    if (is_get && strncmp(url, "/bookings/", 10) == 0)
        return show(h, connection, url + 10);
    if (is_get && strcmp(url, "/status") == 0)
        return status(h, connection);
    return problem(connection, MHD_HTTP_NOT_FOUND, "there is no such page");
}

/* ---- libmicrohttpd: once with the headers, once for each part of the body, once at its end ---- */

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *len, void **state)
{
    struct body *body = *state;
    (void)version;
    if (!body) {
        *state = calloc(1, sizeof *body);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*len == 0)
        return route(user, connection, url, method, body);
    if (body->len + *len <= BODY_MAX)
        memcpy(body->text + body->len, data, *len);
    body->len =
        body->len + *len <= BODY_MAX ? body->len + *len : BODY_MAX + 1; /* too large: read, and refused at its end */
    *len = 0;
    return MHD_YES;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)user, (void)connection, (void)code;
    free(*state);
    *state = NULL;
}

static bool read_address(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    int port;
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2 || port <= 0 || port > 65535)
        return false;
    ret->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

struct http *http_begin(const char *listen, const char *name, const char *conninfo, struct writer *w,
                        struct coordination *c)
{
    struct sockaddr_in address;
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->name = name;
    h->writer = w;
    h->coordination = c;
    h->pg = (struct pg){.conninfo = conninfo, .name = "ledgerd reader"};
    pthread_mutex_init(&h->reads, NULL);
    if (read_address(listen, &address))
        h->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, on_request, h,
            MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENT_S, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
            MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (h->daemon)
        return h;
    say("cannot listen at %s", listen);
    http_end(h);
    return NULL;
}

bool http_database_answers(struct http *h)
{
    pthread_mutex_lock(&h->reads);
    enum pg_outcome outcome = pg_run(&h->pg, now_ms() + 1000, "SELECT 1", 0, NULL, NULL);
    pthread_mutex_unlock(&h->reads);
    return outcome == PG_DONE;
}

void http_end(struct http *h)
{
    if (!h)
        return;
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    pg_close(&h->pg);
    pthread_mutex_destroy(&h->reads);
    free(h);
}
