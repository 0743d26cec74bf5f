/* Queues on real servers: several threads, handles and processes, over kill -9 of workers and of the server. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 60, TAKERS = 4 };

static tenure_queue *open_queue(tenure_client *c, const char *name, const struct tenure_queue_options *o)
{
    struct tenure_error err = {0};
    tenure_queue *q = tenure_queue_open(c, name, o, &err);
    if (!q)
        fail_msg("%s", err.text);
    return q;
}

static void put_item(tenure_queue *q, const char *value)
{
    struct tenure_error err = {0};
    no_error(tenure_queue_put(q, S(value), NULL, &err), &err);
}

static struct tenure_queue_item *take_item(tenure_queue *q, int64_t wait_ms)
{
    struct tenure_queue_item *item = NULL;
    struct tenure_error err = {0};
    no_error(tenure_queue_take(q, wait_ms, &item, &err), &err);
    return item;
}

static void takes(tenure_queue *q, const char *value)
{
    struct tenure_queue_item *item = take_item(q, 10000);
    assert_string_equal(item->value.data, value);
    tenure_queue_item_free(item);
}

static size_t keys_under(tenure_client *c, const char *prefix)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true, .keys_only = true};
    struct tenure_get_result *r;
    struct tenure_error err = {0};
    no_error(tenure_get(c, S(prefix), &o, &r, &err), &err);
    size_t n = r->n_kvs;
    tenure_get_free(r);
    return n;
}

static void items_come_out_in_order(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_queue *q = open_queue(c, "order", NULL);
    struct tenure_queue_item *item = NULL;
    struct tenure_error err = {0};
    int64_t length = -1;
    assert_int_equal(tenure_queue_take(q, -1, &item, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_queue_take(q, 50, &item, &err), TENURE_ETIMEOUT);
    put_item(q, "one");
    put_item(q, "");
    put(c, "/queues/order/by-hand", "three");
    no_error(tenure_queue_length(q, &length, &err), &err);
    assert_int_equal(length, 3);
    no_error(tenure_queue_peek(q, &item, &err), &err);
    assert_string_equal(item->value.data, "one");
    tenure_queue_item_free(item);
    takes(q, "one");
    takes(q, "");
    takes(q, "three");
    assert_int_equal(keys_under(c, "/queues/order/"), 0);
    tenure_queue_close(q);
    tenure_close(c);
}

static void what_is_wrong_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = (enum tenure_queue_kind)9};
    assert_null(tenure_queue_open(c, "", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_queue_open(c, "a", &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_queue_options){.size = sizeof o, .claim_ms = 2500};
    assert_null(tenure_queue_open(c, "a", &o, &err));
    assert_null(tenure_queue_open(c, "a/", NULL, &err));
    o = (struct tenure_queue_options){.size = sizeof o, .length_max = 1};
    tenure_queue *q = open_queue(c, "full", &o);
    struct tenure_queue_put_options p = {.size = sizeof p, .priority = 70000};
    assert_int_equal(tenure_queue_put(q, S("x"), &p, &err), TENURE_EINVALID);
    put_item(q, "x");
    assert_int_equal(tenure_queue_put(q, S("y"), NULL, &err), TENURE_ELIMIT);
    struct tenure_queue_item *item = take_item(q, 0);
    assert_int_equal(tenure_queue_ack(q, item, &err), TENURE_EINVALID);
    tenure_queue_item_free(item);
    char *large = calloc(1, 4 << 20);
    assert_non_null(large);
    assert_int_equal(tenure_queue_put(q, (struct tenure_bytes){large, 4 << 20}, NULL, &err), TENURE_ETOOLARGE);
    free(large);
    tenure_queue_close(q);
    tenure_close(c);
}

static void the_lowest_number_comes_first(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_PRIORITY};
    tenure_queue *q = open_queue(c, "priority", &o);
    static const struct {
        int64_t priority;
        const char *value;
    } puts[] = {{5, "five a"}, {5, "five b"}, {1, "one"}, {300, "300"}};
    for (size_t i = 0; i < 4; i++) {
        struct tenure_queue_put_options p = {.size = sizeof p, .priority = puts[i].priority};
        no_error(tenure_queue_put(q, S(puts[i].value), &p, &err), &err);
    }
    takes(q, "one");
    takes(q, "five a");
    takes(q, "five b");
    takes(q, "300");
    tenure_queue_close(q);
    tenure_close(c);
}

static void an_item_comes_when_it_is_due(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_DELAY};
    tenure_queue *q = open_queue(c, "delay", &o);
    struct tenure_queue_put_options p = {.size = sizeof p, .delay_ms = 1500}; /* a put may take a while */
    int64_t before = test_now();
    no_error(tenure_queue_put(q, S("later"), &p, &err), &err);
    p.delay_ms = 0;
    no_error(tenure_queue_put(q, S("now"), &p, &err), &err);
    takes(q, "now");
    takes(q, "later");
    assert_true(test_now() - before >= 1500);
    tenure_queue_close(q);
    tenure_close(c);
}

