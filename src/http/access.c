/* Who may ask: the host a request is for, against DNS rebinding, and the pages of which origins may read the answer. */
#include "http/internal.h"

static bool lists(const char *const *list, size_t n, bytes what)
{
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], "*") == 0 || bytes_equal(what, bytes_str(list[i])))
            return true;
    }
    return false;
}

bytes access_origin(const struct http_conn *c)
{
    const struct http_config *k = &c->http->config;
    bytes origin = request_header(c, "origin");
    if (c->req.misdirected)
        return (bytes){0};
    if (lists(k->cors, k->n_cors, bytes_str("*")))
        return bytes_str("*");
    return lists(k->cors, k->n_cors, origin) ? origin : (bytes){0};
}

/* "name:port" and "[v6]:port" without the port; anything else as it is. */
static bytes host_name(bytes host)
{
    if (host.len == 0)
        return host;
    const uint8_t *colon = memrchr(host.data, ':', host.len);
    if (!colon)
        return host;
    bytes name = bytes_of(host.data, (size_t)(colon - host.data));
    if (name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']')
        return bytes_of(name.data + 1, name.len - 2);
    return name.len && memchr(name.data, ':', name.len) ? host : name;
}

bool access_check(struct http_conn *c)
{
    const struct http_config *k = &c->http->config;
    char text[512];
    bytes host = host_name(c->req.host);
    if (c->secure || lists(k->hosts, k->n_hosts, host))
        return true;
    c->req.misdirected = true;
    snprintf(text, sizeof text,
             "This request is for the host \"%.*s\", which this server was not told to answer for.\n"
             "Use TLS, or name the host: tenure serve --host-whitelist \"%.*s\"\n"
             "(A page of a foreign site could reach this server by a host name of its own otherwise: CVE-2018-5702.)",
             (int)(host.len < 80 ? host.len : 80), (const char *)host.data, (int)(host.len < 80 ? host.len : 80),
             (const char *)host.data);
    answer_error(c, HTTP_STATUS_MISDIRECTED_REQUEST, "", text);
    return false;
}
