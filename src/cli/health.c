#include "cli/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/tls_expiry.h"

#define TIMEOUT_MS     3000
#define DAY_S          86400
#define FSYNC_MAX_MS   10.0 /* etcd's own measures, from its FAQ: "apply entries took too long" */
#define COMMIT_MAX_MS  25.0
#define COUNT_MIN      100.0            /* of fewer 99 % say little */
#define CLOCK_APART_US INT64_C(1000000) /* where etcd itself begins to warn */

/* ---- asking ---- */

static double quantile_ms(const struct scraped *page, const char *name, double *ret_count)
{
    double value;
    *ret_count = 0;
    return page->has_metrics && metrics_quantile((const char *)page->metrics.data, name, 0.99, &value, ret_count)
               ? value * 1000
               : -1;
}

static void ask_certificate(struct health_server *s)
{
    struct io_address at;
    if (!s->endpoint || io_address_parse(s->endpoint, 2379, &at, &s->certificate_why) < 0 || !at.tls)
        return;
    s->has_certificate = io_tls_expiry_peer(&at, TIMEOUT_MS, &s->certificate_s, &s->certificate_why) == 0;
}

/* The pages lie side by side for one round over all of them. */
void health_ask(struct health_server *all, size_t n, const struct global_options *g, bool certificates)
{
    struct scraped *pages = calloc(n ? n : 1, sizeof *pages);
    for (size_t i = 0; pages && i < n; i++)
        pages[i].endpoint = all[i].endpoint;
    if (pages)
        scrape(pages, n, g, TIMEOUT_MS, true);
    for (size_t i = 0; i < n; i++) {
        struct health_server *s = &all[i];
        if (pages)
            s->page = pages[i];
        s->fsync_ms = quantile_ms(&s->page, "etcd_disk_wal_fsync_duration_seconds", &s->fsyncs);
        s->commit_ms = quantile_ms(&s->page, "etcd_disk_backend_commit_duration_seconds", &s->commits);
        if (certificates)
            ask_certificate(s);
    }
    free(pages);
}

void health_free(struct health_server *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        scrape_free(&all[i].page, 1);
}

/* ---- telling ---- */

static void tell(health_found *found, void *user, enum doctor_level level, const char *about, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));

static void tell(health_found *found, void *user, enum doctor_level level, const char *about, const char *advice,
                 const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    found(user, level, about, advice, text);
}

void health_tell_certificate(const char *about, int64_t seconds, health_found *found, void *user)
{
    int64_t days = seconds / DAY_S;
    if (seconds < 0)
        tell(found, user, DOCTOR_BAD, about, "renew it", "the certificate ran out %" PRId64 " days ago", -days);
    else if (days < HEALTH_SOON_DAYS)
        tell(found, user, DOCTOR_WARN, about, "renew it; tenure serve and etcd read new files by themselves",
             "the certificate runs out in %" PRId64 " days", days);
    else
        tell(found, user, DOCTOR_OK, about, NULL, "the certificate is good for %" PRId64 " days", days);
}

void health_tell_faults(const struct health_server *all, size_t n, health_found *found, void *user)
{
    const struct health_fault *f;
    char advice[64];
    for (size_t i = 0, at = 0; i < n; i++, at = 0)
        while (all[i].version && (f = health_fault_next(all[i].version, all[i].in_cluster, &at))) {
            snprintf(advice, sizeof advice, "upgrade to %s or later", f->fixed);
            tell(found, user, DOCTOR_WARN, all[i].name, advice, "etcd %s: %s", all[i].version, f->what);
        }
}

static void tell_disk(const struct health_server *s, health_found *found, void *user)
{
    bool slow_log = s->fsyncs >= COUNT_MIN && s->fsync_ms > FSYNC_MAX_MS;
    bool slow_commit = s->commits >= COUNT_MIN && s->commit_ms > COMMIT_MAX_MS;
    static const char advice[] = "give it a faster disk, and that for itself alone";
    if (slow_log)
        tell(found, user, DOCTOR_WARN, s->name, advice,
             "a slow disk: a sync of its log takes up to %.0f ms (p99 of %.0f), and should take less than %.0f",
             s->fsync_ms, s->fsyncs, FSYNC_MAX_MS);
    if (slow_commit)
        tell(found, user, DOCTOR_WARN, s->name, advice,
             "a slow disk: a commit takes up to %.0f ms (p99 of %.0f), and should take less than %.0f", s->commit_ms,
             s->commits, COMMIT_MAX_MS);
    if (!slow_log && !slow_commit && s->fsync_ms >= 0 && s->commit_ms >= 0)
        tell(found, user, DOCTOR_OK, s->name, NULL, "its disk: syncs take up to %.1f ms, commits %.1f ms (p99)",
             s->fsync_ms, s->commit_ms);
}

bool health_spread(const struct health_server *all, size_t n, struct health_spread *ret)
{
    int64_t x, x_error, y, y_error;
    bool any = false;
    *ret = (struct health_spread){0};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (i == j || !offset_get(&all[i].page.clock, &x, &x_error) ||
                !offset_get(&all[j].page.clock, &y, &y_error) || (any && y - x <= ret->apart_us))
                continue;
            any = true;
            *ret = (struct health_spread){.a = i, .b = j, .apart_us = y - x, .error_us = x_error + y_error};
        }
    return any;
}

static void tell_clocks(const struct health_server *all, size_t n, health_found *found, void *user)
{
    struct health_spread s;
    int64_t offset, error;
    static const char advice[] = "timedatectl set-ntp true, on its host";
    for (size_t i = 0; i < n; i++) {
        if (all[i].page.clock.has_jumped)
            tell(found, user, DOCTOR_WARN, all[i].name, advice, "its clock was set while it was looked at");
        else if (n == 1 && offset_get(&all[i].page.clock, &offset, &error) &&
                 (offset < 0 ? -offset : offset) - error > CLOCK_APART_US)
            tell(found, user, DOCTOR_WARN, all[i].name, advice, "its clock is %.2f s %s this machine's",
                 (double)(offset < 0 ? -offset : offset) / 1e6, offset < 0 ? "behind" : "ahead of");
    }
    if (!health_spread(all, n, &s))
        return;
    if (s.apart_us - s.error_us > CLOCK_APART_US)
        tell(found, user, DOCTOR_WARN, "clocks", advice, "%s's is %.2f s ahead of %s's (± %.2f s)", all[s.b].name,
             (double)s.apart_us / 1e6, all[s.a].name, (double)s.error_us / 1e6);
    else
        tell(found, user, DOCTOR_OK, "clocks", NULL, "within %.2f s of each other",
             (double)(s.apart_us + s.error_us) / 1e6);
}

void health_tell(const struct health_server *all, size_t n, health_found *found, void *user)
{
    for (size_t i = 0; i < n; i++) {
        if (!all[i].endpoint)
            continue;
        tell_disk(&all[i], found, user);
        if (all[i].has_certificate)
            health_tell_certificate(all[i].name, all[i].certificate_s, found, user);
    }
    tell_clocks(all, n, found, user);
}