/* ---- many takers, and a server that is killed ---- */

struct taker {
    const struct server *server;
    const struct tenure_queue_options *o;
    pthread_t thread;
    int failures;
};

static atomic_int had[ITEMS], total;

static void *take_many(void *arg)
{
    struct taker *t = arg;
    tenure_client *c = open_on(t->server);
    tenure_queue *q = open_queue(c, "many", t->o);
    struct tenure_error err = {0};
    for (;;) {
        struct tenure_queue_item *item = NULL;
        if (tenure_queue_take(q, 0, &item, &err) < 0) {
            fprintf(stderr, "take: %s\n", err.text);
            t->failures++;
            break;
        }
        int number = atoi(item->value.data);
        if (number >= 0 && item->token && tenure_queue_ack(q, item, &err) < 0) {
            fprintf(stderr, "ack: %s\n", err.text);
            t->failures++;
        }
        if (number < 0 && item->token)
            tenure_queue_ack(q, item, NULL);
        tenure_queue_item_free(item);
        if (number < 0)
            break;
        atomic_fetch_add(&had[number], 1);
        atomic_fetch_add(&total, 1);
    }
    tenure_queue_close(q);
    tenure_close(c);
    return NULL;
}

static void each_item_is_had_once(struct server *server, enum tenure_queue_kind kind)
{
    struct tenure_queue_options o = {.size = sizeof o, .kind = kind};
    struct taker takers[TAKERS] = {{0}};
    memset(had, 0, sizeof had);
    for (int i = 0; i < TAKERS; i++) {
        takers[i].server = server;
        takers[i].o = &o;
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]), 0);
    }
    tenure_client *c = open_on(server);
    tenure_queue *q = open_queue(c, "many", &o);
    for (int i = 0; i < ITEMS; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        if (i == ITEMS / 2) {
            server_kill(server);
            server_restart(server);
        }
        put_item(q, value);
    }
    for (int i = 0; i < TAKERS; i++)
        put_item(q, "-1");
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(takers[i].thread, NULL);
        assert_int_equal(takers[i].failures, 0);
    }
    for (int i = 0; i < ITEMS; i++)
        if (atomic_load(&had[i]) != 1)
            fail_msg("item %d was had %d times", i, atomic_load(&had[i]));
    assert_int_equal(keys_under(c, "/queues/many/"), 0);
    tenure_queue_close(q);
    tenure_close(c);
}

static void each_item_is_had_once_over_a_restart_of_the_server(void **state)
{
    each_item_is_had_once(*state, TENURE_QUEUE_FIFO);
}

static void work_is_acknowledged_once_over_a_restart_of_the_server(void **state)
{
    each_item_is_had_once(*state, TENURE_QUEUE_WORK);
}

/* ---- work ---- */

static const struct tenure_queue_options work = {
    .size = sizeof work, .kind = TENURE_QUEUE_WORK, .ttl_s = 2, .deliveries_max = 2};

