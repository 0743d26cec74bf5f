/* The list of a handle's objects. Objects come while it is walked (a callback starts something) and leave it only in
 * objects_reap, which is never inside a walk. */
#include "lib/object.h"

#include "lib/handle.h"

static struct object *object_of(struct list *link)
{
    return LIST_ENTRY(link, struct object, link);
}

void object_init(struct object *o, tenure_client *c, const struct object_type *type)
{
    o->handle = c;
    o->type = type;
    list_push_back(&c->objects, &o->link);
}

void object_init_first(struct object *o, tenure_client *c, const struct object_type *type)
{
    o->handle = c;
    o->type = type;
    list_push_front(&c->objects, &o->link);
}

void objects_tick(tenure_client *c, tn_ms now)
{
    LIST_FOREACH(it, &c->objects)
    {
        struct object *o = object_of(it);
        if (o->type->tick && o->type->deadline(o) <= now)
            o->type->tick(o, now);
    }
}

tn_ms objects_deadline(const tenure_client *c)
{
    tn_ms first = TN_MS_NEVER;
    LIST_FOREACH(it, (struct list *)&c->objects)
    {
        struct object *o = object_of(it);
        tn_ms at = o->type->deadline ? o->type->deadline(o) : TN_MS_NEVER;
        first = at < first ? at : first;
    }
    return first;
}

void objects_publish(tenure_client *c)
{
    LIST_FOREACH(it, &c->objects)
    {
        struct object *o = object_of(it);
        if (o->type->publish)
            o->type->publish(o);
    }
}

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
    list_remove(&o->link);
    o->type->free(o);
}

bool objects_reap(tenure_client *c)
{
    struct list over;
    list_init(&over);
    LIST_FOREACH_SAFE(it, &c->objects)
    {
        if (!object_of(it)->type->is_over(object_of(it)))
            continue;
        list_remove(it);
        list_push_back(&over, it);
    }
    bool any = !list_empty(&over);
    while (!list_empty(&over)) {
        struct object *o = object_of(over.next);
        if (o->type->last_word)
            o->type->last_word(o);
        object_free(o);
    }
    return any;
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
