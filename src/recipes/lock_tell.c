/* What the user of a lock is told, and in which order: posted while the machine changes, told last (object.h). */
#include "recipes/homed.h"
#include "recipes/lock_machine.h"

void lock_post_acquired(struct lock *l, int code, const struct tenure_error *error)
{
    l->tell_acquired = true;
    l->acquired_code = code;
    if (error)
        l->error = *error;
    else
        error_clear(&l->error);
    session_post(&l->object);
}

void lock_post_shared(struct lock *l, int code)
{
    if (!l->sharing)
        return;
    l->sharing = false;
    l->tell_shared = true;
    l->shared_code = code;
    session_post(&l->object);
}

void lock_post_released(struct lock *l, int code)
{
    l->tell_released = true;
    l->released_code = code;
    session_post(&l->object);
}

/* With the news of the acquisition itself comes what it begins with. */
void lock_post_believed(struct lock *l)
{
    if (l->state != LOCK_HELD)
        return;
    l->tell_believed = true;
    session_post(&l->object);
}

bool lock_has_news(const struct lock *l)
{
    return l->tell_acquired || l->tell_lost || l->tell_released || l->tell_shared || l->tell_believed;
}

int64_t lock_token_of(const struct lock *l)
{
    return l->epoch ? home_token(l->epoch, l->create) : l->create;
}

static void tell_acquired(struct lock *l)
{
    struct tenure_error error = l->error;
    int code = l->acquired_code;
    int64_t token = l->broken_token && l->object.session ? session_lease(lock_session(l)) : lock_token_of(l);
    l->tell_acquired = false;
    if (lock_has_news(l))
        session_post(&l->object);
    if (l->cb.on_acquired)
        l->cb.on_acquired(l->user, code, code ? 0 : token, code ? &error : NULL);
}

static void tell_lost(struct lock *l)
{
    struct tenure_error why = l->error;
    l->tell_lost = false;
    if (lock_has_news(l))
        session_post(&l->object);
    if (l->cb.on_lost)
        l->cb.on_lost(l->user, &why);
}

static void tell_shared(struct lock *l)
{
    l->tell_shared = false;
    if (lock_has_news(l))
        session_post(&l->object);
    if (l->cb.on_shared)
        l->cb.on_shared(l->user, l->shared_code);
}

static void tell_believed(struct lock *l)
{
    l->tell_believed = false;
    if (lock_has_news(l))
        session_post(&l->object);
    if (l->cb.on_believed)
        l->cb.on_believed(l->user, l->believed_until);
}

void lock_deliver(struct session_object *o)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (l->tell_acquired) {
        tell_acquired(l);
    } else if (l->tell_shared) {
        tell_shared(l);
    } else if (l->tell_lost) {
        tell_lost(l);
    } else if (l->tell_believed) {
        tell_believed(l);
    } else if (l->tell_released) {
        l->tell_released = false;
        if (l->cb.on_released)
            l->cb.on_released(l->user, l->released_code);
    }
}