/* Another process that takes one item and stays until it is killed. */
static pid_t worker(const char *url, int *ret_fd)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct tenure_queue_item *item = NULL;
        tenure_client *c = tenure_open(url, NULL, NULL);
        tenure_queue *q = c ? tenure_queue_open(c, "jobs", &work, NULL) : NULL;
        bool got = q && tenure_queue_take(q, 0, &item, NULL) == 0;
        if (write(fds[1], got ? "t" : "f", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

static void has_taken(int fd)
{
    char said = 0;
    assert_int_equal(read(fd, &said, 1), 1);
    assert_int_equal(said, 't');
}

static void kill_worker(pid_t pid, int fd)
{
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd);
}

static void work_of_a_killed_worker_comes_again_and_is_buried_in_the_end(void **state)
{
    int fds[2];
    pid_t pid = worker(server_url(*state), &fds[0]); /* before any thread of ours */
    pid_t second = worker(server_url(*state), &fds[1]);
    tenure_client *c = open_on(*state);
    tenure_queue *q = open_queue(c, "jobs", &work);
    struct tenure_error err = {0};
    put_item(q, "poison");
    put_item(q, "other");
    has_taken(fds[0]); /* both before one dies, whose place in the line the other would wait for, and get his item */
    has_taken(fds[1]);
    kill_worker(pid, fds[0]);
    kill_worker(second, fds[1]);
    for (int i = 0; i < 2; i++) { /* both come again, in either order: the workers died at the same time */
        struct tenure_queue_item *item = take_item(q, 0);
        assert_int_equal(item->deliveries, 2);
        assert_true(item->token > 0);
        assert_true(tenure_queue_item_lease(item) != 0);
        int64_t left = tenure_queue_remaining_ms(q, item);
        assert_true(left > 0 && left <= work.ttl_s * 1000);
        if (strcmp(item->value.data, "poison") == 0) {
            no_error(tenure_queue_nack(q, item, 0, &err), &err); /* as often as may be */
        } else {
            no_error(tenure_queue_extend(q, item, &err), &err);
            no_error(tenure_queue_ack(q, item, &err), &err);
            assert_int_equal(tenure_queue_ack(q, item, &err), TENURE_ELOST);
        }
        tenure_queue_item_free(item);
    }
    assert_int_equal(keys_under(c, "/queues/jobs/dead/"), 1);
    assert_int_equal(keys_under(c, "/queues/jobs/"), 1);
    tenure_queue_close(q);
    tenure_close(c);
}

static void a_claim_runs_out_unless_it_is_extended(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK, .claim_ms = 2000};
    tenure_queue *q = open_queue(c, "claims", &o);
    put_item(q, "job");
    struct tenure_queue_item *first = take_item(q, 0);
    no_error(tenure_queue_extend(q, first, &err), &err);
    struct tenure_queue_item *again = take_item(q, 0);
    assert_string_equal(again->value.data, "job");
    assert_int_equal(again->deliveries, 2);
    assert_true(tenure_queue_remaining_ms(q, again) > 0);
    assert_true(tenure_queue_remaining_ms(q, first) <= 0);
    assert_true(again->token > first->token);
    assert_int_equal(tenure_queue_extend(q, first, &err), TENURE_ELOST);
    assert_int_equal(tenure_queue_ack(q, first, &err), TENURE_ELOST);
    no_error(tenure_queue_nack(q, again, 100, &err), &err);
    tenure_queue_item_free(again);
    again = take_item(q, 0);
    assert_int_equal(again->deliveries, 3);
    no_error(tenure_queue_ack(q, again, &err), &err);
    tenure_queue_item_free(again);
    put_item(q, "never");
    again = take_item(q, 0);
    no_error(tenure_queue_nack(q, again, INT64_MAX, &err), &err);
    tenure_queue_item_free(again);
    assert_int_equal(tenure_queue_take(q, -1, &again, &err), TENURE_ENOTFOUND);
    no_error(
        tenure_delete(c, S("/queues/claims/"),
                      &(struct tenure_delete_options){.size = sizeof(struct tenure_delete_options), .prefix = true},
                      NULL, &err),
        &err);
    tenure_queue_item_free(first);
    assert_int_equal(keys_under(c, "/queues/claims/"), 0);
    tenure_queue_close(q);
    tenure_close(c);
}

