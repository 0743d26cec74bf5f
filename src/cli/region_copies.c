/* A hand-over loses nothing: the new home has the keys of the old one by mirrors (tenure mirror), and what the old home's clients
 * wrote last may be on its way. So it is waited, between the old home's record and all others, until the record of each mirror from there
 * says that it has the old home's revision of that change: the mirror itself, which sees the change, compares once more (mirror/claim.h).
 *
 * A mirror that does not run would be waited for in vain: that is looked at before anything is moved. Where no mirror copies the
 * prefix there is nothing to wait for, and that is said. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"
#include "io/loop.h"

enum { PAUSE_MS = 100, SAY_MS = 3000, SILENT_MS = 60000 };

#define MIRRORS "/federation/mirrors/"

/* One of its mirrors; texts in the page. */
struct copy {
    json_t *record;
    const char *key;
    int64_t revision, silent_ms;
    bool is_whole; /* no comparison is under way, no revision half there */
};

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool overlap(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    return strncmp(a, b, na < nb ? na : nb) == 0;
}

/* From the old home, and at its place. */
static bool is_of_it(const struct region_copies *k, const json_t *o)
{
    const char *prefix = json_string_value(json_object_get(o, "prefix"));
    const char *to = json_string_value(json_object_get(o, "to")),
               *region = json_string_value(json_object_get(o, "region"));
    return prefix && to && region && strcmp(prefix, to) == 0 && strcmp(region, k->from->name) == 0 &&
           overlap(to, k->prefix);
}

static bool read_copy(const struct region_copies *k, const struct tenure_kv *kv, struct copy *ret)
{
    json_t *o = json_loadb((const char *)kv->value.data, kv->value.len, 0, NULL);
    if (!o || !is_of_it(k, o)) {
        json_decref(o);
        return false;
    }
    *ret = (struct copy){.record = o,
                         .key = (const char *)kv->key.data + strlen(MIRRORS),
                         .revision = number(o, "revision"),
                         .silent_ms = wall_ms() - number(o, "time"),
                         .is_whole = number(o, "at") == 0 && number(o, "part") == 0};
    return true;
}

static int read_mirrors(const struct region_copies *k, struct tenure_get_result **ret)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    struct tenure_error err = {0};
    return tenure_get(k->to->client, tenure_str(MIRRORS), &o, ret, &err) ? connect_failed(REGION_COMMAND, k->g, &err)
                                                                         : EXIT_OK;
}

/* ---- before ---- */

int region_copies_check(const struct region_copies *k)
{
    struct tenure_get_result *r = NULL;
    struct copy copy;
    size_t n = 0;
    int code = read_mirrors(k, &r);
    for (size_t i = 0; code == EXIT_OK && i < r->n_kvs; i++) {
        if (!read_copy(k, &r->kvs[i], &copy))
            continue;
        n++;
        if (copy.silent_ms > SILENT_MS) {
            fprintf(stderr,
                    "tenure region: mirror '%s' from '%s' was not seen in '%s' for %" PRId64
                    " s, and what it has not copied would be missing there: start it, or --no-wait\n",
                    copy.key, k->from->name, k->to->name, copy.silent_ms / 1000);
            code = EXIT_FAILED;
        }
        json_decref(copy.record);
    }
    if (code == EXIT_OK && n == 0)
        fprintf(stderr,
                "tenure region: no mirror copies '%s' from '%s' to '%s': what lies below it is not handed over\n",
                k->prefix, k->from->name, k->to->name);
    tenure_get_free(r);
    return code;
}

/* ---- behind the change ---- */

static int find_change(const struct region_copies *k, int64_t *ret)
{
    char key[1300];
    struct tenure_get_result *r = NULL;
    struct tenure_error err = {0};
    snprintf(key, sizeof key, "/federation/homes%s", k->prefix);
    int rc = tenure_get(k->from->client, tenure_str(key), NULL, &r, &err);
    *ret = rc == 0 && r->n_kvs ? r->kvs[0].mod_revision : 0;
    tenure_get_free(r);
    return rc ? connect_failed(REGION_COMMAND, k->g, &err) : EXIT_OK;
}

/* Whether all are as of that revision; says which is not. */
static int look(const struct region_copies *k, int64_t revision, bool say, bool *ret_all)
{
    struct tenure_get_result *r = NULL;
    struct copy copy;
    int code = read_mirrors(k, &r);
    *ret_all = code == EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < r->n_kvs; i++) {
        if (!read_copy(k, &r->kvs[i], &copy))
            continue;
        bool is_there = copy.is_whole && copy.revision >= revision;
        if (!is_there && say)
            fprintf(stderr,
                    "tenure region: waiting for mirror '%s': it has revision %" PRId64 " of '%s', and it takes %" PRId64
                    "\n",
                    copy.key, copy.revision, k->from->name, revision);
        *ret_all = *ret_all && is_there;
        json_decref(copy.record);
    }
    tenure_get_free(r);
    return code;
}

int region_copies_await(const struct region_copies *k)
{
    int64_t revision, begun = io_clock(), said = begun;
    bool all = false;
    int code = find_change(k, &revision);
    while (code == EXIT_OK && !all) {
        int64_t now = io_clock();
        bool over = k->timeout_ms && now - begun >= k->timeout_ms, say = over || now - said >= SAY_MS;
        said = say ? now : said;
        code = look(k, revision, say, &all);
        if (code == EXIT_OK && !all && over) {
            fprintf(
                stderr,
                "tenure region: '%s' has handed over, and '%s' is not the home yet: run it again, or with --no-wait "
                "leave behind what is missing\n",
                k->from->name, k->to->name);
            code = EXIT_UNAVAILABLE;
        }
        if (code == EXIT_OK && !all)
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    return code;
}
