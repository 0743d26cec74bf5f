/* tenure region sync: what regions that were away have missed. Records of homes are raised to the greatest epoch, those of regions
 * are made alike. A region that took itself for the home, and is not any more, may have written what nobody else has seen: that is
 * kept in a file before its record is raised, because the mirror of the new home, once it begins, goes over it. A promotion that has not
 * reached the new home is not for this to finish: it takes a majority. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"

/* ---- what the old home alone has ---- */

/* The keys below a prefix, one after the other. */
struct cursor {
    tenure_range_iter *it;
    struct tenure_get_result *page;
    size_t at;
};

static bool cursor_begin(struct cursor *k, tenure_client *c, const char *prefix, struct tenure_error *err)
{
    struct tenure_range_options o = {.size = sizeof o, .prefix = true};
    *k = (struct cursor){.it = tenure_range_iter_new(c, tenure_str(prefix), &o, err)};
    return k->it;
}

/* NULL behind the last one, or with err->code set. */
static const struct tenure_kv *cursor_look(struct cursor *k, struct tenure_error *err)
{
    while (!k->page || k->at == k->page->n_kvs) {
        bool is_last = k->page && !k->page->more;
        if (is_last)
            return NULL;
        tenure_get_free(k->page);
        k->page = NULL;
        k->at = 0;
        if (tenure_range_iter_next(k->it, &k->page, err) < 0 || !k->page)
            return NULL;
    }
    return &k->page->kvs[k->at];
}

static void cursor_end(struct cursor *k)
{
    tenure_get_free(k->page);
    tenure_range_iter_free(k->it);
}

static int order(struct tenure_bytes a, struct tenure_bytes b)
{
    int c = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

struct saving {
    const char *path; /* as asked for; NULL = by the region's name */
    char name[160];
    FILE *file;
    size_t saved;
};

static bool save(struct saving *s, const struct region_peer *old, const struct tenure_home *h,
                 const struct tenure_kv *kv)
{
    if (!s->file) {
        if (s->path)
            snprintf(s->name, sizeof s->name, "%s", s->path);
        else
            snprintf(s->name, sizeof s->name, "federation-%s-epoch-%" PRId64 ".jsonl", old->name, h->epoch);
        int fd = open(s->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        s->file = fd < 0 ? NULL : fdopen(fd, "a");
        if (!s->file) {
            fprintf(stderr, "tenure region: %s: %s\n", s->name, strerror(errno));
            return false;
        }
    }
    json_t *o = output_kv(kv);
    json_object_set_new(o, "region", json_string(old->name));
    bool ok = json_dumpf(o, s->file, JSON_COMPACT) == 0 && fputc('\n', s->file) != EOF;
    json_decref(o);
    s->saved++;
    return ok;
}

/* Those without a lease: what hangs on one goes with its program. */
static bool save_unseen(struct saving *s, struct region_peer *old, struct region_peer *now, const struct tenure_home *h,
                        struct tenure_error *err)
{
    struct cursor a, b = {0};
    bool ok = cursor_begin(&a, old->client, h->prefix, err) && cursor_begin(&b, now->client, h->prefix, err);
    const struct tenure_kv *mine, *other;
    for (; ok && (mine = cursor_look(&a, err)); a.at++) {
        while ((other = cursor_look(&b, err)) && order(other->key, mine->key) < 0)
            b.at++;
        ok = !err->code;
        bool same = other && order(other->key, mine->key) == 0 && order(other->value, mine->value) == 0;
        if (ok && !same && mine->lease == 0)
            ok = save(s, old, h, mine);
    }
    ok = ok && !err->code;
    if (s->file && (fflush(s->file) || fsync(fileno(s->file))))
        ok = false;
    cursor_end(&a);
    cursor_end(&b);
    return ok;
}

/* ---- homes ---- */

struct sync {
    struct region_set *set;
    const struct global_options *g;
    struct saving saving;
    json_t *raised;
};

static int raise_there(struct sync *y, struct region_peer *p, const struct tenure_home *newest)
{
    const struct tenure_home *was = region_set_record(p, newest->prefix);
    struct region_peer *home = region_set_find(y->set, newest->region);
    struct tenure_error err = {0};
    if (was && was->epoch >= newest->epoch)
        return EXIT_OK;
    if (strcmp(newest->region, p->name) == 0 && was && was->epoch) {
        fprintf(
            stderr,
            "tenure region: '%s' was told to others to move to '%s', and '%s' does not know it: tenure region promote "
            "%s --prefix %s\n",
            newest->prefix, p->name, p->name, p->name, newest->prefix);
        return EXIT_FAILED;
    }
    bool took_itself = was && strcmp(was->region, p->name) == 0 && strcmp(newest->region, p->name) != 0;
    if (took_itself && (!home || !home->answers)) {
        fprintf(stderr, "tenure region: '%s' stays as it is in '%s': the new home '%s' does not answer\n",
                newest->prefix, p->name, newest->region);
        return EXIT_FAILED;
    }
    if (took_itself && !save_unseen(&y->saving, p, home, newest, &err)) {
        fprintf(stderr, "tenure region: '%s' stays as it is in '%s': what it alone has could not be kept\n",
                newest->prefix, p->name);
        return err.code ? connect_failed(REGION_COMMAND, y->g, &err) : EXIT_FAILED;
    }
    if (tenure_home_put(p->client, newest->prefix, newest->region, newest->epoch, &err) < 0)
        return connect_failed(REGION_COMMAND, y->g, &err);
    json_t *o = json_object();
    json_object_set_new(o, "region", json_string(p->name));
    json_object_set_new(o, "prefix", json_string(newest->prefix));
    json_object_set_new(o, "home", json_string(newest->region));
    json_object_set_new(o, "epoch", json_integer(newest->epoch));
    json_array_append_new(y->raised, o);
    return EXIT_OK;
}

static int raise_all(struct sync *y, struct region_peer *p)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < y->set->n; i++)
        for (size_t j = 0; y->set->peers[i].homes && j < y->set->peers[i].homes->n && code == EXIT_OK; j++) {
            const struct tenure_home *newest = region_set_home(y->set, y->set->peers[i].homes->homes[j].prefix);
            bool is_known = false; /* it was raised for the record of an earlier region */
            for (size_t k = 0; k < i; k++)
                is_known = is_known || region_set_record(&y->set->peers[k], newest->prefix);
            if (newest->epoch && !is_known)
                code = raise_there(y, p, newest);
        }
    return code;
}

