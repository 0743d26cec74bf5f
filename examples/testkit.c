/* The logic of a program that writes under a lock, and its test: no server, no sleep, the worst cases on demand.
 *
 *     cc testkit.c $(pkg-config --cflags --libs tenure-testkit) && ./a.out
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tenure/tenure.h>
#include <tenure/testkit.h>

/* ---- the program: all it needs is a handle, from tenure_open or from the kit ---- */

/* What the lock protects. It takes no token that is smaller than one it has seen. */
struct ledger {
    tenure_token newest;
    int rows;
};

static bool ledger_write(struct ledger *l, tenure_token token)
{
    if (token < l->newest)
        return false;
    l->newest = token;
    l->rows++;
    return true;
}

struct worker {
    struct ledger *ledger;
    tenure_lock *lock;
    bool works;
};

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)lock, (void)token, (void)err;
    ((struct worker *)user)->works = code == 0;
}

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    (void)lock, (void)why;
    ((struct worker *)user)->works = false;
}

static void worker_start(struct worker *w, tenure_client *c, struct ledger *ledger)
{
    struct tenure_lock_options o = {
        .size = sizeof o, .ttl_s = 10, .on_acquired = on_acquired, .on_lost = on_lost, .user = w};
    *w = (struct worker){.ledger = ledger};
    w->lock = tenure_lock_start(c, "ledger", &o, NULL);
}

static bool worker_writes(struct worker *w)
{
    return w->works && tenure_lock_held(w->lock) && ledger_write(w->ledger, tenure_lock_token(w->lock));
}

/* ---- its test ---- */

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what);                                                 \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void a_worker_whose_lease_is_lost_stops(tenure_testkit *kit)
{
    struct ledger ledger = {0};
    struct worker w;
    tenure_client *c = tenure_testkit_client(kit, NULL, NULL);
    worker_start(&w, c, &ledger);
    tenure_testkit_advance(kit, 3600000); /* an hour of renewals */
    CHECK(worker_writes(&w));
    tenure_testkit_lose_sessions(kit, c);
    tenure_testkit_run(kit);
    CHECK(!w.works);
    CHECK(!worker_writes(&w));
    tenure_close(c);
    printf("a lost lease: the worker stopped, %d row\n", ledger.rows);
}

static void a_worker_that_was_stopped_cannot_write_behind_its_successor(tenure_testkit *kit)
{
    struct ledger ledger = {0};
    struct worker first, second;
    tenure_client *a = tenure_testkit_client(kit, NULL, NULL), *b = tenure_testkit_client(kit, NULL, NULL);
    worker_start(&first, a, &ledger);
    tenure_testkit_run(kit);
    worker_start(&second, b, &ledger);
    tenure_testkit_run(kit);
    CHECK(first.works && !second.works);
    tenure_token late = tenure_lock_token(first.lock);

    tenure_testkit_stop(kit, a); /* in the middle of its work: it has asked whether it holds the lock, and not written yet */
    tenure_testkit_advance(kit, 11000);
    CHECK(worker_writes(&second));
    CHECK(tenure_lock_token(second.lock) > late);
    CHECK(!ledger_write(&ledger, late)); /* here is why the token goes with each write */
    CHECK(first.works);                  /* it does not know yet */
    tenure_testkit_continue(kit, a);
    tenure_testkit_run(kit);
    CHECK(!first.works); /* told before anything else */
    tenure_close(b);
    tenure_close(a);
    printf("a stopped holder: the successor's token is greater, the late write was refused\n");
}

int main(void)
{
    struct tenure_error err = {0};
    tenure_testkit *kit = tenure_testkit_new(NULL, &err);
    if (!kit)
        return fprintf(stderr, "%s\n", err.text), 1;
    a_worker_whose_lease_is_lost_stops(kit);
    a_worker_that_was_stopped_cannot_write_behind_its_successor(kit);
    printf("%" PRId64 " s on the kit's clock\n", tenure_testkit_now_ms(kit) / 1000);
    tenure_testkit_free(kit);
    return 0;
}
