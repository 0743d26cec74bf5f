/* Auth: each request and response comes back as it was, in protobuf-c's bytes. */
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"

/* Text is UTF-8 here: other bytes are refused. */
static bytes text(struct sample *s)
{
    static const char *const some[] = {
        "", "a", "root", "zürich", "\xf0\x9f\x94\x92 name", "a much longer name than the others"};
    return bytes_str(some[sample_below(s, ARRAY_LEN(some))]);
}

static struct permission permission(struct sample *s)
{
    return (struct permission){(int32_t)sample_int(s), sample_range(s)};
}

static bool same_permission(const struct permission *a, const struct permission *b)
{
    return a->type == b->type && same_range(a->range, b->range);
}

static void names_come_back(struct sample *s)
{
    bytes name = text(s), seen;
    struct user_role_req role = {text(s), text(s)}, seen_role;
    buf_reset(&s->out);
    encode_auth_name_req(name, &s->out);
    expect_canonical(s, &etcdserverpb__auth_user_get_request__descriptor);
    expect_canonical(s, &etcdserverpb__auth_user_delete_request__descriptor);
    expect_canonical(s, &etcdserverpb__auth_role_add_request__descriptor);
    expect_canonical(s, &etcdserverpb__auth_role_get_request__descriptor);
    expect_canonical(s, &etcdserverpb__auth_role_delete_request__descriptor);
    assert_int_equal(decode_auth_name_req(buf_bytes(&s->out), &s->arena, &seen), 0);
    assert_true(bytes_equal(name, seen));
    buf_reset(&s->out);
    encode_user_role_req(&role, &s->out);
    expect_canonical(s, &etcdserverpb__auth_user_grant_role_request__descriptor);
    expect_canonical(s, &etcdserverpb__auth_user_revoke_role_request__descriptor);
    assert_int_equal(decode_user_role_req(buf_bytes(&s->out), &s->arena, &seen_role), 0);
    assert_true(bytes_equal(role.user, seen_role.user) && bytes_equal(role.role, seen_role.role));
}

static void passwords_come_back(struct sample *s)
{
    struct authenticate_req a = {text(s), text(s)}, a2;
    struct user_add_req u = {text(s), text(s), sample_bool(s)}, u2;
    struct user_password_req p = {text(s), text(s)}, p2;
    buf_reset(&s->out);
    encode_authenticate_req(&a, &s->out);
    expect_canonical(s, &etcdserverpb__authenticate_request__descriptor);
    assert_int_equal(decode_authenticate_req(buf_bytes(&s->out), &s->arena, &a2), 0);
    assert_true(bytes_equal(a.name, a2.name) && bytes_equal(a.password, a2.password));
    buf_reset(&s->out);
    encode_user_add_req(&u, &s->out);
    expect_canonical(s, &etcdserverpb__auth_user_add_request__descriptor);
    assert_int_equal(decode_user_add_req(buf_bytes(&s->out), &s->arena, &u2), 0);
    assert_true(bytes_equal(u.name, u2.name) && bytes_equal(u.password, u2.password));
    assert_int_equal(u.no_password, u2.no_password);
    buf_reset(&s->out);
    encode_user_password_req(&p, &s->out);
    expect_canonical(s, &etcdserverpb__auth_user_change_password_request__descriptor);
    assert_int_equal(decode_user_password_req(buf_bytes(&s->out), &s->arena, &p2), 0);
    assert_true(bytes_equal(p.name, p2.name) && bytes_equal(p.password, p2.password));
}

static void permissions_come_back(struct sample *s)
{
    struct role_grant_req g = {text(s), sample_bool(s), {0}}, g2;
    struct role_revoke_req r = {text(s), sample_range(s)}, r2;
    if (g.has_permission)
        g.permission = permission(s);
    buf_reset(&s->out);
    encode_role_grant_req(&g, &s->out);
    expect_canonical(s, &etcdserverpb__auth_role_grant_permission_request__descriptor);
    assert_int_equal(decode_role_grant_req(buf_bytes(&s->out), &s->arena, &g2), 0);
    assert_true(bytes_equal(g.role, g2.role) && g.has_permission == g2.has_permission);
    assert_true(same_permission(&g.permission, &g2.permission));
    buf_reset(&s->out);
    encode_role_revoke_req(&r, &s->out);
    expect_canonical(s, &etcdserverpb__auth_role_revoke_permission_request__descriptor);
    assert_int_equal(decode_role_revoke_req(buf_bytes(&s->out), &s->arena, &r2), 0);
    assert_true(bytes_equal(r.role, r2.role) && same_range(r.range, r2.range));
}

static void requests_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 60);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        names_come_back(&s);
        passwords_come_back(&s);
        permissions_come_back(&s);
    }
    sample_fini(&s);
}

