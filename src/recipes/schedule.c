/* See schedule.h. Days are counted from 1970-01-01; a year is taken to begin in March, so that the leap day is its last. */
#include "recipes/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { DAY_S = 86400, SEARCH_DAYS = 9 * 366 };
#define EVERY_MAX_S (INT64_C(10) * 366 * DAY_S)

struct date {
    int64_t year;
    int month, day; /* from 1 on */
};

/* ---- days ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct date date_of(int64_t days)
{
    int64_t d = days + 719468; /* since 0000-03-01 */
    int64_t era = floor_div(d, 146097), of_era = d - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * of_year + 2) / 153);
    int day = (int)(of_year - (153 * month + 2) / 5 + 1);
    month = month < 10 ? month + 3 : month - 9;
    return (struct date){year + era * 400 + (month <= 2), month, day};
}

static int64_t days_of(struct date d)
{
    int64_t year = d.year - (d.month <= 2), era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* ---- parsing ---- */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
    const char *name;
    int low, high;
    const char *const *names;
    int n_names, first_name;
};

static const struct field fields[] = {
    {"minute", 0, 59, NULL, 0, 0},
    {"hour", 0, 23, NULL, 0, 0},
    {"day", 1, 31, NULL, 0, 0},
    {"month", 1, 12, month_names, 12, 1},
    {"weekday", 0, 7, weekday_names, 7, 0},
};

/* Up to four digits; -1 when there are none. */
static int take_number(const char **at)
{
    int n = 0, digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 4; digits++)
        n = 10 * n + (*(*at)++ - '0');
    return digits > 0 && !(**at >= '0' && **at <= '9') ? n : -1;
}

static int take_value(const char **at, const struct field *f)
{
    for (int i = 0; i < f->n_names; i++)
        if (strncasecmp(*at, f->names[i], 3) == 0) {
            *at += 3;
            return f->first_name + i;
        }
    int n = take_number(at);
    return n >= f->low && n <= f->high ? n : -1;
}

/* One of a list: "*", "5", "5-9", each with "/2" behind. */
static bool take_part(const char **at, const struct field *f, uint64_t *bits)
{
    int low = f->low, high = f->high == 7 ? 6 : f->high, step = 1;
    bool star = **at == '*';
    if (star) {
        (*at)++;
    } else {
        low = high = take_value(at, f);
        if (low < 0)
            return false;
        if (**at == '-') {
            (*at)++;
            high = take_value(at, f);
        } else if (**at == '/') {
            high = f->high == 7 ? 6 : f->high;
        }
    }
    if (**at == '/') {
        (*at)++;
        step = take_number(at);
    }
    if (high < low || step < 1)
        return false;
    for (int i = low; i <= high; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

static bool take_field(const char **at, const struct field *f, uint64_t *bits, bool *any)
{
    while (**at == ' ' || **at == '\t')
        (*at)++;
    *any = **at == '*';
    *bits = 0;
    do {
        if (!take_part(at, f, bits))
            return false;
    } while (**at == ',' && *(*at)++ == ',');
    return **at == 0 || **at == ' ' || **at == '\t';
}

static int parse_fields(const char *text, struct schedule *s, struct tenure_error *err)
{
    uint64_t bits[5];
    bool any[5];
    const char *at = text;
    for (int i = 0; i < 5; i++)
        if (!take_field(&at, &fields[i], &bits[i], &any[i]))
            return error_set(err, TENURE_EINVALID, "schedule '%.100s': the %s cannot be read", text, fields[i].name);
    while (*at == ' ' || *at == '\t')
        at++;
    if (*at)
        return error_set(err, TENURE_EINVALID, "schedule '%.100s': more than five fields", text);
    s->minutes = bits[0];
    s->hours = (uint32_t)bits[1];
    s->days = (uint32_t)bits[2];
    s->months = (uint32_t)bits[3];
    s->weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f);
    s->any_day = any[2];
    s->any_weekday = any[4];
    return 0;
}

static int parse_every(const char *text, const char *at, struct schedule *s, struct tenure_error *err)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, DAY_S};
    int64_t n = 0;
    int digits = 0;
    for (; *at >= '0' && *at <= '9' && digits < 10; digits++)
        n = 10 * n + (*at++ - '0');
    const char *unit = *at ? strchr(units, *at) : NULL;
    if (digits == 0 || !unit || at[1] || n < 1 || n > EVERY_MAX_S / seconds[unit - units])
        return error_set(err, TENURE_EINVALID, "schedule '%.100s': wanted \"@every N\" and one of s, m, h, d", text);
    s->every_s = n * seconds[unit - units];
    return 0;
}

static const char *of_name(const char *text)
{
    static const char *const names[][2] = {{"@hourly", "0 * * * *"},
                                           {"@daily", "0 0 * * *"},
                                           {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},
                                           {"@yearly", "0 0 1 1 *"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i][0]) == 0)
            return names[i][1];
    return text;
}