static void closing_a_queue_gives_its_claims_back(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK, .ttl_s = 60};
    tenure_queue *q = open_queue(c, "back", &o), *other = open_queue(c, "back", &o);
    put_item(q, "job");
    struct tenure_queue_item *item = take_item(q, 0);
    tenure_queue_close(q);
    tenure_queue_item_free(item);
    item = take_item(other, 0);
    assert_int_equal(item->deliveries, 2);
    no_error(tenure_queue_ack(other, item, &err), &err);
    tenure_queue_item_free(item);
    tenure_queue_close(other);
    tenure_close(c);
}

/* ---- without waiting ---- */

struct told {
    atomic_int done;
    int code;
    struct tenure_queue_item *item;
};

static void on_done(void *user, int code, const struct tenure_error *err)
{
    struct told *t = user;
    (void)err;
    t->code = code;
    atomic_store(&t->done, 1);
}

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    struct told *t = user;
    t->item = item;
    on_done(user, code, err);
}

static void all_of_it_can_be_started(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK};
    tenure_queue *q = open_queue(c, "started", &o);
    struct told taken = {0}, given_up = {0}, put_told = {0}, settled[3] = {{0}}, closed = {0};
    tenure_wait *w = tenure_queue_take_start(q, 0, on_item, &given_up, &err);
    tenure_wait_stop(w);
    await_flag(&given_up.done);
    assert_int_equal(given_up.code, TENURE_ECANCELLED);
    assert_null(given_up.item);
    w = tenure_queue_take_start(q, 0, on_item, &taken, &err);
    assert_int_equal(tenure_queue_put_start(q, S("job"), NULL, on_done, &put_told, &err), 0);
    await_flag(&put_told.done);
    assert_int_equal(put_told.code, 0);
    await_flag(&taken.done);
    assert_int_equal(taken.code, 0);
    assert_string_equal(taken.item->value.data, "job");
    tenure_wait_stop(w);
    assert_int_equal(tenure_queue_extend_start(q, taken.item, on_done, &settled[0], &err), 0);
    await_flag(&settled[0].done);
    assert_int_equal(tenure_queue_ack_start(q, taken.item, on_done, &settled[1], &err), 0);
    await_flag(&settled[1].done);
    assert_int_equal(tenure_queue_nack_start(q, taken.item, 0, on_done, &settled[2], &err), 0);
    await_flag(&settled[2].done);
    assert_int_equal(settled[0].code, 0);
    assert_int_equal(settled[1].code, 0);
    assert_int_equal(settled[2].code, TENURE_ELOST);
    tenure_queue_item_free(taken.item);
    w = tenure_queue_take_start(q, 0, on_item, &closed, &err);
    tenure_queue_close(q);
    await_flag(&closed.done);
    assert_int_equal(closed.code, TENURE_ECANCELLED);
    tenure_wait_stop(w);
    tenure_close(c);
}

struct answer {
    atomic_int done;
    int code;
    int64_t length;
    struct tenure_queue_list *list;
};

static void on_length(void *user, int code, int64_t length, const struct tenure_error *err)
{
    struct answer *a = user;
    (void)err;
    a->code = code;
    a->length = length;
    atomic_store(&a->done, 1);
}

static void on_list(void *user, int code, struct tenure_queue_list *list, const struct tenure_error *err)
{
    struct answer *a = user;
    (void)err;
    a->code = code;
    a->list = list;
    atomic_store(&a->done, 1);
}

