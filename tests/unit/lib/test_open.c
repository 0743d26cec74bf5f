/* Opening, building and closing without memory: each allocation fails once. No server is needed; nothing is connected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "certs.h"

#include "failmalloc.h"
#include "tenure/tenure.h"

static int open_and_close_poll(void *user)
{
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .purpose = "test"};
    (void)user;
    tenure_client *c = tenure_open_poll("http://127.0.0.1:1,unix:///nowhere", &o, &err);
    if (!c)
        return err.code;
    tenure_turn(c);
    tenure_close(c);
    return 0;
}

static void a_poll_handle_opens_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(open_and_close_poll, NULL) > 0);
}

static int open_and_close_blocking(void *user)
{
    struct tenure_error err = {0};
    (void)user;
    tenure_client *c = tenure_open("127.0.0.1:1", NULL, &err);
    if (!c)
        return err.code;
    tenure_close(c);
    return 0;
}

static void a_blocking_handle_opens_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(open_and_close_blocking, NULL) > 0);
}

/* ---- TLS ---- */

static char folder[64];

static int make_certs(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tenure-open-XXXXXX");
    assert_non_null(mkdtemp(folder));
    certs_make(folder);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int remove_certs(void **state)
{
    (void)state;
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int open_and_close_secure(void *user)
{
    char ca[128], cert[128], key[128];
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .ca_file = ca, .cert_file = cert, .key_file = key, .server_name = "x"};
    (void)user;
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(cert, sizeof cert, "%s/alice.pem", folder);
    snprintf(key, sizeof key, "%s/alice.key", folder);
    tenure_client *c = tenure_open_poll("https://127.0.0.1:1,unixs:///nowhere", &o, &err);
    if (!c)
        return err.code;
    tenure_turn(c);
    tenure_close(c);
    return 0;
}

static void a_handle_with_tls_opens_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(open_and_close_secure, NULL) > 0);
}

static void opens_not(const struct tenure_options *o, const char *named)
{
    struct tenure_error err = {0};
    assert_null(tenure_open_poll("https://127.0.0.1:1", o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_non_null(strstr(err.text, named));
}

static void files_that_cannot_be_read_are_named_at_once(void **state)
{
    char cert[128], other[128];
    (void)state;
    snprintf(cert, sizeof cert, "%s/alice.pem", folder);
    snprintf(other, sizeof other, "%s/bob.key", folder);
    opens_not(&(struct tenure_options){.size = sizeof(struct tenure_options), .ca_file = "/nowhere/ca.pem"},
              "/nowhere/ca.pem");
    opens_not(&(struct tenure_options){.size = sizeof(struct tenure_options), .cert_file = cert}, "the key is missing");
    opens_not(&(struct tenure_options){.size = sizeof(struct tenure_options), .cert_file = cert, .key_file = other},
              "bob.key");
    setenv("TENURE_CACERT", "/nowhere/env.pem", 1);
    opens_not(NULL, "/nowhere/env.pem");
    struct tenure_error err = {0};
    tenure_client *plain = tenure_open_poll("http://127.0.0.1:1", NULL, &err); /* it needs none of them */
    assert_non_null(plain);
    tenure_close(plain);
    unsetenv("TENURE_CACERT");
}

static int open_and_close_uv(void *loop)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open_uv(loop, "127.0.0.1:1", NULL, &err);
    if (c)
        tenure_close_start(c, NULL, NULL);
    uv_run(loop, UV_RUN_DEFAULT); /* ends: nothing is left on it */
    return c ? 0 : err.code;
}

static void a_handle_on_libuv_leaves_nothing_on_its_loop(void **state)
{
    (void)state;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(failmalloc_sweep(open_and_close_uv, &loop) > 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Its commit never begins: the handle is a poll handle, the form for programs with threads is refused. */
static int build_a_transaction(void *handle)
{
    struct tenure_error err = {0};
    tenure_txn *t = tenure_txn_new(handle);
    struct tenure_get_options prefix = {.size = sizeof prefix, .prefix = true};
    for (int i = 0; i < 40; i++) {
        tenure_if_value(t, tenure_str("key"), TENURE_NE, tenure_str("value"));
        tenure_then_put(t, tenure_str("key"), tenure_str("value"), 0);
        tenure_else_get(t, tenure_str("key"), &prefix);
        tenure_else_delete(t, tenure_str("other"), NULL);
    }
    int rc = tenure_txn_start(t, 0, NULL, NULL, &err);
    tenure_txn_free(t);
    return rc;
}

static void a_builder_tells_at_the_commit_that_memory_was_short(void **state)
{
    (void)state;
    tenure_client *c = tenure_open_poll("127.0.0.1:1", NULL, NULL);
    assert_true(failmalloc_sweep(build_a_transaction, c) > 0);
    tenure_close(c);
}

static int start_everything(void *handle)
{
    struct tenure_error err = {0}, first = {0};
    tenure_watch *w = tenure_watch_start(handle, tenure_str("w"), NULL, &err);
    first = w ? first : err;
    tenure_lock *l = tenure_lock_start(handle, "l", NULL, &err);
    first = l ? first : err;
    struct tenure_lock_options own = {.size = sizeof own, .ttl_s = 5, .purpose = "p", .prefix = "/p/"};
    tenure_lock *m = tenure_lock_start(handle, "m", &own, &err);
    first = m ? first : err;
    tenure_election *e = tenure_election_start(handle, "e", NULL, &err);
    first = e ? first : err;
    tenure_observer *o = tenure_observer_start(handle, "o", NULL, &err);
    first = o ? first : err;
    int rc = tenure_put_start(handle, tenure_str("a"), tenure_str("b"), NULL, NULL, NULL, &err);
    first = rc == 0 ? first : err;
    tenure_turn(handle);
    tenure_watch_stop(w);
    tenure_unlock_start(l);
    tenure_unlock_start(m);
    tenure_election_stop(e);
    tenure_observer_stop(o);
    tenure_turn(handle);
    return first.code;
}

static int live_and_close(void *user)
{
    struct tenure_error err = {0};
    struct tenure_options options = {.size = sizeof options, .close_timeout_ms = 1};
    (void)user;
    tenure_client *c = tenure_open_poll("127.0.0.1:1", &options, &err);
    if (!c)
        return err.code;
    int rc = start_everything(c);
    tenure_close(c);
    return rc;
}

/* Nothing hangs, nothing leaks, whatever is short of memory; the close cuts short what no server answers. */
static void every_object_copes_without_memory(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(live_and_close, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_handle_opens_whole_or_not_at_all),
        cmocka_unit_test(a_blocking_handle_opens_whole_or_not_at_all),
        cmocka_unit_test(a_handle_on_libuv_leaves_nothing_on_its_loop),
        cmocka_unit_test(a_builder_tells_at_the_commit_that_memory_was_short),
        cmocka_unit_test(a_handle_with_tls_opens_whole_or_not_at_all),
        cmocka_unit_test(files_that_cannot_be_read_are_named_at_once),
        cmocka_unit_test(every_object_copes_without_memory),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
