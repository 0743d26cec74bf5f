/* An event of the client engine, with the times of it, for the program; and whether a text is a trace context as W3C's Trace
 * Context (level 1) writes it.
 *
 * A traceparent of a later version than 00 may be longer; what follows is passed on as it is. */
#include "lib/trace.h"

#include <stdlib.h>
#include <time.h>

#include <tenure/trace.h>

#include "lib/handle.h"

enum { PARENT_LEN = 55, PARENT_MAX = 255, STATE_MAX = 512, STATE_MEMBERS_MAX = 32, WORD_MAX = 256 };

/* ---- events ---- */

static _Thread_local bool is_inside;

bool trace_is_inside(void)
{
    return is_inside;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t steady_ns(const tenure_client *c)
{
    return c->kit ? handle_clock(c) * 1000000 : clock_ns(CLOCK_MONOTONIC);
}

static int64_t wall_ns(const tenure_client *c)
{
    return c->kit ? handle_wall_ms(c) * 1000000 : clock_ns(CLOCK_REALTIME);
}

static const enum tenure_call_event_kind kinds[] = {
    [CLIENT_CALL_BEGIN] = TENURE_CALL_BEGIN,
    [CLIENT_TRY_BEGIN] = TENURE_CALL_ATTEMPT_BEGIN,
    [CLIENT_TRY_END] = TENURE_CALL_ATTEMPT_END,
    [CLIENT_CALL_END] = TENURE_CALL_END,
};

/* The begin is noted in the mark, at the end it is what the duration counts from. */
static int64_t duration(const tenure_client *c, const struct client_event *e)
{
    bool is_try = e->kind == CLIENT_TRY_BEGIN || e->kind == CLIENT_TRY_END;
    bool begins = e->kind == CLIENT_CALL_BEGIN || e->kind == CLIENT_TRY_BEGIN;
    int64_t now = steady_ns(c), *mark = is_try ? e->try_mark : e->call_mark;
    if (begins)
        *mark = now;
    return now - *mark;
}

void trace_on_event(void *user, const struct client_event *e)
{
    tenure_client *c = user;
    struct tenure_call_event out = {
        .size = sizeof out,
        .kind = kinds[e->kind],
        .call = e->call,
        .attempt = e->tries,
        .by_program = e->by_program,
        .method = e->method,
        .endpoint = e->endpoint,
        .time_ns = wall_ns(c),
        .duration_ns = duration(c, e),
        .bytes_out = e->bytes_out,
        .bytes_in = e->bytes_in,
        .code = e->code,
        .grpc_status = e->grpc_status,
        .applied = e->applied,
        .error = e->text,
        .scope_user = client_context_user(e->context),
        .traceparent = client_context_traceparent(e->context),
        .tracestate = client_context_tracestate(e->context),
    };
    is_inside = true;
    c->on_call(c->on_call_user, &out);
    is_inside = false;
}

/* ---- the words ---- */

static bool is_lower_hex(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f');
}

static bool all_are(const char *s, size_t n, char ch)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ch)
            return false;
    return true;
}

static int parent_error(size_t at, const char *expected, struct tenure_error *err)
{
    return error_set(err, TENURE_EINVALID,
                     "scope: the traceparent, \"00-<32 hex>-<16 hex>-<2 hex>\" in lower case, has at byte %zu no %s",
                     at, expected);
}

/* The part of n digits at `at`, and the dash behind it, but for the last. */
static int check_digits(const char *s, size_t at, size_t n, bool has_dash, struct tenure_error *err)
{
    for (size_t i = at; i < at + n; i++)
        if (!is_lower_hex(s[i])) /* or the end, and none of the bytes behind it is looked at */
            return parent_error(i, "lower case hexadecimal digit", err);
    return has_dash && s[at + n] != '-' ? parent_error(at + n, "dash", err) : 0;
}

static int check_rest(const char *s, struct tenure_error *err)
{
    bool is_first_version = s[0] == '0' && s[1] == '0';
    if (s[PARENT_LEN] == 0)
        return 0;
    if (is_first_version || s[PARENT_LEN] != '-')
        return parent_error(PARENT_LEN, "end", err);
    for (size_t i = PARENT_LEN; s[i]; i++)
        if (i >= PARENT_MAX || s[i] <= ' ' || s[i] > '~')
            return parent_error(i, "end, or printable character", err);
    return 0;
}

static int check_parent(const char *s, struct tenure_error *err)
{
    static const struct {
        size_t at, n;
    } parts[] = {{0, 2}, {3, 32}, {36, 16}, {53, 2}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (check_digits(s, parts[i].at, parts[i].n, i + 1 < ARRAY_LEN(parts), err) < 0)
            return err ? err->code : TENURE_EINVALID;
    if (s[0] == 'f' && s[1] == 'f')
        return parent_error(0, "version (ff is none)", err);
    if (all_are(s + 3, 32, '0'))
        return parent_error(3, "trace id (all zeroes is none)", err);
    if (all_are(s + 36, 16, '0'))
        return parent_error(36, "parent id (all zeroes is none)", err);
    return check_rest(s, err);
}

static int state_error(size_t at, const char *expected, struct tenure_error *err)
{
    return error_set(err, TENURE_EINVALID,
                     "scope: the tracestate, \"key=value,…\" of at most %d bytes and %d members, has at byte %zu no %s",
                     STATE_MAX, STATE_MEMBERS_MAX, at, expected);
}

static bool is_key_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || (ch != 0 && strchr("_-*/@", ch));
}

static bool is_value_char(char ch)
{
    return ch >= ' ' && ch <= '~' && ch != ',' && ch != '=';
}

/* One member at *at, which moves behind it. */
static int check_member(const char *s, size_t *at, struct tenure_error *err)
{
    size_t key = *at, value;
    while (is_key_char(s[*at]))
        ++*at;
    if (*at == key || *at - key > WORD_MAX || strchr("_-*/@", s[key]))
        return state_error(key, "key of lower case letters, digits and _-*/@", err);
    if (s[*at] != '=')
        return state_error(*at, "equals sign", err);
    value = ++*at;
    while (is_value_char(s[*at]))
        ++*at;
    if (*at == value || *at - value > WORD_MAX || s[*at - 1] == ' ')
        return state_error(value, "value of printable characters that ends with no space", err);
    return 0;
}

static int check_state(const char *s, struct tenure_error *err)
{
    size_t at = 0;
    if (strnlen(s, STATE_MAX + 1) > STATE_MAX)
        return state_error(STATE_MAX, "end", err);
    for (size_t n = 1;; n++) {
        int rc = check_member(s, &at, err);
        if (rc < 0 || s[at] == 0)
            return rc;
        if (s[at++] != ',' || n == STATE_MEMBERS_MAX)
            return state_error(at - 1, n == STATE_MEMBERS_MAX ? "end" : "comma, or end", err);
        while (s[at] == ' ' || s[at] == '\t')
            at++;
    }
}

int trace_check(const char *traceparent, const char *tracestate, struct tenure_error *err)
{
    if (tracestate && !traceparent)
        return error_set(err, TENURE_EINVALID, "scope: a tracestate without a traceparent");
    int rc = traceparent ? check_parent(traceparent, err) : 0;
    return rc == 0 && tracestate ? check_state(tracestate, err) : rc;
}
