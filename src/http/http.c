/* What all connections share. */
#include <stdio.h>
#include <stdlib.h>

#include "http/internal.h"

int http_new(const struct http_config *config, struct http **ret)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return TENURE_ENOMEM;
    h->config = *config;
    h->config.version = config->version ? config->version : "3.7.0";
    h->config.body_bytes_max = config->body_bytes_max ? config->body_bytes_max : (size_t)6 << 20;
    h->config.bodies_bytes_max = config->bodies_bytes_max ? config->bodies_bytes_max : (size_t)256 << 20;
    h->config.stall_ms = config->stall_ms ? config->stall_ms : 30000;
    buf_init(&h->pipe);
    buf_init(&h->scratch);
    *ret = h;
    return 0;
}

struct http *http_free(struct http *h)
{
    if (!h)
        return NULL;
    buf_fini(&h->pipe);
    buf_fini(&h->scratch);
    free(h);
    return NULL;
}

/* ---- Date ---- */

/* Year, month and day of a count of days since 1970, by the calendar that repeats every 400 years. */
static void civil(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468; /* since 1 March of the year 0, so that a leap day ends its year */
    int64_t era = days / 146097;
    unsigned in_era = (unsigned)(days - era * 146097);
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * in_year + 2) / 153;
    *ret_day = in_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *ret_year = (int64_t)year + era * 400 + (*ret_month <= 2);
}

void http_set_date(struct http *h, int64_t unix_s)
{
    static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t year;
    unsigned month, day;
    if (unix_s < 0 || (unix_s == h->date_s && h->date[0]))
        return;
    h->date_s = unix_s;
    civil(unix_s / 86400, &year, &month, &day);
    int s = (int)(unix_s % 86400);
    snprintf(h->date, sizeof h->date, "%s, %02u %s %04d %02d:%02d:%02d GMT", days[unix_s / 86400 % 7], day,
             months[month - 1], (int)(year % 10000), s / 3600, s / 60 % 60, s % 60);
}
