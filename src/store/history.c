/* Finding a place in the history by revision.
 */
#include "store/internal.h"

size_t history_lower_bound(const struct store *s, tn_rev rev)
{
    size_t low = 0, high = s->history.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history_at(s, middle)->main < rev)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
