/* A row about authentication and the message in it. The message is read once, when the row is made: names, roles and
 * permissions point into the row's own copy of it.
 *
 * Failure modes: a message that is not etcd's, or whose name is not the row's (TENURE_ECORRUPT); no memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/pbread.h"
#include "store/auth_state.h"
#include "tenure/error.h"

/* ---- writing ---- */

static void put_varint(struct buf *out, uint64_t v)
{
    while (v >= 0x80) {
        buf_append_byte(out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_append_byte(out, (uint8_t)v);
}

static void put_head(struct buf *out, unsigned field, size_t len)
{
    buf_append_byte(out, (uint8_t)(field << 3 | PB_LEN));
    put_varint(out, len);
}

static void put_bytes(struct buf *out, unsigned field, bytes s)
{
    put_head(out, field, s.len);
    buf_append_bytes(out, s);
}

static void put_bytes_if_any(struct buf *out, unsigned field, bytes s)
{
    if (s.len > 0)
        put_bytes(out, field, s);
}

void auth_encode_user(struct buf *out, const struct store_user *u)
{
    put_bytes_if_any(out, 1, u->name);
    put_bytes_if_any(out, 2, u->hash);
    for (size_t i = 0; i < u->n_roles; i++)
        put_bytes(out, 3, u->roles[i]);
    put_head(out, 4, u->no_password ? 2 : 0); /* options; there even when all of them are off, as in etcd */
    if (u->no_password)
        buf_append(out, "\x08\x01", 2);
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static size_t field_size(bytes s)
{
    return s.len ? 1 + varint_size(s.len) + s.len : 0;
}

static void put_permission(struct buf *out, const struct permission *p)
{
    uint64_t type = (uint64_t)(int64_t)p->type; /* negative ones are ten bytes long */
    size_t type_size = type ? 1 + varint_size(type) : 0;
    put_head(out, 2, type_size + field_size(p->range.key) + field_size(p->range.range_end));
    if (type) {
        buf_append_byte(out, 1 << 3 | PB_VARINT);
        put_varint(out, type);
    }
    put_bytes_if_any(out, 2, p->range.key);
    put_bytes_if_any(out, 3, p->range.range_end);
}

void auth_encode_role(struct buf *out, const struct store_role *r)
{
    put_bytes_if_any(out, 1, r->name);
    for (size_t i = 0; i < r->n_permissions; i++)
        put_permission(out, &r->permissions[i]);
}

/* ---- reading ---- */

/* How many fields of that number there are. */
static size_t count_fields(bytes in, uint32_t number)
{
    struct pb_field f;
    size_t n = 0;
    while (pb_next(&in, &f))
        n += f.number == number && f.type == PB_LEN;
    return n;
}

static bool read_options(bytes in, bool *ret_no_password)
{
    struct pb_field f;
    while (pb_next(&in, &f)) {
        if (f.number == 1 && f.type == PB_VARINT)
            *ret_no_password = f.value != 0;
    }
    return pb_done(in);
}

/* roles has room for all. */
static bool read_user(bytes in, bytes *roles, struct store_user *ret)
{
    struct pb_field f;
    bool ok = true;
    *ret = (struct store_user){.roles = roles, .encoded = in};
    while (ok && pb_next(&in, &f)) {
        if (f.type != PB_LEN)
            continue;
        if (f.number == 1)
            ret->name = f.body;
        else if (f.number == 2)
            ret->hash = f.body;
        else if (f.number == 3)
            roles[ret->n_roles++] = f.body;
        else if (f.number == 4)
            ok = read_options(f.body, &ret->no_password);
    }
    return ok && pb_done(in);
}

static bool read_permission(bytes in, struct permission *ret)
{
    struct pb_field f;
    *ret = (struct permission){0};
    while (pb_next(&in, &f)) {
        if (f.number == 1 && f.type == PB_VARINT)
            ret->type = (int32_t)f.value;
        else if (f.number == 2 && f.type == PB_LEN)
            ret->range.key = f.body;
        else if (f.number == 3 && f.type == PB_LEN)
            ret->range.range_end = f.body;
    }
    return pb_done(in);
}

static bool read_role(bytes in, struct permission *permissions, struct store_role *ret)
{
    struct pb_field f;
    bool ok = true;
    *ret = (struct store_role){.permissions = permissions, .encoded = in};
    while (ok && pb_next(&in, &f)) {
        if (f.type != PB_LEN)
            continue;
        if (f.number == 1)
            ret->name = f.body;
        else if (f.number == 2)
            ok = read_permission(f.body, &permissions[ret->n_permissions++]);
    }
    return ok && pb_done(in);
}

/* Binary searches and etcd's lists count on the order. */
static bool user_is_sorted(const struct store_user *u)
{
    for (size_t i = 1; i < u->n_roles; i++) {
        if (bytes_compare(u->roles[i - 1], u->roles[i]) >= 0)
            return false;
    }
    return true;
}

static bool role_is_sorted(const struct store_role *r)
{
    for (size_t i = 1; i < r->n_permissions; i++) {
        if (bytes_compare(r->permissions[i - 1].range.key, r->permissions[i].range.key) > 0)
            return false;
    }
    return true;
}

/* ---- the row ---- */

/* data: the array of roles or permissions, the name, the message. */
static bool row_read(struct auth_row *r)
{
    void *array = r->data;
    if (r->kind == RECORD_AUTH_SWITCH || r->gone)
        return r->value.len == 0;
    if (r->kind == RECORD_AUTH_USER)
        return read_user(r->value, array, &r->user) && bytes_equal(r->user.name, r->name) && user_is_sorted(&r->user);
    return read_role(r->value, array, &r->role) && bytes_equal(r->role.name, r->name) && role_is_sorted(&r->role);
}

static size_t array_bytes(enum record_kind kind, bytes value)
{
    if (kind == RECORD_AUTH_USER)
        return count_fields(value, 3) * sizeof(bytes);
    if (kind == RECORD_AUTH_ROLE)
        return count_fields(value, 2) * sizeof(struct permission);
    return 0;
}

static bytes copy_to(uint8_t *at, bytes s)
{
    if (s.len)
        memcpy(at, s.data, s.len);
    return bytes_of(at, s.len);
}

int auth_row_new(enum record_kind kind, bytes name, bytes value, bool gone, struct auth_row **ret)
{
    size_t array = array_bytes(kind, value);
    struct auth_row *r = calloc(1, sizeof *r);
    if (!r)
        return TENURE_ENOMEM;
    list_init(&r->node);
    r->kind = kind;
    r->gone = gone;
    r->data_len = array + name.len + value.len;
    r->data = malloc(r->data_len ? r->data_len : 1);
    if (!r->data) {
        free(r);
        return TENURE_ENOMEM;
    }
    r->name = copy_to(r->data + array, name);
    r->value = copy_to(r->data + array + name.len, value);
    if (!row_read(r)) {
        auth_row_free(r);
        return TENURE_ECORRUPT;
    }
    *ret = r;
    return 0;
}

int64_t auth_row_memory(const struct auth_row *r)
{
    return auth_garbage_memory() + (int64_t)r->data_len;
}

struct auth_row *auth_row_free(struct auth_row *r)
{
    if (!r)
        return NULL;
    list_remove(&r->node);
    if (r->data)
        explicit_bzero(r->data, r->data_len); /* a hash of a password may lie in it */
    free(r->data);
    free(r);
    return NULL;
}
