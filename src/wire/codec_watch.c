/* Watch: requests, responses, and one event as a field of a response, so that its encoding can be shared by watchers.
 * */
#include "tenure/error.h"
#include "wire/codec_internal.h"

enum { WATCH_RESPONSE_EVENTS = 11 };

/* ---- requests ---- */

static void create_of_pb(const Etcdserverpb__WatchCreateRequest *p, struct watch_create_req *ret)
{
    *ret = (struct watch_create_req){
        .range = {bytes_of_pb(p->key), bytes_of_pb(p->range_end)},
        .start_revision = p->start_revision,
        .progress_notify = p->progress_notify,
        .prev_kv = p->prev_kv,
        .fragment = p->fragment,
        .watch_id = p->watch_id,
    };
    for (size_t i = 0; i < p->n_filters; i++) {
        ret->no_put |= p->filters[i] == ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NOPUT;
        ret->no_delete |= p->filters[i] == ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NODELETE;
    }
}

int decode_watch_req(bytes in, struct arena *a, struct watch_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__watch_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__WatchRequest *p = m;
    *ret = (struct watch_req){.kind = WATCH_REQ_NONE};
    switch (p->request_union_case) {
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST:
        ret->kind = WATCH_REQ_CREATE;
        create_of_pb(p->create_request, &ret->create);
        break;
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST:
        ret->kind = WATCH_REQ_CANCEL;
        ret->cancel_id = p->cancel_request->watch_id;
        break;
    case ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST:
        ret->kind = WATCH_REQ_PROGRESS;
        break;
    default:
        break;
    }
    return 0;
}

/* Proto3 packs a repeated enum: one field of one byte a filter. */
static void encode_filters(struct buf *out, bool no_put, bool no_delete)
{
    const uint8_t both[] = {0, 1};
    if (no_put || no_delete)
        pbw_bytes(out, 5, bytes_of(both + !no_put, (size_t)no_put + no_delete));
}

static void encode_create(struct buf *out, const struct watch_create_req *r)
{
    struct pbw_mark m = pbw_begin(out, 1, r->range.key.len + r->range.range_end.len + 16);
    pbw_bytes(out, 1, r->range.key);
    pbw_bytes(out, 2, r->range.range_end);
    pbw_int(out, 3, r->start_revision);
    pbw_bool(out, 4, r->progress_notify);
    encode_filters(out, r->no_put, r->no_delete);
    pbw_bool(out, 6, r->prev_kv);
    pbw_int(out, 7, r->watch_id);
    pbw_bool(out, 8, r->fragment);
    pbw_end(out, m);
}

void encode_watch_req(const struct watch_req *r, struct buf *out)
{
    struct pbw_mark m;
    switch (r->kind) {
    case WATCH_REQ_CREATE:
        encode_create(out, &r->create);
        break;
    case WATCH_REQ_CANCEL:
        m = pbw_begin(out, 2, 0);
        pbw_int(out, 1, r->cancel_id);
        pbw_end(out, m);
        break;
    case WATCH_REQ_PROGRESS:
        pbw_end(out, pbw_begin(out, 3, 0));
        break;
    case WATCH_REQ_NONE:
        break;
    }
}

/* ---- responses ---- */

void encode_event_field(const struct event *e, struct buf *out)
{
    size_t hint = kv_size_hint(&e->kv) + 4 + (e->has_prev_kv ? kv_size_hint(&e->prev_kv) : 0);
    struct pbw_mark m = pbw_begin(out, WATCH_RESPONSE_EVENTS, hint);
    pbw_int(out, 1, e->type);
    encode_kv(out, 2, &e->kv);
    if (e->has_prev_kv)
        encode_kv(out, 3, &e->prev_kv);
    pbw_end(out, m);
}

void encode_watch_resp(const struct watch_resp *r, struct buf *out)
{
    encode_header(out, &r->header, r->header.revision);
    pbw_int(out, 2, r->watch_id);
    pbw_bool(out, 3, r->created);
    pbw_bool(out, 4, r->canceled);
    pbw_int(out, 5, r->compact_revision);
    pbw_bytes(out, 6, r->cancel_reason);
    pbw_bool(out, 7, r->fragment);
    for (size_t i = 0; i < r->n_events; i++)
        encode_event_field(&r->events[i], out);
}

static void event_of_pb(const Mvccpb__Event *p, struct event *ret)
{
    ret->type = (enum event_type)p->type;
    decode_kv(p->kv, &ret->kv);
    ret->has_prev_kv = p->prev_kv != NULL;
    decode_kv(p->prev_kv, &ret->prev_kv);
}

int decode_watch_resp(bytes in, struct arena *a, struct watch_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__watch_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__WatchResponse *p = m;
    struct event *events = arena_array(a, p->n_events, sizeof *events);
    if (!events)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_events; i++)
        event_of_pb(p->events[i], &events[i]);
    *ret = (struct watch_resp){
        .watch_id = p->watch_id,
        .created = p->created,
        .canceled = p->canceled,
        .fragment = p->fragment,
        .compact_revision = p->compact_revision,
        .cancel_reason = bytes_str(p->cancel_reason),
        .events = events,
        .n_events = p->n_events,
    };
    decode_header(p->header, &ret->header, NULL);
    return 0;
}
