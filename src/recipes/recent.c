/* See recent.h: ids behind each other with a space between two. Anybody may write the mark: what is no id is found by nobody. */
#include "recipes/recent.h"

#include <string.h>

enum { STEP = RECENT_ID_LEN + 1 };

static size_t count(bytes mark)
{
    size_t n = (mark.len + 1) / STEP;
    return n < RECENT_MAX ? n : RECENT_MAX;
}

static bool has(bytes mark, const char *id)
{
    for (size_t i = 0; i < count(mark); i++)
        if (memcmp(mark.data + i * STEP, id, RECENT_ID_LEN) == 0)
            return true;
    return false;
}

bytes recent_send(struct recent *r, bytes mark, char out[RECENT_VALUE_MAX])
{
    size_t n = count(mark), kept = n < RECENT_MAX ? n : RECENT_MAX - 1;
    if (!r->sent && n)
        memcpy(r->before, mark.data, RECENT_ID_LEN);
    r->sent = true;
    memcpy(out, r->id, RECENT_ID_LEN);
    if (kept == 0)
        return bytes_of(out, RECENT_ID_LEN);
    out[RECENT_ID_LEN] = ' ';
    memcpy(out + STEP, mark.data, kept * STEP - 1);
    return bytes_of(out, (kept + 1) * STEP - 1);
}

bool recent_done(const struct recent *r, bytes mark)
{
    return has(mark, r->id);
}

bool recent_covers(const struct recent *r, bytes mark)
{
    if (!r->sent)
        return true;
    return r->before[0] ? has(mark, r->before) : count(mark) < RECENT_MAX;
}