static void looking_can_be_started_as_well(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_queue *q = open_queue(c, "looked-at", NULL);
    struct told nothing = {0}, something = {0};
    struct answer length = {0}, list = {0};
    assert_int_equal(tenure_queue_peek_start(q, on_item, &nothing, &err), 0);
    await_flag(&nothing.done);
    assert_int_equal(nothing.code, TENURE_ENOTFOUND);
    assert_null(nothing.item);
    put_item(q, "one");
    put_item(q, "two");
    assert_int_equal(tenure_queue_peek_start(q, on_item, &something, &err), 0);
    assert_int_equal(tenure_queue_length_start(q, on_length, &length, &err), 0);
    await_flag(&something.done);
    await_flag(&length.done);
    assert_int_equal(something.code, 0);
    assert_string_equal(something.item->value.data, "one");
    tenure_queue_item_free(something.item);
    assert_int_equal(length.code, 0);
    assert_int_equal(length.length, 2);
    assert_int_equal(tenure_queue_peek_start(q, NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_queue_length_start(q, NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_queue_list_start(q, on_list, &list, &err), 0);
    tenure_queue_close(q); /* what was asked is answered */
    await_flag(&list.done);
    assert_int_equal(list.code, 0);
    assert_int_equal(list.list->n_waiters + list.list->n_works, 0);
    tenure_queue_list_free(list.list);
    tenure_close(c);
}

struct expected_list {
    tenure_queue *q;
    size_t n_waiters, n_works, n_claimed;
};

static bool is_listed(void *user)
{
    struct expected_list *x = user;
    struct tenure_error err = {0};
    struct tenure_queue_list *list = NULL;
    no_error(tenure_queue_list(x->q, &list, &err), &err);
    size_t claimed = 0;
    for (size_t i = 0; i < list->n_works; i++)
        claimed += list->works[i].token != 0;
    bool yes = list->n_waiters == x->n_waiters && list->n_works == x->n_works && claimed == x->n_claimed;
    tenure_queue_list_free(list);
    return yes;
}

static void await_list(tenure_queue *q, size_t n_waiters, size_t n_works, size_t n_claimed)
{
    if (!test_await(is_listed, &(struct expected_list){q, n_waiters, n_works, n_claimed}))
        fail_msg("there never were %zu who wait and %zu of %zu items with a claim", n_waiters, n_claimed, n_works);
}

static void the_list_shows_who_waits_and_who_works_on_what(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK, .purpose = "to work"};
    tenure_queue *qa = open_queue(ca, "listed", &o), *qb = open_queue(cb, "listed", &o);
    struct tenure_queue_list *list = NULL;
    struct told told = {0};
    put_item(qa, "one");
    struct tenure_queue_item *item = take_item(qa, 10000);
    tenure_wait *w = tenure_queue_take_start(qb, 0, on_item, &told, &err);
    assert_non_null(w);
    await_list(qa, 1, 1, 1);
    put(ca, "/queues.line/listed/longer/7", "");
    no_error(tenure_queue_list(qa, &list, &err), &err);
    assert_int_equal(list->n_waiters, 1); /* who waits for a queue of a longer name does not count */
    assert_int_equal(strncmp(list->waiters[0].key, "/queues.line/listed/", 20), 0);
    assert_string_equal(list->waiters[0].purpose, "to work");
    assert_int_equal(list->waiters[0].pid, getpid());
    assert_true(list->waiters[0].lease != 0 && list->waiters[0].since_ms > 0 && list->waiters[0].host[0]);
    assert_int_equal(list->works[0].token, item->token);
    assert_int_equal(list->works[0].deliveries, 1);
    assert_int_equal(list->works[0].pid, getpid());
    assert_string_equal(list->works[0].purpose, "to work");
    size_t id = strlen(list->works[0].id);
    assert_true(id > 0 && item->key.len > id);
    tenure_queue_list_free(list);
    no_error(tenure_queue_ack(qa, item, &err), &err);
    tenure_queue_item_free(item);
    await_list(qa, 1, 0, 0);
    put_item(qa, "two");
    await_flag(&told.done);
    assert_int_equal(told.code, 0);
    await_list(qa, 0, 1, 1);
    tenure_wait_stop(w);
    tenure_queue_item_free(told.item);
    tenure_queue_close(qb);
    await_list(qa, 0, 1, 0); /* its claim has ended, and the next take gets it */
    item = take_item(qa, 10000);
    assert_int_equal(item->deliveries, 2);
    no_error(tenure_queue_ack(qa, item, &err), &err);
    tenure_queue_item_free(item);
    await_list(qa, 0, 0, 0);
    assert_int_equal(tenure_queue_list(qa, NULL, &err), TENURE_EINVALID);
    tenure_queue_close(qa);
    tenure_close(ca);
    tenure_close(cb);
}

static void of_a_plain_queue_it_shows_those_who_wait_in_their_order(void **state)
{
    tenure_client *c[3];
    tenure_queue *q[3];
    struct told told[3] = {{0}};
    tenure_wait *w[3];
    struct tenure_error err = {0};
    struct tenure_queue_list *list = NULL;
    static const char *const purposes[] = {"first", "second", "third"};
    for (size_t i = 0; i < 3; i++) {
        struct tenure_queue_options o = {.size = sizeof o, .purpose = purposes[i]};
        c[i] = open_on(*state);
        q[i] = open_queue(c[i], "lined-up", &o);
        w[i] = tenure_queue_take_start(q[i], 0, on_item, &told[i], &err);
        await_list(q[0], i + 1, 0, 0);
    }
    no_error(tenure_queue_list(q[2], &list, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(list->waiters[i].purpose, purposes[i]);
    tenure_queue_list_free(list);
    put_item(q[2], "x");
    await_flag(&told[0].done);
    await_list(q[0], 2, 0, 0);
    tenure_queue_item_free(told[0].item);
    for (size_t i = 0; i < 3; i++) {
        tenure_wait_stop(w[i]);
        tenure_queue_close(q[i]);
        tenure_close(c[i]);
    }
}

/* A server where bob may write below /queues/ and bob/, and his handle. */
static tenure_client *as_bob(struct server *s)
{
    tenure_client *root = open_on(s);
    struct tenure_error err = {0};
    struct tenure_permission_range queues = {.key = S("/queues/"), .prefix = true};
    struct tenure_permission_range own = {.key = S("bob/"), .prefix = true};
    no_error(tenure_user_add(root, "root", "r", &err), &err);
    no_error(tenure_role_add(root, "root", &err), &err);
    no_error(tenure_user_grant_role(root, "root", "root", &err), &err);
    no_error(tenure_user_add(root, "bob", "b", &err), &err);
    no_error(tenure_role_add(root, "bob", &err), &err);
    no_error(tenure_user_grant_role(root, "bob", "bob", &err), &err);
    no_error(tenure_role_grant(root, "bob", TENURE_READWRITE, &queues, &err), &err);
    no_error(tenure_role_grant(root, "bob", TENURE_READWRITE, &own, &err), &err);
    no_error(tenure_auth_enable(root, &err), &err);
    tenure_close(root);
    struct tenure_options o = {.size = sizeof o, .user = "bob", .password = "b"};
    tenure_client *bob = tenure_open(server_url(s), &o, &err);
    assert_non_null(bob);
    return bob;
}

static void who_may_not_write_there_is_told_which_key_and_names_other_marks(void **state)
{
    struct server *s = server_start();
    tenure_client *bob = as_bob(s);
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    struct tenure_queue_options marks = {.size = sizeof marks, .marks = "bob/marks/"};
    struct tenure_queue_options elsewhere = {.size = sizeof elsewhere, .marks = "bob/marks/", .prefix = "/not his/"};
    (void)state;
    tenure_queue *q = tenure_queue_open(bob, "q", NULL, &err);
    assert_int_equal(tenure_queue_put(q, S("x"), NULL, &err), TENURE_EDENIED);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_non_null(strstr(err.text, "the mark '/marks/"));
    tenure_queue_close(q);
    q = tenure_queue_open(bob, "q", &marks, &err);
    no_error(tenure_queue_put(q, S("x"), NULL, &err), &err);
    no_error(tenure_queue_take(q, -1, &item, &err), &err);
    assert_string_equal(item->value.data, "x");
    tenure_queue_item_free(item);
    tenure_queue_close(q);
    q = tenure_queue_open(bob, "q", &elsewhere, &err);
    assert_int_equal(tenure_queue_put(q, S("x"), NULL, &err), TENURE_EDENIED);
    assert_non_null(strstr(err.text, "'/not his/q/"));
    tenure_queue_close(q);
    tenure_close(bob);
    server_free(s);
}

static void the_largest_values_go_through_and_larger_ones_are_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_bytes value = large_value('q', LARGEST_VALUE), larger = large_value('Q', 1536 * 1024 + 1);
    for (int kind = TENURE_QUEUE_FIFO; kind <= TENURE_QUEUE_WORK; kind++) {
        char name[32];
        snprintf(name, sizeof name, "large%d", kind);
        struct tenure_queue_options o = {
            .size = sizeof o, .kind = (enum tenure_queue_kind)kind, .deliveries_max = kind == TENURE_QUEUE_WORK};
        tenure_queue *q = open_queue(c, name, &o);
        no_error(tenure_queue_put(q, value, NULL, &err), &err);
        assert_int_equal(tenure_queue_put(q, larger, NULL, &err), TENURE_ETOOLARGE);
        assert_int_equal(err.applied, TENURE_APPLIED_NO);
        struct tenure_queue_item *item = take_item(q, 0);
        assert_true(is_same(item->value, value));
        if (kind == TENURE_QUEUE_WORK)
            no_error(tenure_queue_nack(q, item, 0, &err), &err); /* to the dead letters, whole */
        tenure_queue_item_free(item);
        tenure_queue_close(q);
    }
    struct tenure_get_options dead = {.size = sizeof dead, .prefix = true};
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S("/queues/large3/dead/"), &dead, &r, &err), &err);
    assert_int_equal(r->n_kvs, 1);
    assert_true(is_same(r->kvs[0].value, value));
    tenure_get_free(r);
    free((void *)value.data);
    free((void *)larger.data);
    tenure_close(c);
}

