/* What a server counts, from its /metrics: the same names on `tenure serve` and etcd. */
#include <stdlib.h>
#include <string.h>

#include "cli/scrape.h"
#include "cli/top.h"

static int64_t *number_of(const char *name, size_t len, struct top_numbers *n)
{
    const struct {
        const char *name;
        int64_t *number;
    } names[] = {{"etcd_mvcc_put_total", &n->puts},
                 {"etcd_mvcc_delete_total", &n->deletes},
                 {"etcd_mvcc_range_total", &n->ranges},
                 {"etcd_debugging_mvcc_events_total", &n->events},
                 {"etcd_debugging_mvcc_watcher_total", &n->watchers}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
            return names[i].number;
    return NULL;
}

void top_metrics_of(const char *text, struct top_numbers *ret)
{
    *ret = (struct top_numbers){-1, -1, -1, -1, -1};
    while (*text) {
        size_t line = strcspn(text, "\n"), name = strcspn(text, " \n");
        int64_t *number = name < line ? number_of(text, name, ret) : NULL;
        double value = number ? strtod(text + name, NULL) : 0; /* Go writes large ones as 1.2e+07 */
        if (number && value >= 0 && value < 9e15)
            *number = (int64_t)value;
        text += line + (text[line] == '\n');
    }
}

bool top_metrics(const char *endpoint, const struct global_options *g, int64_t timeout_ms, struct top_numbers *ret)
{
    struct scraped page = {.endpoint = endpoint};
    scrape(&page, 1, g, timeout_ms, false);
    bool fine = page.has_metrics;
    if (fine)
        top_metrics_of((const char *)page.metrics.data, ret);
    scrape_free(&page, 1);
    return fine;
}
