/* Whoever waits for an election or a lock, and loses the permission meanwhile. */
#include "auth_cases.h"

/* Beside what begin_auth makes: reader may read and write the queue "q", by a role of its own. */
static void begin(void)
{
    begin_auth();
    grant(1, 1000);
    grant(2, 1000);
    assert_ok(named("RoleAdd", "queue"));
    assert_ok(permit("queue", PERMISSION_READWRITE, "q/", "q0"));
    assert_ok(user_role("UserGrantRole", "reader", "queue"));
}

static struct call *campaign(tn_lease lease, const char *value)
{
    struct campaign_req req = {bytes_str("q"), lease, bytes_str(value)};
    struct buf b;
    buf_init(&b);
    encode_campaign_req(&req, &b);
    struct call *call = client_ask(here.c, "/v3electionpb.Election/Campaign", &b);
    world_settle(here.w);
    return call;
}

static struct call *observe(void)
{
    struct buf b;
    buf_init(&b);
    encode_leader_req(bytes_str("q"), &b);
    struct call *call = client_ask(here.c, "/v3electionpb.Election/Observe", &b);
    world_settle(here.w);
    return call;
}

static struct call *lock(tn_lease lease)
{
    struct buf b;
    buf_init(&b);
    encode_lock_req(&(struct lock_req){bytes_str("q"), lease}, &b);
    struct call *call = client_ask(here.c, "/v3lockpb.Lock/Lock", &b);
    world_settle(here.w);
    return call;
}

#define AS(name, expression)                                                                                           \
    ({                                                                                                                 \
        const char *was_ = here.c->token;                                                                              \
        here.c->token = token_for(name);                                                                               \
        struct call *call_ = expression;                                                                               \
        here.c->token = was_;                                                                                          \
        call_;                                                                                                         \
    })

#define DENIED "etcdserver: permission denied"

/* W15 for observers. */
static void an_observer_that_may_read_no_more_is_told_so_instead_of_the_leader(void **state)
{
    (void)state;
    begin();
    assert_ok(campaign(1, "one"));
    struct call *observer = AS("reader", observe()), *root = observe();
    assert_int_equal(observer->n_messages, 1);
    assert_ok(named("RoleAdd", "other")); /* a change that takes nothing */
    put("q/1", "two");
    assert_int_equal(observer->n_messages, 2);
    assert_ok(user_role("UserRevokeRole", "reader", "queue"));
    put("q/1", "three");
    assert_int_equal(observer->n_messages, 2);
    assert_status(observer, GRPC_UNKNOWN, DENIED);
    assert_int_equal(root->n_messages, 3);
}

static void an_observer_from_before_authentication_is_nobody(void **state)
{
    (void)state;
    grant(1, 1000);
    assert_ok(campaign(1, "one"));
    struct call *observer = observe();
    assert_int_equal(observer->n_messages, 1);
    begin_auth();
    put("q/1", "two");
    assert_int_equal(observer->n_messages, 1);
    assert_status(observer, GRPC_UNKNOWN, "etcdserver: user name is empty");
}

static void who_may_not_read_the_queue_any_more_gets_no_lock(void **state)
{
    (void)state;
    begin();
    struct call *first = lock(1), *second = AS("reader", lock(2));
    assert_ok(first);
    assert_waits(second);
    assert_ok(user_role("UserRevokeRole", "reader", "queue"));
    assert_waits(second);
    client_delete(here.c, "q/1", "");
    world_settle(here.w);
    assert_int_equal(second->n_messages, 0);
    assert_status(second, GRPC_UNKNOWN, DENIED);
    assert_int_equal(count("q/", "q0"), 0);
}

static void a_change_that_takes_nothing_leaves_the_one_who_waits_its_turn(void **state)
{
    (void)state;
    begin();
    struct call *first = lock(1), *second = AS("reader", lock(2));
    assert_ok(first);
    assert_ok(named("RoleAdd", "other"));
    assert_waits(second);
    client_delete(here.c, "q/1", "");
    world_settle(here.w);
    assert_ok(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_observer_that_may_read_no_more_is_told_so_instead_of_the_leader),
        CASE(an_observer_from_before_authentication_is_nobody),
        CASE(who_may_not_read_the_queue_any_more_gets_no_lock),
        CASE(a_change_that_takes_nothing_leaves_the_one_who_waits_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
