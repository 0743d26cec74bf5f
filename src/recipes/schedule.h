/* When a job is due: an interval, or five fields as in crontab(5), in UTC or at a fixed offset from it. Pure.
 *
 *     "@every 90s" (s, m, h, d): at the multiples of that time since 1970-01-01T00:00:00Z
 *     "@hourly" "@daily" "@weekly" "@monthly" "@yearly"
 *     "minute hour day month weekday": numbers, names of months and weekdays (jan, mon), lists, ranges, steps; Sunday is 0 or
 *     7. When day and weekday are both restricted, either will do.
 */
#ifndef RECIPES_SCHEDULE_H
#define RECIPES_SCHEDULE_H

#include "base/bytes.h"
#include "base/error.h"

enum { SCHEDULE_TIME_LEN = 20 };                  /* "2026-11-28T02:00:00Z" */
#define SCHEDULE_TIME_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct schedule {
    int64_t every_s; /* 0 = by the fields */
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* bit n: n is in */
    bool any_day, any_weekday;
    int32_t offset_s; /* of local time, east positive */
};

/* offset: NULL, "UTC", "Z", or "+02:00". TENURE_EINVALID says what is wrong. */
int schedule_parse(const char *text, const char *offset, struct schedule *ret, struct tenure_error *err) MUST_USE;
/* Unix seconds, t not further from 1970 than SCHEDULE_TIME_MAX_S. The first time after t, and the last one not after t; 0 when there is none within nine years. */
int64_t schedule_next(const struct schedule *s, int64_t t);
int64_t schedule_last(const struct schedule *s, int64_t t);

/* t from 0 on, before the year 10000. Writes a 0 behind it. */
void schedule_name(int64_t t, char out[SCHEDULE_TIME_LEN + 1]);
/* False when it is not exactly such a name. */
bool schedule_named(bytes name, int64_t *ret);

#endif
