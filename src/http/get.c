/* See get.h. */
#include "http/get.h"

#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <tenure/error.h>

#define HEAD_MAX ((size_t)64 << 10)
#define NAME_MAX 8 /* all that is wanted is "Date" */
#define DATE_MAX 48

struct http_get {
    http_parser parser;
    char name[NAME_MAX], date[DATE_MAX];
    size_t name_len, date_len, seen;
    bool in_value, in_body, is_whole;
    int error;
    struct buf body;
};

/* ---- dates ---- */

/* Days since 1970, by the calendar that repeats every 400 years; a year begins with March. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

int64_t http_date_of(bytes text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[DATE_MAX], name[4];
    int day, year, hour, minute, second, end = 0;
    if (text.len >= sizeof copy || memchr(text.data ? text.data : (const uint8_t *)"", 0, text.len))
        return -1;
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
    if (sscanf(copy, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, name, &year, &hour, &minute, &second,
               &end) != 6 ||
        end == 0 || copy[end])
        return -1;
    const char *at = strlen(name) == 3 ? strstr(months, name) : NULL;
    if (!at || (at - months) % 3 || year < 1970 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return -1;
    return days_of(year, (int)(at - months) / 3 + 1, day) * 86400 + hour * 3600 + minute * 60 + second;
}

/* ---- what http-parser tells ---- */

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct http_get *g = p->data;
    if (g->in_value)
        g->name_len = 0;
    g->in_value = false;
    for (size_t i = 0; i < len; i++, g->name_len++)
        if (g->name_len < NAME_MAX)
            g->name[g->name_len] = at[i];
    return 0;
}

static bool is_date(const struct http_get *g)
{
    static const char date[] = "date";
    if (g->name_len != 4)
        return false;
    for (size_t i = 0; i < 4; i++)
        if ((g->name[i] | 0x20) != date[i])
            return false;
    return true;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct http_get *g = p->data;
    if (is_date(g) && !g->in_value)
        g->date_len = 0;
    g->in_value = true;
    for (size_t i = 0; is_date(g) && i < len && g->date_len < DATE_MAX; i++)
        g->date[g->date_len++] = at[i];
    return 0;
}

static int on_headers(http_parser *p)
{
    struct http_get *g = p->data;
    g->in_body = p->status_code >= 200;
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct http_get *g = p->data;
    buf_append(&g->body, at, len);
    g->error = buf_error(&g->body);
    return g->error != 0;
}

/* 1xx is no answer yet. */
static int on_complete(http_parser *p)
{
    struct http_get *g = p->data;
    if (p->status_code < 200)
        return 0;
    g->is_whole = true;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- asking ---- */

struct http_get *http_get_new(size_t body_max)
{
    struct http_get *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    buf_init(&g->body);
    g->body.len_max = body_max;
    return g;
}

struct http_get *http_get_free(struct http_get *g)
{
    if (g)
        buf_fini(&g->body);
    free(g);
    return NULL;
}

void http_get_ask(struct http_get *g, const char *path, const char *authority, struct buf *out)
{
    http_parser_init(&g->parser, HTTP_RESPONSE);
    g->parser.data = g;
    g->name_len = g->date_len = g->seen = 0;
    g->in_value = g->in_body = g->is_whole = false;
    g->error = 0;
    buf_reset(&g->body);
    buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, authority);
}

int http_get_feed(struct http_get *g, bytes data, struct http_answer *ret)
{
    const char *at = data.len ? (const char *)data.data : "";
    if (g->error)
        return g->error;
    http_parser_execute(&g->parser, &settings, at, data.len);
    g->seen += g->in_body ? 0 : data.len;
    if (g->is_whole) {
        *ret = (struct http_answer){
            .status = (int)g->parser.status_code,
            .date_s = http_date_of(bytes_of(g->date, g->date_len)),
            .body = buf_bytes(&g->body),
            .stays = data.len > 0 && http_should_keep_alive(&g->parser),
        };
        return 1;
    }
    if (!g->error && (HTTP_PARSER_ERRNO(&g->parser) != HPE_OK || data.len == 0 || g->seen > HEAD_MAX))
        g->error = TENURE_EPROTOCOL;
    return g->error;
}
