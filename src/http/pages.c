/* What is answered from here: the version, the state of health in its three forms, and that there is nothing. */
#include "http/internal.h"

static const char TEXT_TYPE[] = "text/plain; charset=utf-8";

/* ---- parameters ---- */

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* One name or value of a query, compared with a plain word; %XX and + are undone on the way. */
static bool says(bytes encoded, const char *word)
{
    size_t len = strlen(word), n = 0;
    for (size_t i = 0; i < encoded.len; i++, n++) {
        int c = encoded.data[i] == '+' ? ' ' : encoded.data[i];
        if (c == '%' && encoded.len - i > 2 && hex(encoded.data[i + 1]) >= 0 && hex(encoded.data[i + 2]) >= 0) {
            c = hex(encoded.data[i + 1]) << 4 | hex(encoded.data[i + 2]);
            i += 2;
        }
        if (n == len || c != (uint8_t)word[n])
            return false;
    }
    return n == len;
}

/* The next "name=value" of a query; false at the end. */
static bool next_parameter(bytes *query, bytes *ret_name, bytes *ret_value)
{
    if (query->len == 0)
        return false;
    const uint8_t *amp = memchr(query->data, '&', query->len);
    bytes one = bytes_of(query->data, amp ? (size_t)(amp - query->data) : query->len);
    const uint8_t *equals = one.len ? memchr(one.data, '=', one.len) : NULL;
    *ret_name = bytes_of(one.data, equals ? (size_t)(equals - one.data) : one.len);
    *ret_value = equals ? bytes_of(equals + 1, one.len - ret_name->len - 1) : (bytes){0};
    size_t used = one.len + (amp ? 1 : 0);
    *query = bytes_of(query->data + used, query->len - used);
    return true;
}

/* Whether the parameter is there, with that value (NULL = any). */
static bool has_parameter(bytes query, const char *name, const char *value)
{
    bytes n, v;
    while (next_parameter(&query, &n, &v)) {
        if (says(n, name) && (!value || says(v, value)))
            return true;
    }
    return false;
}

/* ---- /health ---- */

/* etcd ends when its disk fails, and nobody answers; here reads go on, but whoever asks is to send others elsewhere. */
#define DISK_FAILED "the disk failed, this server writes no more until restarted"

/* Why the server is not healthy, NULL: it is. */
static const char *sickness(const struct http_conn *c)
{
    unsigned alarms = core_alarms(c->http->config.core);
    if (alarms & CORE_ALARM_NOSPACE && !has_parameter(c->req.query, "exclude", "NOSPACE"))
        return "ALARM NOSPACE";
    if (alarms & CORE_ALARM_CORRUPT && !has_parameter(c->req.query, "exclude", "CORRUPT"))
        return "ALARM CORRUPT";
    if (core_is_stopping(c->http->config.core))
        return "RANGE ERROR:etcdserver: server stopped";
    if (core_is_read_only(c->http->config.core) && !has_parameter(c->req.query, "serializable", "true"))
        return DISK_FAILED;
    return NULL;
}

static void health(struct http_conn *c)
{
    char text[160];
    const char *why = sickness(c);
    snprintf(text, sizeof text, "{\"health\":\"%s\",\"reason\":\"%s\"}", why ? "false" : "true", why ? why : "");
    if (why)
        c->http->counts.unhealthy++;
    else
        c->http->counts.healthy++;
    if (why)
        answer_error(c, HTTP_STATUS_SERVICE_UNAVAILABLE, "", text);
    else
        answer(c, HTTP_STATUS_OK, TEXT_TYPE, "", bytes_str(text));
}

/* ---- /livez and /readyz ---- */

struct check {
    enum health_check which;
    const char *name;
    const char *(*failure)(const struct core *core); /* NULL: it is fine */
};

static const char *cannot_read(const struct core *core)
{
    return core_is_stopping(core) ? "etcdserver: server stopped" : NULL;
}

static const char *cannot_agree(const struct core *core)
{
    return core_is_read_only(core) ? DISK_FAILED : cannot_read(core);
}

static const char *is_corrupt(const struct core *core)
{
    return core_alarms(core) & CORE_ALARM_CORRUPT ? "alarm activated: CORRUPT" : NULL;
}

