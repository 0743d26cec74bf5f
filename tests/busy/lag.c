/* See lag.h. Below 128 each microsecond has a step, then there are 128 for each doubling. */
#include "busy/lag.h"

static size_t step_of(int64_t us)
{
    size_t doubled = 0;
    while (us >> doubled >= 256)
        doubled++;
    size_t step = us < 128 ? (size_t)(us > 0 ? us : 0) : 128 * doubled + (size_t)(us >> doubled);
    return step < LAG_STEPS ? step : LAG_STEPS - 1;
}

void lag_add(struct lag *l, int64_t us)
{
    l->steps[step_of(us)]++;
    l->n++;
}

int64_t lag_quantile(const struct lag *l, double share)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < LAG_STEPS && l->n; i++) {
        sum += l->steps[i];
        if (sum > 0 && (double)sum >= share * (double)l->n)
            return i < 256 ? (int64_t)i : (int64_t)(128 + i % 128) << (i / 128 - 1);
    }
    return 0;
}