static void a_close_ends_a_take(void **state)
{
    tenure_client *c = open_on(*state);
    struct told told = {0};
    tenure_queue *q = open_queue(c, "closed", NULL);
    assert_non_null(tenure_queue_take_start(q, 0, on_item, &told, NULL));
    tenure_close(c);
    assert_int_equal(atomic_load(&told.done), 1);
    assert_int_equal(told.code, TENURE_ECLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_of_a_killed_worker_comes_again_and_is_buried_in_the_end),
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(the_lowest_number_comes_first),
        cmocka_unit_test(an_item_comes_when_it_is_due),
        cmocka_unit_test(each_item_is_had_once_over_a_restart_of_the_server),
        cmocka_unit_test(work_is_acknowledged_once_over_a_restart_of_the_server),
        cmocka_unit_test(a_claim_runs_out_unless_it_is_extended),
        cmocka_unit_test(closing_a_queue_gives_its_claims_back),
        cmocka_unit_test(all_of_it_can_be_started),
        cmocka_unit_test(looking_can_be_started_as_well),
        cmocka_unit_test(the_list_shows_who_waits_and_who_works_on_what),
        cmocka_unit_test(of_a_plain_queue_it_shows_those_who_wait_in_their_order),
        cmocka_unit_test(who_may_not_write_there_is_told_which_key_and_names_other_marks),
        cmocka_unit_test(the_largest_values_go_through_and_larger_ones_are_refused),
        cmocka_unit_test(a_close_ends_a_take),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