/* One machine is never a learner. */
static const char *is_learner(const struct core *core)
{
    (void)core;
    return NULL;
}

static const struct check live[] = {{CHECK_LIVE_READ, "serializable_read", cannot_read}};
static const struct check ready[] = {
    {CHECK_READY_CORRUPTION, "data_corruption", is_corrupt},
    {CHECK_READY_READ, "serializable_read", cannot_read},
    {CHECK_READY_LINEARIZABLE, "linearizable_read", cannot_agree},
    {CHECK_READY_LEARNER, "non_learner", is_learner},
};

/* Runs a check into the text of `verbose`; answers whether it is fine. */
static bool run(struct http_conn *c, const struct check *check, struct buf *text)
{
    const char *failure = check->failure(c->http->config.core);
    struct http_counts *counts = &c->http->counts;
    counts->checks[check->which].last_good = !failure;
    if (failure) {
        counts->checks[check->which].bad++;
        buf_printf(text, "[-]%s failed: %s\n", check->name, failure);
    } else {
        counts->checks[check->which].good++;
        buf_printf(text, "[+]%s ok\n", check->name);
    }
    return !failure;
}

static void answer_checks(struct http_conn *c, bool fine, struct buf *text)
{
    if (!has_parameter(c->req.query, "verbose", NULL) && fine)
        buf_reset(text);
    if (fine)
        buf_append_bytes(text, bytes_str("ok\n"));
    else
        buf_append_byte(text, '\n');
    if (buf_error(text))
        c->aborted = true;
    else
        answer(c, fine ? HTTP_STATUS_OK : HTTP_STATUS_SERVICE_UNAVAILABLE, TEXT_TYPE,
               "X-Content-Type-Options: nosniff\r\n", buf_bytes(text));
}

/* rest: what follows "/livez" in the path: nothing, or one check's name. False: there is no such page. */
static bool checks(struct http_conn *c, const struct check *list, size_t n, bytes rest)
{
    bool fine = true, all = rest.len == 0, found = all;
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < n; i++) {
        bool named =
            !all && rest.data[0] == '/' && bytes_equal(bytes_of(rest.data + 1, rest.len - 1), bytes_str(list[i].name));
        bool wanted = all ? !has_parameter(c->req.query, "exclude", list[i].name) : named;
        found |= named;
        if (wanted)
            fine &= run(c, &list[i], &text);
    }
    if (found)
        answer_checks(c, fine, &text);
    buf_fini(&text);
    return found;
}

/* ---- the others ---- */

static void version(struct http_conn *c)
{
    char text[160];
    const char *v = c->http->config.version;
    snprintf(text, sizeof text, "{\"etcdserver\":\"%s\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}", v);
    answer(c, HTTP_STATUS_OK, "application/json", "", bytes_str(text));
}

static void metrics(struct http_conn *c)
{
    const struct http_config *k = &c->http->config;
    struct http_numbers numbers = {0};
    struct buf text;
    buf_init(&text);
    if (k->numbers)
        k->numbers(k->user, &numbers);
    metrics_print(k->core, k->version, &c->http->counts, &numbers, &text);
    if (buf_error(&text))
        c->aborted = true;
    else
        answer(c, HTTP_STATUS_OK, "text/plain; version=0.0.4; charset=utf-8", "", buf_bytes(&text));
    buf_fini(&text);
}

/* Go's programs tell more of themselves here; for us it is what /metrics says of the process. */
static void variables(struct http_conn *c)
{
    const struct http_config *k = &c->http->config;
    struct http_numbers numbers = {0};
    char text[256];
    if (k->numbers)
        k->numbers(k->user, &numbers);
    snprintf(text, sizeof text, "{\n\"cmdline\": [\"tenure\"],\n\"version\": \"%s\",\n\"resident_bytes\": %lld\n}\n",
             TENURE_VERSION, (long long)numbers.resident_bytes);
    answer(c, HTTP_STATUS_OK, "application/json; charset=utf-8", "", bytes_str(text));
}

#define REDIRECT_MAX 512

