#include "sample.h"

#include "wire/pbw.h"

void sample_init(struct sample *s, uint64_t seed)
{
    rng_init(&s->rng, seed);
    arena_init(&s->arena, 0);
    buf_init(&s->out);
}

void sample_reset(struct sample *s)
{
    arena_reset(&s->arena);
    buf_reset(&s->out);
}

void sample_fini(struct sample *s)
{
    arena_fini(&s->arena);
    buf_fini(&s->out);
}

size_t sample_below(struct sample *s, size_t n)
{
    return n ? rng_below(&s->rng, n) : 0;
}

bool sample_bool(struct sample *s)
{
    return sample_below(s, 2) == 0;
}

int64_t sample_int(struct sample *s)
{
    switch (sample_below(s, 8)) {
    case 0:
    case 1:
        return 0;
    case 2:
        return INT64_MAX;
    case 3:
        return INT64_MIN;
    case 4:
        return -(int64_t)sample_below(s, 1000);
    case 5:
        return (int64_t)1 << sample_below(s, 63); /* around each length of a varint */
    case 6:
        return ((int64_t)1 << sample_below(s, 63)) - 1;
    default:
        return (int64_t)sample_below(s, 100000);
    }
}

static size_t sample_len(struct sample *s)
{
    switch (sample_below(s, 16)) {
    case 0:
        return 100 + sample_below(s, 60);
    case 1:
        return 16300 + sample_below(s, 200);
    case 2:
    case 3:
    case 4:
        return 0;
    default:
        return sample_below(s, 20);
    }
}

static bytes sample_filled(struct sample *s, uint8_t lowest)
{
    size_t len = sample_len(s);
    uint8_t *data = sample_array(s, len, 1);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(lowest + sample_below(s, 256u - lowest));
    return bytes_of(data, len);
}

bytes sample_bytes(struct sample *s)
{
    return sample_filled(s, 0);
}

bytes sample_text(struct sample *s)
{
    return sample_filled(s, 1);
}

void *sample_array(struct sample *s, size_t n, size_t size)
{
    void *array = arena_array(&s->arena, n, size);
    assert_non_null(array);
    return array;
}

bytes *sample_texts(struct sample *s, size_t n)
{
    bytes *texts = sample_array(s, n, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = sample_text(s);
    return texts;
}

struct kv sample_kv(struct sample *s)
{
    return (struct kv){
        .key = sample_bytes(s),
        .value = sample_bytes(s),
        .create_revision = sample_int(s),
        .mod_revision = sample_int(s),
        .version = sample_int(s),
        .lease = sample_int(s),
    };
}

struct key_range sample_range(struct sample *s)
{
    return (struct key_range){sample_bytes(s), sample_bytes(s)};
}

struct response_header sample_header(struct sample *s)
{
    return (struct response_header){
        .cluster_id = (uint64_t)sample_int(s),
        .member_id = (uint64_t)sample_int(s),
        .revision = sample_int(s),
        .raft_term = (uint64_t)sample_int(s),
    };
}

bool same_kv(const struct kv *a, const struct kv *b)
{
    return bytes_equal(a->key, b->key) && bytes_equal(a->value, b->value) && a->create_revision == b->create_revision &&
           a->mod_revision == b->mod_revision && a->version == b->version && a->lease == b->lease;
}

bool same_kvs(const struct kv *a, size_t n_a, const struct kv *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!same_kv(&a[i], &b[i]))
            return false;
    return true;
}

bool same_range(struct key_range a, struct key_range b)
{
    return bytes_equal(a.key, b.key) && bytes_equal(a.range_end, b.range_end);
}

bool same_texts(const bytes *a, size_t n_a, const bytes *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!bytes_equal(a[i], b[i]))
            return false;
    return true;
}

bool same_header(const struct response_header *a, tn_rev revision, const struct response_header *b)
{
    return a->cluster_id == b->cluster_id && a->member_id == b->member_id && a->raft_term == b->raft_term &&
           revision == b->revision;
}

void expect_canonical(struct sample *s, const ProtobufCMessageDescriptor *d)
{
    assert_int_equal(buf_error(&s->out), 0);
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, s->out.len, s->out.data);
    assert_non_null(m);
    assert_int_equal(m->n_unknown_fields, 0);
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *packed = sample_array(s, len, 1);
    assert_int_equal(protobuf_c_message_pack(m, packed), len);
    protobuf_c_message_free_unpacked(m, NULL);
    assert_int_equal(len, s->out.len);
    assert_true(bytes_equal(bytes_of(packed, len), buf_bytes(&s->out)));
}

/* ---- by descriptor ---- */

static void sample_unknown(struct sample *s, struct buf *out)
{
    unsigned field = 200 + (unsigned)sample_below(s, 100);
    if (sample_bool(s))
        pbw_int_always(out, field, sample_int(s));
    else
        pbw_bytes_always(out, field, sample_bytes(s));
}

static void sample_field(struct sample *s, const ProtobufCFieldDescriptor *f, unsigned depth, struct buf *out)
{
    struct pbw_mark m;
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        if (depth == 0)
            return;
        m = pbw_begin(out, f->id, 0);
        sample_message(s, f->descriptor, depth - 1, out);
        pbw_end(out, m);
        break;
    case PROTOBUF_C_TYPE_STRING:
        pbw_bytes_always(out, f->id, sample_text(s));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        pbw_bytes_always(out, f->id, sample_bytes(s));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        pbw_int_always(out, f->id, sample_bool(s));
        break;
    default: /* the API has no fixed-size numbers */
        pbw_int_always(out, f->id, sample_int(s));
        break;
    }
}

void sample_message(struct sample *s, const ProtobufCMessageDescriptor *d, unsigned depth, struct buf *out)
{
    size_t n = sample_below(s, 8);
    for (size_t i = 0; i < n; i++) {
        if (d->n_fields == 0 || sample_below(s, 10) == 0)
            sample_unknown(s, out);
        else
            sample_field(s, &d->fields[sample_below(s, d->n_fields)], depth, out);
    }
}
