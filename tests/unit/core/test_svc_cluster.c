/* The Cluster service: one member that is listed, and what a cluster of one refuses. */
#include "cases.h"

#define CLUSTER "/etcdserverpb.Cluster/"

static struct call *asked(const char *path, struct buf *message)
{
    struct call *call = client_ask(here.c, path, message);
    world_settle(here.w);
    return call;
}

static struct call *add(const char *url, bool is_learner)
{
    bytes urls[] = {bytes_str(url)};
    struct buf b;
    buf_init(&b);
    encode_member_add_req(&(struct member_add_req){urls, url[0] != 0, is_learner}, &b);
    return asked(CLUSTER "MemberAdd", &b);
}

static struct call *with_id(const char *path, uint64_t id)
{
    struct buf b;
    buf_init(&b);
    encode_member_id_req(id, &b);
    return asked(path, &b);
}

static struct call *update(uint64_t id, bytes *urls, size_t n)
{
    struct buf b;
    buf_init(&b);
    encode_member_update_req(&(struct member_update_req){id, urls, n}, &b);
    return asked(CLUSTER "MemberUpdate", &b);
}

static struct member the_member(struct call *call)
{
    struct response_header h;
    struct member_list_resp r;
    assert_ok(call);
    assert_int_equal(decode_member_list_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.revision, 0);
    assert_int_equal(r.n_members, 1);
    return r.members[0];
}

static struct member listed(void)
{
    struct buf b;
    buf_init(&b);
    encode_member_list_req(false, &b);
    return the_member(asked(CLUSTER "MemberList", &b));
}

static void a_second_member_cannot_be_added(void **state)
{
    (void)state;
    assert_error(add("http://10.0.0.2:2380", false), ETCD_MEMBER_NOT_ENOUGH_STARTED);
    assert_error(add("http://10.0.0.2:2380", true), ETCD_TOO_MANY_LEARNERS);
    assert_error(add("", false), ETCD_MEMBER_BAD_URLS);
    assert_error(add("http://10.0.0.2", true), ETCD_MEMBER_BAD_URLS);
    assert_int_equal(listed().n_peer_urls, 0);
}

static void the_only_member_can_be_neither_removed_nor_promoted(void **state)
{
    (void)state;
    assert_error(with_id(CLUSTER "MemberRemove", 0xe1), ETCD_MEMBER_NOT_ENOUGH_STARTED);
    assert_error(with_id(CLUSTER "MemberRemove", 5), ETCD_MEMBER_NOT_FOUND);
    assert_error(with_id(CLUSTER "MemberPromote", 0xe1), ETCD_MEMBER_NOT_LEARNER);
    assert_error(with_id(CLUSTER "MemberPromote", 5), ETCD_MEMBER_NOT_FOUND);
}

static void an_update_is_listed_and_makes_no_revision(void **state)
{
    (void)state;
    bytes urls[] = {bytes_str("http://10.0.0.1:2380"), bytes_str("http://10.0.0.2:2380")};
    assert_error(update(5, urls, 2), ETCD_MEMBER_NOT_FOUND);
    struct member m = the_member(update(0xe1, urls, 2));
    assert_int_equal(m.n_peer_urls, 2);
    m = listed();
    assert_int_equal(m.n_peer_urls, 2);
    assert_bytes(m.peer_urls[0], "http://10.0.0.1:2380");
    assert_bytes(m.peer_urls[1], "http://10.0.0.2:2380");
    assert_error(add("http://10.0.0.2:2380", false), ETCD_PEER_URL_EXIST);
    assert_int_equal(the_member(update(0xe1, urls, 1)).n_peer_urls, 1);
    assert_int_equal(the_member(update(0xe1, NULL, 0)).n_peer_urls, 0);
    assert_int_equal(store_revision(here.w->store), 1);
}

static void an_update_is_listed_once_it_is_durable(void **state)
{
    (void)state;
    bytes url = bytes_str("http://10.0.0.1:2380");
    here.w->log_held = true;
    struct call *changed = update(0xe1, &url, 1);
    struct buf b;
    buf_init(&b);
    encode_member_list_req(false, &b);
    struct call *list = asked(CLUSTER "MemberList", &b);
    assert_waits(changed);
    assert_waits(list);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(changed, ETCD_NO_SPACE);
    assert_error(list, ETCD_NO_SPACE);
    assert_int_equal(listed().n_peer_urls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_second_member_cannot_be_added),
        CASE(the_only_member_can_be_neither_removed_nor_promoted),
        CASE(an_update_is_listed_and_makes_no_revision),
        CASE(an_update_is_listed_once_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
