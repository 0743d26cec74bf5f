/* See rights.h. */
#include <string.h>

#include "busy/rights.h"

void rights_changing(struct rights *r, int user, int prefix)
{
    struct right *right = &r->of[user][prefix];
    right->changes = true;
    memset(right->known_ns, 0, sizeof right->known_ns);
}

void rights_changed(struct rights *r, int user, int prefix, bool stands, int64_t now_ns)
{
    struct right *right = &r->of[user][prefix];
    right->changes = false;
    right->stands = stands;
    right->answered_ns = now_ns;
}

/* NULL: everybody knows what is right, for ever. */
static const struct right *find(const struct rights *r, struct claim who)
{
    return who.user < 0 || who.prefix < 0 ? NULL : &r->of[who.user][who.prefix];
}

const char *rights_tried(struct rights *r, struct claim who, bool allowed, int64_t asked_ns, int64_t now_ns,
                         int64_t *ret_lag_ns)
{
    struct right *right = &r->of[who.user][who.prefix];
    int64_t *known_ns = &right->known_ns[who.replica];
    *ret_lag_ns = 0;
    if (right->changes || asked_ns <= right->answered_ns)
        return NULL;
    if (*known_ns && asked_ns > *known_ns && allowed != right->stands)
        return allowed ? "a watch was allowed that had been denied since the right was taken away"
                       : "a watch was denied that had been allowed since the right was given";
    if (!*known_ns && allowed == right->stands) {
        *known_ns = now_ns;
        *ret_lag_ns = now_ns - right->answered_ns;
    }
    return NULL;
}

const char *rights_created(const struct rights *r, struct claim who)
{
    const struct right *right = find(r, who);
    if (who.user >= 0 && who.prefix < 0)
        return "a watch was created over more than its user ever might read";
    if (!right || right->changes || right->stands || !right->known_ns[who.replica] ||
        who.sent_ns <= right->known_ns[who.replica])
        return NULL;
    return "a watch was created without a right, at a replica that knew";
}

const char *rights_told(const struct rights *r, struct claim who, int64_t written_ns)
{
    const struct right *right = find(r, who);
    if (who.user >= 0 && who.prefix < 0)
        return "a watch over more than its user ever might read was told something";
    if (!right || right->changes || right->stands)
        return NULL;
    if (right->known_ns[who.replica] && written_ns > right->known_ns[who.replica])
        return "a put was told without a right, by a replica that knew before it was written";
    if (written_ns > right->answered_ns + r->late_ns)
        return "a put was told that was written long after the right was taken away";
    return NULL;
}

const char *rights_denied(const struct rights *r, struct claim who)
{
    const struct right *right = find(r, who);
    if (who.user < 0)
        return "a watch was denied to who may everything";
    if (!right || right->changes || !right->stands || !right->known_ns[who.replica] ||
        who.sent_ns <= right->known_ns[who.replica])
        return NULL;
    return "a watch was denied while its right stood, at a replica that knew";
}
