/* Alarms and the member's addresses for peers, as commands with a row each. What an alarm refuses is decided where the refused
 * commands begin: alarm_check here, quota_check for what only a lack of space refuses.
 */
#include <stdlib.h>

#include "store/internal.h"

enum etcd_error alarm_check(const struct store *s)
{
    return s->facts.corrupt ? ETCD_CORRUPT : ETCD_OK;
}

bool store_alarmed(const struct store *s, int32_t type)
{
    return type == ALARM_CORRUPT ? s->facts.corrupt > 0 : type == ALARM_NOSPACE && s->facts.nospace > 0;
}

/* ---- rows ---- */

static struct record fact_row(const struct store *s, const struct fact *f)
{
    return (struct record){
        .kind = f->kind,
        .main = s->revision,
        .version = f->type,
        .lease = (tn_lease)f->member_id,
        .value = bytes_of(f->value, f->value_len),
    };
}

static enum etcd_error fact_set(struct store *s, enum record_kind kind, uint64_t member_id, int32_t type, bytes value)
{
    if (s->facts.n_standing >= FACTS_MAX)
        return ETCD_TOO_MANY_REQUESTS;
    struct fact *f = fact_new(kind, member_id, type, value);
    if (!f || command_reserve(s) != 0) {
        free(f);
        return ETCD_OUT_OF_MEMORY;
    }
    fact_stand(s, f, s->seq + 1);
    command_add(s, (struct planned){.kind = kind}, fact_row(s, f));
    return ETCD_OK;
}

static enum etcd_error fact_unset(struct store *s, struct fact *f)
{
    if (command_reserve(s) != 0)
        return ETCD_OUT_OF_MEMORY;
    struct record row = fact_row(s, f);
    row.tombstone = true;
    row.value = bytes_of(NULL, 0);
    fact_clear(s, f, s->seq + 1);
    command_add(s, (struct planned){.kind = f->kind}, row);
    return ETCD_OK;
}

/* ---- alarms ---- */

static int alarm_order(const void *a, const void *b)
{
    const struct alarm *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    return x->member_id < y->member_id ? -1 : x->member_id > y->member_id;
}

typedef bool fact_filter(const struct store *s, const struct fact *f);

static void collect(const struct store *s, const struct list *from, fact_filter *wanted, int32_t type,
                    struct alarm *ret, size_t *n)
{
    LIST_FOREACH(it, (struct list *)from)
    {
        struct fact *f = LIST_ENTRY(it, struct fact, node);
        bool fits = f->kind == RECORD_ALARM && (type == ALARM_NONE || f->type == type);
        if (fits && wanted(s, f) && *n < FACTS_MAX)
            ret[(*n)++] = (struct alarm){f->member_id, f->type};
    }
}

static bool any(const struct store *s, const struct fact *f)
{
    (void)s;
    (void)f;
    return true;
}

static bool durable(const struct store *s, const struct fact *f)
{
    return fact_is_durable(f, s->seq_durable);
}

static struct alarm *alarms_room(struct arena *a)
{
    return arena_array(a, FACTS_MAX, sizeof(struct alarm));
}

enum etcd_error store_alarms(const struct store *s, struct arena *a, struct alarm **ret, size_t *ret_n)
{
    *ret_n = 0;
    *ret = NULL;
    if (list_empty(&s->facts.standing) && list_empty(&s->facts.gone))
        return ETCD_OK;
    *ret = alarms_room(a);
    if (!*ret)
        return ETCD_OUT_OF_MEMORY;
    collect(s, &s->facts.standing, durable, ALARM_NONE, *ret, ret_n);
    collect(s, &s->facts.gone, durable, ALARM_NONE, *ret, ret_n);
    qsort(*ret, *ret_n, sizeof **ret, alarm_order);
    return ETCD_OK;
}

