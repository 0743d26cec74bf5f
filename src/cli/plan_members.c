#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/plan.h"

#define HOST_NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES     63

static bool refuse(const char *what, const char *why)
{
    fprintf(stderr, "tenure cluster: option --members: '%s' %s\n", what, why);
    return false;
}

/* ---- names and hosts ---- */

bool plan_is_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    return n > 0 && n < PLAN_NAME_BYTES && isalnum((unsigned char)name[0]) && strspn(name, plain) == n;
}

static bool is_address4(const char *host, struct in_addr *ret)
{
    return inet_pton(AF_INET, host, ret) == 1;
}

static bool is_address6(const char *host, struct in6_addr *ret)
{
    return inet_pton(AF_INET6, host, ret) == 1;
}

/* An address that one host has, and that others can reach. */
static bool is_of_one_host(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_address4(host, &v4))
        return v4.s_addr != htonl(INADDR_ANY) && v4.s_addr != htonl(INADDR_BROADCAST) &&
               !IN_MULTICAST(ntohl(v4.s_addr));
    return !is_address6(host, &v6) || (!IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_MULTICAST(&v6));
}

static bool is_host_name(const char *host)
{
    size_t len = strlen(host), label = 0;
    bool has_letter = false;
    if (len == 0 || len > HOST_NAME_MAX_BYTES)
        return false;
    for (const char *c = host; *c; c++) {
        if (*c == '.' ? label == 0 || c[-1] == '-' : !isalnum((unsigned char)*c) && (*c != '-' || label == 0))
            return false;
        label = *c == '.' ? 0 : label + 1;
        has_letter = has_letter || isalpha((unsigned char)*c);
        if (label > LABEL_MAX_BYTES)
            return false;
    }
    return has_letter && host[len - 1] != '-' && host[len - 1] != '.'; /* else it is an address with a slip in it */
}

static bool check_host(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_address4(host, &v4) || is_address6(host, &v6))
        return is_of_one_host(host) || refuse(host, "is no address that one host has");
    if (strchr(host, ':') || strchr(host, '/'))
        return refuse(host, "is no address: expected one without scheme and port, such as 10.0.0.1 (ports: --port)");
    return is_host_name(host) || refuse(host, "is neither an address nor the name of a host");
}

bool plan_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_address4(host, &v4))
        return (ntohl(v4.s_addr) >> 24) == 127;
    return is_address6(host, &v6) ? IN6_IS_ADDR_LOOPBACK(&v6) : strcasecmp(host, "localhost") == 0;
}

const char *plan_url_host(const char *host, char *out, size_t size)
{
    snprintf(out, size, strchr(host, ':') ? "[%s]" : "%s", host);
    return out;
}

void plan_url(const struct plan *p, const struct plan_member *m, bool of_peers, char *out, size_t size)
{
    char host[PLAN_HOST_BYTES + 2];
    snprintf(out, size, "%s://%s:%d", p->is_insecure ? "http" : "https", plan_url_host(m->host, host, sizeof host),
             p->port + of_peers);
}

bool plan_expand(const char *text, const struct plan_member *m, char *out, size_t size)
{
    size_t at = 0;
    while (*text && at < size) {
        bool is_name = strncmp(text, "{name}", 6) == 0, is_host = strncmp(text, "{host}", 6) == 0;
        if (is_name || is_host) {
            at += (size_t)snprintf(out + at, size - at, "%s", is_name ? m->name : m->host);
            text += 6;
        } else {
            out[at++] = *text++;
        }
    }
    if (at >= size)
        return false;
    out[at] = 0;
    return true;
}

/* ---- the list ---- */

static bool check_word(const char *name, const char *host)
{
    if (!plan_is_name(name))
        return refuse(
            name,
            "is no name for a member: expected letters, digits, '.', '_' and '-', at most 63, such as a=10.0.0.1");
    return check_host(host);
}

static bool is_new(const struct plan_member *all, size_t n, const struct plan_member *m)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(all[i].name, m->name) == 0)
            return refuse(m->name, "is there twice");
        if (strcasecmp(all[i].host, m->host) == 0)
            return refuse(m->host, "is the address of two members: each needs a host of its own");
    }
    return true;
}

static bool read_word(char *word, struct plan_member *all, size_t *n)
{
    struct plan_member *m = &all[*n];
    char *host = strchr(word, '=');
    if (!host)
        return refuse(word, "has no address: expected NAME=ADDRESS");
    *host++ = 0;
    if (*n == CLUSTER_MEMBERS_MAX) {
        fprintf(stderr, "tenure cluster: option --members: expected %d at most\n", CLUSTER_MEMBERS_MAX);
        return false;
    }
    if (!check_word(word, host))
        return false;
    *m = (struct plan_member){0};
    snprintf(m->name, sizeof m->name, "%s", word);
    snprintf(m->host, sizeof m->host, "%s", host);
    if (!is_new(all, *n, m))
        return false;
    ++*n;
    return true;
}

static const struct plan_member *find(const struct plan_member *all, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

/* What the plan knows of one that it has; the others join, when there were some. */
static bool take_over(const struct plan *p, struct plan_member *m)
{
    const struct plan_member *old = find(p->members, p->n, m->name);
    m->joins = !old && p->n > 0;
    if (!old)
        return true;
    if (strcasecmp(old->host, m->host) == 0) {
        *m = *old;
        return true;
    }
    fprintf(stderr,
            "tenure cluster: %s was planned with the address %s: a member that serves is replaced under another name\n"
            "for a cluster that was never started: remove %s/plan.json, and plan anew\n",
            m->name, old->host, p->dir);
    return false;
}

/* The whole cluster at the first time; who joins is told of those before him, one after the other. */
static void set_initial(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct plan_member *m = &p->members[i];
        size_t at = 0, end = m->initial[0] ? 0 : m->joins ? i + 1 : p->n;
        for (size_t k = 0; k < end; k++) {
            char url[PLAN_HOST_BYTES + 32];
            plan_url(p, &p->members[k], true, url, sizeof url);
            at += (size_t)snprintf(m->initial + at, sizeof m->initial - at, "%s%s=%s", k ? "," : "", p->members[k].name,
                                   url);
        }
    }
}

/* Those that were there first: who joins is told of them. */
static void sort_by_age(struct plan_member *all, size_t n)
{
    struct plan_member sorted[CLUSTER_MEMBERS_MAX];
    size_t k = 0;
    for (int joins = 0; joins < 2; joins++)
        for (size_t i = 0; i < n; i++)
            if (all[i].initial[0] ? !joins : joins)
                sorted[k++] = all[i];
    memcpy(all, sorted, n * sizeof *all);
}

bool plan_read_members(struct plan *p, const char *text)
{
    struct plan_member all[CLUSTER_MEMBERS_MAX + 1];
    char copy[PLAN_LIST_BYTES], *rest = NULL;
    size_t n = 0;
    if (strlen(text) >= sizeof copy)
        return refuse("…", "is too long");
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (!read_word(word, all, &n))
            return false;
    if (n == 0)
        return refuse(text, "names nobody: expected NAME=ADDRESS,…");
    for (size_t i = 0; i < n; i++)
        if (!take_over(p, &all[i]))
            return false;
    for (size_t i = 0; i < p->n; i++)
        if (!find(all, n, p->members[i].name))
            fprintf(stderr, "%s is no more in the plan; its files stay: tenure cluster remove %s takes it out\n",
                    p->members[i].name, p->members[i].name);
    if (p->n > 0)
        sort_by_age(all, n);
    memcpy(p->members, all, n * sizeof *all);
    p->n = n;
    set_initial(p);
    return true;
}
