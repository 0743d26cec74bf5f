/* tenure region sync: what regions that were away have missed. Records of homes are raised to the greatest epoch, those of regions
 * are made alike. A promotion that has not reached the new home is not for this to finish: it takes a majority.
 *
 * A region that took itself for the home, and is not any more, may have written what nobody else has seen, and the mirror of the new
 * home, once it begins, goes over it. So it is kept in a file before its record is raised; and what was written between the two
 * behind it, read at the very revision in which the record was raised: what the mirror does comes later. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"

#define PATH_SIZE 4096

/* ---- what the old home alone has ---- */

/* The keys below a prefix, one after the other. */
struct cursor {
    tenure_range_iter *it;
    struct tenure_get_result *page;
    size_t at;
};

static bool cursor_begin(struct cursor *k, tenure_client *c, const char *prefix, int64_t revision,
                         struct tenure_error *err)
{
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .revision = revision};
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

/* A file for each old home and epoch. */
struct saving {
    const char *path; /* as asked for */
    char name[PATH_SIZE];
    int fd; /* -1 = not opened yet */
    FILE *file;
    off_t size;         /* before */
    size_t saved, kept; /* kept: of those what is on the disk */
};

/* "kept.jsonl" is "kept-eu-epoch-2.jsonl". */
static bool name_file(struct saving *s, const struct region_peer *old, const struct tenure_home *h)
{
    const char *base = strrchr(s->path, '/'), *dot = strrchr(base ? base : s->path, '.');
    size_t stem = dot ? (size_t)(dot - s->path) : strlen(s->path);
    int n = snprintf(s->name, sizeof s->name, "%.*s-%s-epoch-%" PRId64 "%s", (int)stem, s->path, old->name, h->epoch,
                     dot ? dot : "");
    return n < (int)sizeof s->name;
}