static enum etcd_error alarm_list(const struct store *s, int32_t type, struct arena *a, struct alarm_resp *ret)
{
    ret->alarms = alarms_room(a);
    if (!ret->alarms)
        return ETCD_OUT_OF_MEMORY;
    collect(s, &s->facts.standing, any, type, ret->alarms, &ret->n_alarms);
    qsort(ret->alarms, ret->n_alarms, sizeof *ret->alarms, alarm_order);
    return ETCD_OK;
}

static enum etcd_error alarm_one(const struct alarm *alarm, struct arena *a, struct alarm_resp *ret)
{
    ret->alarms = arena_array(a, 1, sizeof *ret->alarms);
    if (!ret->alarms)
        return ETCD_OUT_OF_MEMORY;
    ret->alarms[ret->n_alarms++] = *alarm;
    return ETCD_OK;
}

static enum etcd_error alarm_run(struct store *s, const struct alarm_req *req, struct arena *a, struct alarm_resp *ret)
{
    const struct alarm *alarm = &req->alarm;
    struct fact *f = fact_find(&s->facts, RECORD_ALARM, alarm->member_id, alarm->type);
    enum etcd_error e = ETCD_OK;
    if (req->action == ALARM_GET)
        return alarm_list(s, alarm->type, a, ret);
    if (req->action == ALARM_ACTIVATE ? alarm->type == ALARM_NONE : !f)
        return ETCD_OK;
    e = alarm_one(alarm, a, ret);
    if (!e && req->action == ALARM_ACTIVATE && !f)
        e = fact_set(s, RECORD_ALARM, alarm->member_id, alarm->type, bytes_of(NULL, 0));
    else if (!e && req->action == ALARM_DEACTIVATE)
        e = fact_unset(s, f);
    return e;
}

enum etcd_error store_alarm(struct store *s, const struct alarm_req *req, struct arena *a, struct alarm_resp *ret,
                            tn_seq *seq)
{
    struct alarm_resp resp = {.revision = s->revision};
    enum etcd_error e = command_begin(s);
    if (!e) {
        e = alarm_run(s, req, a, &resp);
        command_end(s);
    }
    *seq = command_gate(s);
    if (!e)
        *ret = resp;
    return e;
}

/* ---- addresses for peers ---- */

static bool join(const bytes *urls, size_t n, struct arena *a, bytes *ret)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += urls[i].len + 1;
    uint8_t *all = arena_array(a, len, 1), *at = all;
    for (size_t i = 0; all && i < n; i++) {
        if (urls[i].len)
            memcpy(at, urls[i].data, urls[i].len);
        at += urls[i].len;
        *at++ = 0;
    }
    *ret = bytes_of(all, len);
    return all != NULL;
}

enum etcd_error store_set_peer_urls(struct store *s, const bytes *urls, size_t n, struct arena *a, tn_seq *seq)
{
    bytes value;
    *seq = 0;
    if (!join(urls, n, a, &value))
        return ETCD_OUT_OF_MEMORY;
    enum etcd_error e = command_begin(s);
    if (!e) {
        e = fact_set(s, RECORD_PEER_URLS, 0, 0, value);
        command_end(s);
    }
    *seq = command_gate(s);
    return e;
}

enum etcd_error store_peer_urls(const struct store *s, struct arena *a, bytes **ret, size_t *ret_n, tn_seq *seq)
{
    struct fact *f = fact_find(&s->facts, RECORD_PEER_URLS, 0, 0);
    size_t n = 0;
    for (size_t i = 0; f && i < f->value_len; i++)
        n += f->value[i] == 0;
    *seq = f && !s->config.broken_skip_gate ? f->seq : 0;
    *ret_n = n;
    *ret = arena_array(a, n, sizeof **ret);
    if (!*ret)
        return ETCD_OUT_OF_MEMORY;
    const uint8_t *at = f ? f->value : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen((const char *)at);
        (*ret)[i] = bytes_of(at, len);
        at += len + 1;
    }
    return ETCD_OK;
}