/* ---- regions ---- */

static bool has(const struct tenure_region_list *list, const struct tenure_region *r)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->regions[i].name, r->name) == 0 && strcmp(list->regions[i].endpoints, r->endpoints) == 0)
            return true;
    return false;
}

static int tell_regions(struct sync *y, struct region_peer *p)
{
    struct tenure_error err = {0};
    struct tenure_region_list *there = tenure_region_list(p->client, &err);
    int rc = there ? 0 : err.code;
    for (size_t i = 0; rc == 0 && i < y->set->list->n; i++)
        if (y->set->list->regions[i].endpoints[0] && !has(there, &y->set->list->regions[i]))
            rc = tenure_region_put(p->client, &y->set->list->regions[i], &err);
    tenure_region_list_free(there);
    return rc == 0 ? EXIT_OK : connect_failed(REGION_COMMAND, y->g, &err);
}

int region_sync(const struct global_options *g, const struct region_options *o)
{
    static const struct output_column columns[] = {{.path = "region", .heading = "REGION"},
                                                   {.path = "prefix", .heading = "PREFIX"},
                                                   {.path = "home", .heading = "HOME"},
                                                   {.path = "epoch", .heading = "EPOCH", .kind = OUTPUT_NUMBER},
                                                   {0}};
    static const struct output_form form = {.lists = {"raised"}, .columns = columns};
    struct region_set s;
    int code;
    if (!region_set_open(&s, g, &code))
        return code;
    struct sync y = {.set = &s, .g = g, .saving.path = o->save, .raised = json_array()};
    code = EXIT_OK;
    for (size_t i = 0; i < s.n; i++) {
        int one = s.peers[i].answers ? tell_regions(&y, &s.peers[i]) : EXIT_UNAVAILABLE;
        if (one == EXIT_OK)
            one = raise_all(&y, &s.peers[i]);
        if (!s.peers[i].answers)
            fprintf(stderr, "tenure region: '%s' does not answer: %s\n", s.peers[i].name,
                    connect_text(REGION_COMMAND, &s.peers[i].why));
        code = code == EXIT_OK ? one : code;
    }
    if (y.saving.file && fclose(y.saving.file))
        code = EXIT_FAILED;
    if (y.saving.saved)
        fprintf(stderr,
                "tenure region: %zu keys that an old home alone has are kept in %s; its mirror goes over them\n",
                y.saving.saved, y.saving.name);
    json_t *document = json_object();
    json_object_set_new(document, "raised", y.raised);
    output_print(g, &form, document);
    region_set_close(&s);
    return code;
}