static bool parse_offset(const char *text, int32_t *ret)
{
    *ret = 0;
    if (!text || strcmp(text, "UTC") == 0 || strcmp(text, "Z") == 0)
        return true;
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':')
        return false;
    for (int i = 1; i < 6; i++)
        if (i != 3 && (text[i] < '0' || text[i] > '9'))
            return false;
    int hours = 10 * (text[1] - '0') + text[2] - '0', minutes = 10 * (text[4] - '0') + text[5] - '0';
    *ret = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours <= 14 && minutes <= 59;
}

int schedule_parse(const char *text, const char *offset, struct schedule *ret, struct tenure_error *err)
{
    *ret = (struct schedule){0};
    if (!text || !text[0])
        return error_set(err, TENURE_EINVALID, "schedule: it is empty");
    if (!parse_offset(offset, &ret->offset_s))
        return error_set(err, TENURE_EINVALID, "schedule: an offset is \"UTC\" or like \"+02:00\", not '%.20s'",
                         offset);
    if (strncmp(text, "@every ", 7) == 0)
        return parse_every(text, text + 7, ret, err);
    int rc = parse_fields(of_name(text), ret, err);
    if (rc == 0 && schedule_next(ret, 0) == 0)
        rc = error_set(err, TENURE_EINVALID, "schedule '%.100s': there is no such day", text);
    return rc;
}

/* ---- times ---- */

static bool has_day(const struct schedule *s, int64_t days)
{
    struct date d = date_of(days);
    int64_t weekday = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    weekday += weekday < 0 ? 7 : 0;
    bool day = s->days >> d.day & 1, week = s->weekdays >> weekday & 1;
    bool fits = s->any_day || s->any_weekday ? day && week : day || week;
    return fits && s->months >> d.month & 1;
}

/* Minutes of the day, in one direction; -1 = none is left. */
static int minute_from(const struct schedule *s, int from, int step)
{
    for (int m = from; m >= 0 && m < 1440; m += step)
        if (s->hours >> m / 60 & 1 && s->minutes >> m % 60 & 1)
            return m;
    return -1;
}

/* From the minute that contains local time t on, or back. */
static int64_t search(const struct schedule *s, int64_t t, int step)
{
    int64_t day = floor_div(t, DAY_S);
    int from = (int)((t - day * DAY_S) / 60);
    for (int i = 0; i < SEARCH_DAYS; i++, day += step) {
        int m = has_day(s, day) ? minute_from(s, from, step) : -1;
        if (m >= 0)
            return day * DAY_S + m * 60;
        from = step > 0 ? 0 : 1439;
    }
    return INT64_MIN;
}

int64_t schedule_next(const struct schedule *s, int64_t t)
{
    if (s->every_s)
        return (floor_div(t, s->every_s) + 1) * s->every_s;
    int64_t minute = (floor_div(t + s->offset_s, 60) + 1) * 60, found = search(s, minute, 1);
    return found == INT64_MIN ? 0 : found - s->offset_s;
}

int64_t schedule_last(const struct schedule *s, int64_t t)
{
    if (s->every_s)
        return floor_div(t, s->every_s) * s->every_s;
    int64_t found = search(s, t + s->offset_s, -1);
    return found == INT64_MIN || found < s->offset_s ? 0 : found - s->offset_s;
}

/* ---- names ---- */

void schedule_name(int64_t t, char out[SCHEDULE_TIME_LEN + 1])
{
    char text[64];
    t = t < 0 ? 0 : t > SCHEDULE_TIME_MAX_S ? SCHEDULE_TIME_MAX_S : t;
    struct date d = date_of(t / DAY_S);
    int s = (int)(t % DAY_S);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)d.year, d.month, d.day, s / 3600, s / 60 % 60,
             s % 60);
    memcpy(out, text, SCHEDULE_TIME_LEN);
    out[SCHEDULE_TIME_LEN] = 0;
}

static int two(const uint8_t *s)
{
    return 10 * (s[0] - '0') + s[1] - '0';
}

/* Read without looking and written again: so it is exactly such a name. */
bool schedule_named(bytes name, int64_t *ret)
{
    char again[SCHEDULE_TIME_LEN + 1];
    if (name.len != SCHEDULE_TIME_LEN)
        return false;
    const uint8_t *s = name.data;
    struct date d = {100 * two(s) + two(s + 2), two(s + 5), two(s + 8)};
    if (d.year < 1970 || d.month < 1 || d.month > 12)
        return false;
    int64_t t = days_of(d) * DAY_S + two(s + 11) * 3600 + two(s + 14) * 60 + two(s + 17);
    if (t < 0)
        return false;
    schedule_name(t, again);
    if (memcmp(again, s, SCHEDULE_TIME_LEN) != 0)
        return false;
    *ret = t;
    return true;
}
