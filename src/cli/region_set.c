/* All regions, asked at the same time: who they are and what homes they know. One that does not answer costs the others no time
 * but the deadline of a call. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/region.h"
#include "io/loop.h"

#define ASK_TIMEOUT_MS 3000

struct asking {
    struct region_set *set;
    struct region_peer *peer;
    const struct global_options *g;
    pthread_t thread;
    bool runs;
};

static void ask_who(struct region_peer *p, int64_t timeout_ms)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = timeout_ms};
    struct tenure_get_result *r = NULL;
    int64_t began = io_clock();
    if (tenure_get(p->client, tenure_str("/federation/region"), &o, &r, &p->why) == 0) {
        p->took_ms = io_clock() - began;
        p->answers = r->n_kvs && strcmp(r->kvs[0].value.data, p->name) == 0;
        if (!p->answers)
            p->why = (struct tenure_error){.code = TENURE_ECONFLICT, .kind = TENURE_KIND_CONFLICT};
        if (!p->answers)
            snprintf(p->why.text, sizeof p->why.text, "what answers there says that it is %s%.63s%s",
                     r->n_kvs ? "'" : "no region", r->n_kvs ? (const char *)r->kvs[0].value.data : "",
                     r->n_kvs ? "'" : "");
    }
    tenure_get_free(r);
}

static void *ask_one(void *arg)
{
    struct asking *a = arg;
    struct region_peer *p = a->peer;
    struct tenure_options o;
    int64_t timeout_ms = a->g->call_timeout_ms > 0 ? a->g->call_timeout_ms : ASK_TIMEOUT_MS;
    connect_options(a->g, &o);
    if (!p->own)
        p->client = tenure_open(p->endpoints, &o, &p->why);
    if (p->client)
        ask_who(p, timeout_ms);
    if (p->answers)
        p->homes = tenure_home_list(p->client, &p->why);
    if (p->homes)
        p->authorities = tenure_authority_list(p->client, &p->why);
    p->answers = p->answers && p->homes;
    return NULL;
}

static void ask_all(struct region_set *s, const struct global_options *g)
{
    struct asking *all = calloc(s->n + 1, sizeof *all);
    struct tenure_options o;
    connect_options(g, &o); /* takes the password out of the command line, once */
    for (size_t i = 0; all && i < s->n; i++) {
        all[i] = (struct asking){.set = s, .peer = &s->peers[i], .g = g};
        all[i].runs = pthread_create(&all[i].thread, NULL, ask_one, &all[i]) == 0;
        if (!all[i].runs)
            ask_one(&all[i]);
    }
    for (size_t i = 0; all && i < s->n; i++)
        if (all[i].runs)
            pthread_join(all[i].thread, NULL);
    free(all);
}

bool region_set_open(struct region_set *s, const struct global_options *g, int *ret_code)
{
    struct tenure_error err = {0};
    *s = (struct region_set){.here = connect_open(REGION_COMMAND, g)};
    *ret_code = connect_code();
    if (!s->here)
        return false;
    s->list = tenure_region_list(s->here, &err);
    s->peers = s->list ? calloc(s->list->n + 1, sizeof *s->peers) : NULL;
    if (!s->peers) {
        *ret_code = s->list ? EXIT_FAILED : connect_failed(REGION_COMMAND, g, &err);
        region_set_close(s);
        return false;
    }
    for (size_t i = 0; i < s->list->n; i++) {
        const struct tenure_region *r = &s->list->regions[i];
        s->peers[s->n++] = (struct region_peer){
            .name = r->name, .endpoints = r->endpoints, .own = r->own, .client = r->own ? s->here : NULL};
    }
    ask_all(s, g);
    return true;
}

void region_set_close(struct region_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        tenure_home_list_free(s->peers[i].homes);
        tenure_authority_list_free(s->peers[i].authorities);
        if (!s->peers[i].own)
            tenure_close(s->peers[i].client);
    }
    free(s->peers);
    tenure_region_list_free(s->list);
    tenure_close(s->here);
    *s = (struct region_set){0};
}

struct region_peer *region_set_find(const struct region_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    return NULL;
}

const struct tenure_home *region_set_record(const struct region_peer *p, const char *prefix)
{
    for (size_t i = 0; p->homes && i < p->homes->n; i++)
        if (strcmp(p->homes->homes[i].prefix, prefix) == 0)
            return &p->homes->homes[i];
    return NULL;
}

const struct tenure_authority *region_set_place(const struct region_peer *p, const char *prefix)
{
    for (size_t i = 0; p->authorities && i < p->authorities->n; i++)
        if (strcmp(p->authorities->places[i].prefix, prefix) == 0)
            return &p->authorities->places[i];
    return NULL;
}

const struct tenure_home *region_set_home(const struct region_set *s, const char *prefix)
{
    const struct tenure_home *best = NULL;
    bool is_own = false; /* that region says so itself: no promotion that stopped half way has got so far */
    for (size_t i = 0; i < s->n; i++) {
        const struct tenure_home *h = region_set_record(&s->peers[i], prefix);
        if (!h)
            continue;
        bool own = strcmp(h->region, s->peers[i].name) == 0, tie = best && h->epoch == best->epoch;
        bool first = tie && (own == is_own ? strcmp(h->region, best->region) < 0 : own);
        if (best && h->epoch <= best->epoch && !first)
            continue;
        best = h;
        is_own = own;
    }
    return best;
}

bool region_set_is_contested(const struct region_set *s, const char *prefix)
{
    const struct tenure_home *best = region_set_home(s, prefix);
    for (size_t i = 0; i < s->n && best; i++) {
        const struct tenure_home *h = region_set_record(&s->peers[i], prefix);
        if (h && h->epoch == best->epoch && strcmp(h->region, best->region) != 0)
            return true;
    }
    return false;
}

const struct tenure_home *region_set_home_of(const struct region_set *s, const char *key)
{
    const struct tenure_home *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct tenure_home *h = tenure_home_of(s->peers[i].homes, key);
        if (h && (!best || strlen(h->prefix) > strlen(best->prefix)))
            best = h;
    }
    return best ? region_set_home(s, best->prefix) : NULL;
}

void region_not_told(const struct region_peer *p)
{
    fprintf(stderr, "tenure region: '%s' %s (%s); when it can be reached: tenure region sync\n", p->name,
            p->why.applied == TENURE_APPLIED_NO ? "was not told" : "may or may not have been told",
            connect_text(REGION_COMMAND, &p->why));
}