static void redirect(struct http_conn *c, const char *to)
{
    bool get = c->req.method == HTTP_GET || c->req.is_head;
    char line[REDIRECT_MAX + 16], body[REDIRECT_MAX + 64] = "";
    snprintf(line, sizeof line, "Location: %s\r\n", to);
    if (get)
        snprintf(body, sizeof body, "<a href=\"%s\">Temporary Redirect</a>.\n\n", to);
    answer(c, HTTP_STATUS_TEMPORARY_REDIRECT, get ? "text/html; charset=utf-8" : NULL, line, bytes_str(body));
}

/* The next "/segment" of a path. */
static bytes next_segment(bytes *path)
{
    bytes rest = bytes_of(path->data + 1, path->len - 1);
    const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    bytes segment = bytes_of(rest.data, slash ? (size_t)(slash - rest.data) : rest.len);
    *path = bytes_of(rest.data + segment.len, rest.len - segment.len);
    return segment;
}

/* The path without empty segments, "." and "..", into out; false: it does not fit, or holds what may not stand in a header
 * or a link as it is. */
static bool clean_path(bytes path, char out[REDIRECT_MAX])
{
    size_t n = 0;
    bool slash = path.len > 0 && path.data[path.len - 1] == '/';
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] <= 0x20 || path.data[i] >= 0x7f || strchr("\"<>&%?#\\", path.data[i]))
            return false;
    }
    if (path.len + 2 > REDIRECT_MAX || path.len == 0 || path.data[0] != '/')
        return false;
    while (path.len > 0) {
        bytes segment = next_segment(&path);
        if (bytes_equal(segment, bytes_str(".."))) {
            while (n > 0 && out[--n] != '/')
                ;
        } else if (segment.len > 0 && !bytes_equal(segment, bytes_str("."))) {
            out[n++] = '/';
            memcpy(out + n, segment.data, segment.len);
            n += segment.len;
        }
    }
    if (n == 0 || slash)
        out[n++] = '/';
    out[n] = 0;
    return true;
}

bool pages_redirect(struct http_conn *c)
{
    char to[REDIRECT_MAX];
    if (!clean_path(c->req.path, to) || bytes_equal(c->req.path, bytes_str(to)))
        return false;
    redirect(c, to);
    return true;
}

static bool path_is(const struct http_conn *c, const char *path)
{
    return bytes_equal(c->req.path, bytes_str(path));
}

static bool path_under(const struct http_conn *c, const char *path, bytes *ret_rest)
{
    size_t len = strlen(path);
    bytes p = c->req.path;
    if (!bytes_has_prefix(p, bytes_str(path)))
        return false;
    *ret_rest = bytes_of(p.data + len, p.len - len);
    return true;
}

static void not_found(struct http_conn *c)
{
    answer_error(c, HTTP_STATUS_NOT_FOUND, "", "404 page not found");
}

typedef void page_fn(struct http_conn *c);

static void live_checks(struct http_conn *c)
{
    bytes rest;
    if (!path_under(c, "/livez", &rest) || !checks(c, live, ARRAY_LEN(live), rest))
        not_found(c);
}

static void ready_checks(struct http_conn *c)
{
    bytes rest;
    if (!path_under(c, "/readyz", &rest) || !checks(c, ready, ARRAY_LEN(ready), rest))
        not_found(c);
}

static page_fn *find_page(const struct http_conn *c)
{
    bytes rest;
    if (path_is(c, "/version") && c->scope != HTTP_HEALTH)
        return version;
    if (path_is(c, "/health"))
        return health;
    if (path_is(c, "/metrics"))
        return metrics;
    if (path_is(c, "/debug/vars") && c->scope != HTTP_HEALTH)
        return variables;
    if (path_under(c, "/livez", &rest))
        return live_checks;
    if (path_under(c, "/readyz", &rest))
        return ready_checks;
    return NULL;
}

void pages_answer(struct http_conn *c)
{
    page_fn *page = find_page(c);
    if (path_is(c, "/v3") && c->scope == HTTP_ALL)
        redirect(c, "/v3/");
    else if (!page)
        not_found(c);
    else if (c->req.method != HTTP_GET)
        answer_error(c, HTTP_STATUS_METHOD_NOT_ALLOWED, "Allow: GET\r\n", "Method Not Allowed");
    else
        page(c);
}
