/* The Auth service. Read by hand: a name or password may hold a zero byte, behind which protobuf-c's strings end, and then
 * one would be taken for another. Strings borrow the message. Those that are not UTF-8 are refused, as in Go.
 *
 * Many of its messages have one shape, which is written once: a name; a user and a role; names; nothing but a header. */
#include "base/pbread.h"
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- reading ---- */

enum { FIELDS_MAX = 4 };

/* The fields 1 … FIELDS_MAX that are strings, bytes or messages; the last of each counts. */
struct fields {
    bytes at[FIELDS_MAX + 1];
    bool has[FIELDS_MAX + 1];
    uint64_t number[FIELDS_MAX + 1];
};

static int read_fields(bytes in, struct fields *ret)
{
    struct pb_field f;
    memset(ret, 0, sizeof *ret);
    while (pb_next(&in, &f)) {
        if (f.number > FIELDS_MAX)
            continue;
        if (f.type == PB_LEN) {
            ret->at[f.number] = f.body;
            ret->has[f.number] = true;
        } else if (f.type == PB_VARINT) {
            ret->number[f.number] = f.value;
        }
    }
    return pb_done(in) ? 0 : TENURE_EPROTOCOL;
}

static bool is_text(bytes s)
{
    while (s.len > 0) {
        size_t n = bytes_utf8_char(s);
        if (n == 0)
            return false;
        s = bytes_of(s.data + n, s.len - n);
    }
    return true;
}

/* The same, and fields 1 … n_texts are strings. */
static int read_texts(bytes in, unsigned n_texts, struct fields *ret)
{
    int rc = read_fields(in, ret);
    for (unsigned i = 1; i <= n_texts && !rc; i++)
        rc = is_text(ret->at[i]) ? 0 : TENURE_EPROTOCOL;
    return rc;
}

static int read_header(bytes in, struct arena *a, struct response_header *h, tn_rev *ret_revision)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__response_header__descriptor, in, a, &m);
    if (!rc)
        decode_header(m, h, ret_revision);
    return rc;
}

/* All fields of that number, in order. */
static int read_repeated(bytes in, uint32_t number, struct arena *a, bytes **ret, size_t *ret_n)
{
    struct pb_field f;
    size_t n = 0, i = 0;
    bytes rest = in;
    while (pb_next(&rest, &f))
        n += f.number == number && f.type == PB_LEN;
    if (!pb_done(rest))
        return TENURE_EPROTOCOL;
    bytes *list = arena_array(a, n, sizeof *list);
    if (!list)
        return TENURE_ENOMEM;
    while (pb_next(&in, &f)) {
        if (f.number == number && f.type == PB_LEN)
            list[i++] = f.body;
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

/* ---- shapes of requests ---- */

int decode_auth_empty_req(bytes in, struct arena *a)
{
    struct fields f;
    (void)a;
    return read_fields(in, &f);
}

void encode_auth_empty_req(struct buf *out)
{
    (void)out; /* an empty message is no bytes at all */
}

int decode_auth_name_req(bytes in, struct arena *a, bytes *ret)
{
    struct fields f;
    (void)a;
    int rc = read_texts(in, 1, &f);
    if (!rc)
        *ret = f.at[1];
    return rc;
}

void encode_auth_name_req(bytes name, struct buf *out)
{
    pbw_bytes(out, 1, name);
}

int decode_user_role_req(bytes in, struct arena *a, struct user_role_req *ret)
{
    struct fields f;
    (void)a;
    int rc = read_texts(in, 2, &f);
    if (!rc)
        *ret = (struct user_role_req){f.at[1], f.at[2]};
    return rc;
}

void encode_user_role_req(const struct user_role_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->user);
    pbw_bytes(out, 2, r->role);
}

/* ---- requests ---- */

int decode_authenticate_req(bytes in, struct arena *a, struct authenticate_req *ret)
{
    struct fields f;
    (void)a;
    int rc = read_texts(in, 2, &f);
    if (!rc)
        *ret = (struct authenticate_req){f.at[1], f.at[2]};
    return rc;
}

void encode_authenticate_req(const struct authenticate_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->name);
    pbw_bytes(out, 2, r->password);
}

/* hashedPassword is etcd's own affair between its members: what a client says there is ignored. */
int decode_user_add_req(bytes in, struct arena *a, struct user_add_req *ret)
{
    struct fields f, options;
    (void)a;
    int rc = read_texts(in, 2, &f);
    if (!rc)
        rc = read_fields(f.at[3], &options);
    if (!rc)
        *ret = (struct user_add_req){f.at[1], f.at[2], options.number[1] != 0};
    return rc;
}

void encode_user_add_req(const struct user_add_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->name);
    pbw_bytes(out, 2, r->password);
    if (!r->no_password)
        return;
    struct pbw_mark m = pbw_begin(out, 3, 2);
    pbw_bool(out, 1, true);
    pbw_end(out, m);
}