static bool open_file(struct saving *s, const struct region_peer *old, const struct tenure_home *h)
{
    struct stat st;
    if (!name_file(s, old, h)) {
        fprintf(stderr, "tenure region: %s: the name is too long\n", s->path);
        return false;
    }
    s->fd = open(s->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    s->file = s->fd < 0 || fstat(s->fd, &st) ? NULL : fdopen(s->fd, "a");
    if (!s->file) {
        fprintf(stderr, "tenure region: %s: %s\n", s->name, strerror(errno));
        return false;
    }
    s->size = st.st_size;
    return true;
}

static bool save(struct saving *s, const struct region_peer *old, const struct tenure_home *h,
                 const struct tenure_kv *kv)
{
    if (!s->file && !open_file(s, old, h))
        return false;
    json_t *o = output_kv(kv);
    json_object_set_new(o, "region", json_string(old->name));
    bool ok = json_dumpf(o, s->file, JSON_COMPACT) == 0 && fputc('\n', s->file) != EOF;
    if (!ok)
        fprintf(stderr, "tenure region: %s: %s\n", s->name, strerror(errno));
    json_decref(o);
    s->saved++;
    return ok;
}

/* On the disk; or as it was, without half a line. */
static bool keep(struct saving *s, bool ok)
{
    if (!s->file)
        return ok;
    if (ok && (fflush(s->file) || fsync(s->fd))) {
        fprintf(stderr, "tenure region: %s: %s\n", s->name, strerror(errno));
        ok = false;
    }
    if (ok) {
        s->kept = s->saved;
        return true;
    }
    s->saved = s->kept;
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    (void)fclose(s->file); /* writes what it still has, if there is room: cut off behind it */
    s->file = NULL;
    s->fd = fd;
    if (fd < 0 || ftruncate(fd, s->size))
        fprintf(stderr, "tenure region: %s: %s: its last line may be half a one\n", s->name, strerror(errno));
    return false;
}

static void close_file(struct saving *s)
{
    if (s->file)
        fclose(s->file);
    else if (s->fd >= 0)
        close(s->fd);
    if (s->kept)
        fprintf(stderr,
                "tenure region: %zu keys that an old home alone has are kept in %s; its mirror goes over them\n",
                s->kept, s->name);
}

/* What an old home alone has. */
struct unseen {
    struct region_peer *old, *home;
    const struct tenure_home *now;
    int64_t revision; /* as it was then; 0 = now */
    int64_t seen;     /* only what was written since */
};

/* Those without a lease: what hangs on one goes with its program. *ret_revision: of the old home, which was read. */
static bool save_unseen(struct saving *s, const struct unseen *u, int64_t *ret_revision, struct tenure_error *err)
{
    struct cursor a, b = {0};
    bool ok = cursor_begin(&a, u->old->client, u->now->prefix, u->revision, err) &&
              cursor_begin(&b, u->home->client, u->now->prefix, 0, err);
    const struct tenure_kv *mine, *other;
    for (; ok && (mine = cursor_look(&a, err)); a.at++) {
        while ((other = cursor_look(&b, err)) && order(other->key, mine->key) < 0)
            b.at++;
        ok = !err->code;
        bool same = other && order(other->key, mine->key) == 0 && order(other->value, mine->value) == 0;
        if (ok && !same && mine->lease == 0 && mine->mod_revision > u->seen)
            ok = save(s, u->old, u->now, mine);
    }
    ok = keep(s, ok && !err->code);
    *ret_revision = a.page ? a.page->revision : 0;
    cursor_end(&a);
    cursor_end(&b);
    return ok;
}

/* ---- homes ---- */

struct sync {
    struct region_set *set;
    const struct global_options *g;
    const char *save;
    json_t *raised;
    bool is_contested;
};

/* The record of that region, and in *ret_revision when that was written. */
static int raise(struct sync *y, struct region_peer *p, const struct tenure_home *newest, int64_t *ret_revision,
                 struct tenure_error *err)
{
    char key[1300];
    struct tenure_get_result *r = NULL;
    if (tenure_home_write(p->client, newest, false, err) < 0)
        return connect_failed(REGION_COMMAND, y->g, err);
    json_t *o = json_object();
    json_object_set_new(o, "region", json_string(p->name));
    json_object_set_new(o, "prefix", json_string(newest->prefix));
    json_object_set_new(o, "home", json_string(newest->region));
    json_object_set_new(o, "epoch", json_integer(newest->epoch));
    json_array_append_new(y->raised, o);
    snprintf(key, sizeof key, "/federation/homes%s", newest->prefix);
    *ret_revision = tenure_get(p->client, tenure_str(key), NULL, &r, err) == 0 && r->n_kvs ? r->kvs[0].mod_revision : 0;
    tenure_get_free(r);
    return EXIT_OK;
}

static int not_kept(const struct sync *y, const struct unseen *u, const char *what, const struct tenure_error *err)
{
    fprintf(stderr, "tenure region: %s of '%s' in '%s'\n", what, u->now->prefix, u->old->name);
    return err->code ? connect_failed(REGION_COMMAND, y->g, err) : EXIT_FAILED;
}

static int save_and_raise(struct sync *y, struct unseen *u)
{
    struct tenure_error err = {0};
    struct saving s = {.path = y->save ? y->save : "federation.jsonl", .fd = -1};
    int64_t unused;
    int code = EXIT_OK;
    if (!save_unseen(&s, u, &u->seen, &err))
        code = not_kept(y, u, "what it alone has could not be kept, and nothing is changed: the home", &err);
    if (code == EXIT_OK)
        code = raise(y, u->old, u->now, &u->revision, &err);
    s.size = s.file ? lseek(s.fd, 0, SEEK_END) : 0;
    if (code == EXIT_OK && (!u->revision || !save_unseen(&s, u, &unused, &err)))
        code = not_kept(y, u, "what was written since the file was could not be kept: the home", &err);
    close_file(&s);
    return code;
}

static int raise_there(struct sync *y, struct region_peer *p, const struct tenure_home *newest)
{
    const struct tenure_home *was = region_set_record(p, newest->prefix);
    struct region_peer *home = region_set_find(y->set, newest->region);
    struct tenure_error err = {0};
    int64_t unused;
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
    if (took_itself)
        return save_and_raise(y, &(struct unseen){.old = p, .home = home, .now = newest});
    return raise(y, p, newest, &unused, &err);
}

typedef int (*for_home)(struct sync *y, struct region_peer *p, const struct tenure_home *newest);

/* Each prefix once, as the greatest epoch says; until one fails. */
static int each_home(struct sync *y, struct region_peer *p, for_home what)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < y->set->n; i++)
        for (size_t j = 0; y->set->peers[i].homes && j < y->set->peers[i].homes->n && code == EXIT_OK; j++) {
            const struct tenure_home *newest = region_set_home(y->set, y->set->peers[i].homes->homes[j].prefix);
            bool is_known = false; /* by the record of an earlier region */
            for (size_t k = 0; k < i; k++)
                is_known = is_known || region_set_record(&y->set->peers[k], newest->prefix);
            if (newest->epoch && !is_known)
                code = what(y, p, newest);
        }
    return code;
}

/* Which of two it is is nobody's to say but who promotes. */
static int tell_contested(struct sync *y, struct region_peer *p, const struct tenure_home *newest)
{
    (void)p;
    if (!region_set_is_contested(y->set, newest->prefix))
        return EXIT_OK;
    fprintf(stderr,
            "tenure region: two promotions of '%s' have stopped half way, with epoch %" PRId64
            " each: tenure region promote REGION --prefix %s\n",
            newest->prefix, newest->epoch, newest->prefix);
    y->is_contested = true;
    return EXIT_OK;
}

static int raise_one(struct sync *y, struct region_peer *p, const struct tenure_home *newest)
{
    return region_set_is_contested(y->set, newest->prefix) ? EXIT_OK : raise_there(y, p, newest);
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
    struct sync y = {.set = &s, .g = g, .save = o->save, .raised = json_array()};
    each_home(&y, NULL, tell_contested);
    code = y.is_contested ? EXIT_FAILED : EXIT_OK;
    for (size_t i = 0; i < s.n; i++) {
        int one = s.peers[i].answers ? tell_regions(&y, &s.peers[i]) : EXIT_UNAVAILABLE;
        if (one == EXIT_OK)
            one = each_home(&y, &s.peers[i], raise_one);
        if (!s.peers[i].answers)
            fprintf(stderr, "tenure region: '%s' does not answer: %s\n", s.peers[i].name,
                    connect_text(REGION_COMMAND, &s.peers[i].why));
        code = code == EXIT_OK ? one : code;
    }
    json_t *document = json_object();
    json_object_set_new(document, "raised", y.raised);
    output_print(g, &form, document);
    region_set_close(&s);
    return code;
}
