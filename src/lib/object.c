/* The lists of a handle's objects. Objects come while one is walked (a callback starts something) and leave only in
 * objects_reap, which is never inside a walk. */
#include "lib/object.h"

#include "lib/handle.h"

static struct object *object_of(struct list *in_handle)
{
    return LIST_ENTRY(in_handle, struct object, in_handle);
}

static struct object *timed_of(struct list *in_timed)
{
    return LIST_ENTRY(in_timed, struct object, in_timed);
}

void object_init(struct object *o, tenure_client *c, const struct object_type *type)
{
    o->handle = c;
    o->type = type;
    list_push_back(&c->objects, &o->in_handle);
    list_init(&o->in_timed);
    if (type->deadline)
        list_push_back(&c->timed, &o->in_timed);
}

void object_init_first(struct object *o, tenure_client *c, const struct object_type *type)
{
    object_init(o, c, type);
    list_remove(&o->in_handle);
    list_push_front(&c->objects, &o->in_handle);
}

void object_changed(struct object *o)
{
    o->handle->has_changed = true;
}

/* ---- time ---- */

bool objects_tick(tenure_client *c, tn_ms now)
{
    bool ticked = false;
    LIST_FOREACH(it, &c->timed)
    {
        struct object *o = timed_of(it);
        if (o->type->deadline(o) > now)
            continue;
        o->type->tick(o, now);
        ticked = true;
    }
    return ticked;
}

tn_ms objects_deadline(const tenure_client *c)
{
    tn_ms first = TN_MS_NEVER;
    LIST_FOREACH(it, (struct list *)&c->timed)
    {
        struct object *o = timed_of(it);
        tn_ms at = o->type->deadline(o);
        first = at < first ? at : first;
    }
    return first;
}

void objects_publish(tenure_client *c)
{
    LIST_FOREACH(it, &c->timed)
    {
        timed_of(it)->type->publish(timed_of(it));
    }
}

/* ---- ends ---- */

void objects_close(tenure_client *c, tn_ms now)
{
    LIST_FOREACH(it, &c->objects)
    {
        object_of(it)->type->close(object_of(it), now);
    }
}

void objects_abort(tenure_client *c, tn_ms now)
{
    LIST_FOREACH(it, &c->objects)
    {
        struct object *o = object_of(it);
        if (o->type->abort)
            o->type->abort(o, now);
    }
}

static void object_free(struct object *o)
{
    list_remove(&o->in_handle);
    list_remove(&o->in_timed);
    o->type->free(o);
}

static void take_over(tenure_client *c, struct list *ret)
{
    LIST_FOREACH_SAFE(it, &c->objects)
    {
        if (!object_of(it)->type->is_over(object_of(it)))
            continue;
        list_remove(it);
        list_push_back(ret, it);
    }
}

bool objects_reap(tenure_client *c)
{
    struct list over;
    if (!c->has_changed)
        return false;
    c->has_changed = false;
    list_init(&over);
    take_over(c, &over);
    while (!list_empty(&over)) {
        struct object *o = object_of(over.next);
        if (o->type->last_word)
            o->type->last_word(o);
        object_free(o);
    }
    return true;
}

/* From the back: sessions last. */
void objects_free(tenure_client *c)
{
    while (!list_empty(&c->objects))
        object_free(object_of(c->objects.prev));
}

bool objects_busy(const tenure_client *c)
{
    LIST_FOREACH(it, (struct list *)&c->objects)
    {
        if (!object_of(it)->type->is_passive)
            return true;
    }
    return false;
}