int decode_user_password_req(bytes in, struct arena *a, struct user_password_req *ret)
{
    struct fields f;
    (void)a;
    int rc = read_texts(in, 2, &f);
    if (!rc)
        *ret = (struct user_password_req){f.at[1], f.at[2]};
    return rc;
}

void encode_user_password_req(const struct user_password_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->name);
    pbw_bytes(out, 2, r->password);
}

/* ---- permissions ---- */

static int read_permission(bytes in, struct permission *ret)
{
    struct fields f;
    int rc = read_fields(in, &f);
    if (!rc)
        *ret = (struct permission){.type = (int32_t)f.number[1], .range = {f.at[2], f.at[3]}};
    return rc;
}

static void encode_permission(struct buf *out, unsigned field, const struct permission *p)
{
    struct pbw_mark m = pbw_begin(out, field, p->range.key.len + p->range.range_end.len + 8);
    pbw_int(out, 1, p->type);
    pbw_bytes(out, 2, p->range.key);
    pbw_bytes(out, 3, p->range.range_end);
    pbw_end(out, m);
}

int decode_role_grant_req(bytes in, struct arena *a, struct role_grant_req *ret)
{
    struct fields f;
    struct permission p = {0};
    (void)a;
    int rc = read_texts(in, 1, &f);
    if (!rc && f.has[2])
        rc = read_permission(f.at[2], &p);
    if (!rc)
        *ret = (struct role_grant_req){f.at[1], f.has[2], p};
    return rc;
}

void encode_role_grant_req(const struct role_grant_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->role);
    if (r->has_permission)
        encode_permission(out, 2, &r->permission);
}

int decode_role_revoke_req(bytes in, struct arena *a, struct role_revoke_req *ret)
{
    struct fields f;
    (void)a;
    int rc = read_texts(in, 1, &f);
    if (!rc)
        *ret = (struct role_revoke_req){f.at[1], {f.at[2], f.at[3]}};
    return rc;
}

void encode_role_revoke_req(const struct role_revoke_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->role);
    pbw_bytes(out, 2, r->range.key);
    pbw_bytes(out, 3, r->range.range_end);
}

/* ---- replies ---- */

void encode_auth_done_resp(const struct response_header *h, tn_rev revision, struct buf *out)
{
    encode_header(out, h, revision);
}

int decode_auth_done_resp(bytes in, struct arena *a, struct response_header *h, tn_rev *ret_revision)
{
    struct fields f;
    int rc = read_fields(in, &f);
    return rc ? rc : read_header(f.at[1], a, h, ret_revision);
}

void encode_auth_status_resp(const struct response_header *h, const struct auth_status_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_bool(out, 2, r->enabled);
    pbw_uint(out, 3, r->auth_revision);
}

int decode_auth_status_resp(bytes in, struct arena *a, struct response_header *h, struct auth_status_resp *ret)
{
    struct fields f;
    int rc = read_fields(in, &f);
    if (rc)
        return rc;
    *ret = (struct auth_status_resp){.enabled = f.number[2] != 0, .auth_revision = f.number[3]};
    return read_header(f.at[1], a, h, &ret->revision);
}

void encode_authenticate_resp(const struct response_header *h, const struct authenticate_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_bytes(out, 2, r->token);
}

int decode_authenticate_resp(bytes in, struct arena *a, struct response_header *h, struct authenticate_resp *ret)
{
    struct fields f;
    int rc = read_texts(in, 0, &f);
    if (rc)
        return rc;
    *ret = (struct authenticate_resp){.token = f.at[2]};
    return read_header(f.at[1], a, h, &ret->revision);
}

void encode_auth_names_resp(const struct response_header *h, const struct auth_names_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_names; i++)
        pbw_bytes_always(out, 2, r->names[i]);
}

int decode_auth_names_resp(bytes in, struct arena *a, struct response_header *h, struct auth_names_resp *ret)
{
    struct fields f;
    struct auth_names_resp r = {0};
    int rc = read_fields(in, &f);
    if (!rc)
        rc = read_repeated(in, 2, a, &r.names, &r.n_names);
    if (!rc)
        rc = read_header(f.at[1], a, h, &r.revision);
    if (!rc)
        *ret = r;
    return rc;
}

void encode_role_get_resp(const struct response_header *h, const struct role_get_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_permissions; i++)
        encode_permission(out, 2, &r->permissions[i]);
}

int decode_role_get_resp(bytes in, struct arena *a, struct response_header *h, struct role_get_resp *ret)
{
    struct fields f;
    struct role_get_resp r = {0};
    bytes *list = NULL;
    int rc = read_fields(in, &f);
    if (!rc)
        rc = read_repeated(in, 2, a, &list, &r.n_permissions);
    if (rc)
        return rc;
    r.permissions = arena_array(a, r.n_permissions, sizeof *r.permissions);
    if (!r.permissions)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < r.n_permissions && !rc; i++)
        rc = read_permission(list[i], &r.permissions[i]);
    if (!rc)
        rc = read_header(f.at[1], a, h, &r.revision);
    if (!rc)
        *ret = r;
    return rc;
}