static void short_replies_come_back(struct sample *s)
{
    struct response_header h = sample_header(s), seen;
    struct auth_status_resp st = {sample_int(s), sample_bool(s), (uint64_t)sample_int(s)}, st2;
    struct authenticate_resp a = {sample_int(s), text(s)}, a2;
    tn_rev revision = sample_int(s), revision2;
    buf_reset(&s->out);
    encode_auth_done_resp(&h, revision, &s->out);
    expect_canonical(s, &etcdserverpb__auth_enable_response__descriptor);
    expect_canonical(s, &etcdserverpb__auth_user_add_response__descriptor);
    assert_int_equal(decode_auth_done_resp(buf_bytes(&s->out), &s->arena, &seen, &revision2), 0);
    assert_true(same_header(&h, revision, &seen) && revision == revision2);
    buf_reset(&s->out);
    encode_auth_status_resp(&h, &st, &s->out);
    expect_canonical(s, &etcdserverpb__auth_status_response__descriptor);
    assert_int_equal(decode_auth_status_resp(buf_bytes(&s->out), &s->arena, &seen, &st2), 0);
    assert_true(same_header(&h, st.revision, &seen) && st.revision == st2.revision);
    assert_true(st.enabled == st2.enabled && st.auth_revision == st2.auth_revision);
    buf_reset(&s->out);
    encode_authenticate_resp(&h, &a, &s->out);
    expect_canonical(s, &etcdserverpb__authenticate_response__descriptor);
    assert_int_equal(decode_authenticate_resp(buf_bytes(&s->out), &s->arena, &seen, &a2), 0);
    assert_true(a.revision == a2.revision && bytes_equal(a.token, a2.token));
}

static void lists_come_back(struct sample *s)
{
    struct response_header h = sample_header(s), seen;
    size_t n = sample_below(s, 4);
    struct auth_names_resp b, a = {.revision = sample_int(s), .names = sample_texts(s, n), .n_names = n};
    struct role_get_resp r2, r = {.revision = sample_int(s), .n_permissions = n};
    r.permissions = sample_array(s, n, sizeof *r.permissions);
    for (size_t i = 0; i < n; i++)
        r.permissions[i] = permission(s);
    buf_reset(&s->out);
    encode_auth_names_resp(&h, &a, &s->out);
    expect_canonical(s, &etcdserverpb__auth_user_get_response__descriptor);
    expect_canonical(s, &etcdserverpb__auth_user_list_response__descriptor);
    expect_canonical(s, &etcdserverpb__auth_role_list_response__descriptor);
    assert_int_equal(decode_auth_names_resp(buf_bytes(&s->out), &s->arena, &seen, &b), 0);
    assert_true(a.revision == b.revision && same_texts(a.names, n, b.names, b.n_names));
    buf_reset(&s->out);
    encode_role_get_resp(&h, &r, &s->out);
    expect_canonical(s, &etcdserverpb__auth_role_get_response__descriptor);
    assert_int_equal(decode_role_get_resp(buf_bytes(&s->out), &s->arena, &seen, &r2), 0);
    assert_true(r.revision == r2.revision && r2.n_permissions == n);
    for (size_t i = 0; i < n; i++)
        assert_true(same_permission(&r.permissions[i], &r2.permissions[i]));
}

static void replies_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 61);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        short_replies_come_back(&s);
        lists_come_back(&s);
    }
    sample_fini(&s);
}

#define IN(literal) bytes_of(literal, sizeof(literal) - 1)

static void a_zero_byte_does_not_end_a_name(void **state)
{
    (void)state;
    struct arena a;
    struct authenticate_req r;
    arena_init(&a, 0);
    assert_int_equal(decode_authenticate_req(IN("\x0a\x06root\0x\x12\x03p\0q"), &a, &r), 0);
    assert_true(bytes_equal(r.name, IN("root\0x")));
    assert_true(bytes_equal(r.password, IN("p\0q")));
    arena_fini(&a);
}

static void what_is_malformed_or_no_text_is_refused(void **state)
{
    (void)state;
    struct arena a;
    bytes name;
    struct user_add_req u;
    struct role_grant_req g;
    arena_init(&a, 0);
    assert_int_equal(decode_auth_name_req(IN("\x0a\x02x"), &a, &name), TENURE_EPROTOCOL);
    assert_int_equal(decode_auth_name_req(IN("\x0a\x02\xc3("), &a, &name), TENURE_EPROTOCOL);
    assert_int_equal(decode_auth_empty_req(IN("\x0a"), &a), TENURE_EPROTOCOL);
    assert_int_equal(decode_user_add_req(IN("\x1a\x01\x08"), &a, &u), TENURE_EPROTOCOL);
    assert_int_equal(decode_role_grant_req(IN("\x12\x01\x12"), &a, &g), TENURE_EPROTOCOL);
    assert_int_equal(decode_user_add_req(IN("\x22\x03xyz\x1a\x02\x08\x01\x7a\x01!"), &a, &u), 0);
    assert_true(u.no_password); /* hashedPassword and unknown fields are passed over */
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(replies_come_back),
        cmocka_unit_test(a_zero_byte_does_not_end_a_name),
        cmocka_unit_test(what_is_malformed_or_no_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
