/* tenure region promote: another region becomes the home.
 *
 * A home that wants authority (recipes/authority.h): no record is written in a region where a place of it lives. It does not answer: no
 * force is needed when its places are over in a majority of all regions; it has nobody then who holds anything. It answers: its own
 * record is moved, and then it is waited until they are.
 *
 * The old home answers: its own record is moved first, so that from then on it gives out nothing and its holders lose what they
 * have; then the others', the new home's last. It does not answer: by --force alone, and with a majority of all regions, whose records
 * are moved before the new home's, so that of two promotions at once one is refused. Two regions have no majority without the
 * old one; there is only one other to promote. Interrupted, and run again, it goes on where it stopped: a record that says the
 * new home already is told to the others, with the same epoch, and as long as the new home does not say so itself by the same rules as
 * at first: another promotion may have stopped likewise, with others. Where two have, with one epoch and a home each, whichever is run
 * again takes the next epoch, by the same rules: all that one of the two has told it replaces, and the other one finds it there.
 *
 * What the old home's clients have written is not lost in a hand-over: between its record and the others' it is waited until the
 * mirrors at the new home have all of it (region_copies.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"
#include "io/loop.h"

enum { PLACES_PATIENCE_MS = 3700 * 1000 }; /* longer than any of them lives */

static const struct output_column columns[] = {{.path = "prefix", .heading = "PREFIX"},
                                               {.path = "region", .heading = "HOME"},
                                               {.path = "epoch", .heading = "EPOCH", .kind = OUTPUT_NUMBER},
                                               {.path = "before", .heading = "BEFORE"},
                                               {.path = "handed_over", .heading = "HANDED OVER"},
                                               {0}};
static const struct output_form form = {.lists = {"homes"}, .columns = columns};

struct promotion {
    struct region_set *set;
    const struct global_options *g;
    struct region_peer *to, *from; /* from NULL: the old home is not known here, or it is the new one already */
    char prefix[1200], before[64];
    int64_t epoch;
    bool by_force, waits, wants_authority;
    int64_t timeout_ms;
};

static int put(const struct promotion *m, struct region_peer *p, bool if_free, struct tenure_error *err)
{
    struct tenure_home home = {
        .prefix = m->prefix, .region = m->to->name, .epoch = m->epoch, .authority = m->wants_authority};
    return tenure_home_write(p->client, &home, if_free, err);
}

/* Whether places of the old home's authority stand in the way: they are not over by its word, and nothing is forced. */
static bool guards(const struct promotion *m)
{
    return m->wants_authority && m->before[0] && !m->by_force;
}

/* All but the new and the old home. false: one of them knows something newer, or another promotion of that epoch. */
static bool tell_others(struct promotion *m, size_t *ret_told, struct tenure_error *err)
{
    for (size_t i = 0; i < m->set->n; i++) {
        struct region_peer *p = &m->set->peers[i];
        if (p == m->to || p == m->from)
            continue;
        int rc = p->answers ? put(m, p, guards(m), &p->why) : TENURE_EUNAVAILABLE;
        if (rc == TENURE_ECONFLICT) {
            *err = p->why;
            return false;
        }
        if (rc == 0)
            (*ret_told)++;
        else if (rc != TENURE_EBUSY && !p->is_said)
            region_not_told(p);
        p->is_said = p->is_said || (rc != 0 && rc != TENURE_EBUSY);
    }
    return true;
}

static int refuse_silent(const struct promotion *m)
{
    fprintf(
        stderr,
        "tenure region: the home of '%s' is '%s' (epoch %" PRId64 "), which does not answer%s%s\n"
        "It may be cut off from here and well: it then goes on renewing what its own clients hold, giving out locks and taking\n"
        "writes, until it hears of the promotion. --force promotes all the same: whoever compares tokens refuses its holders from the\n"
        "first token of the new home on; what compares none has two holders meanwhile, and what it writes is not in the new home.\n"
        "A home that is to step down by itself then: tenure region home PREFIX REGION --authority, and hold.\n",
        m->prefix, m->before, m->epoch - 1, m->from ? ": " : "", m->from ? m->from->why.text : "");
    return EXIT_FAILED;
}

static size_t needed(const struct promotion *m)
{
    return m->set->n == 2 ? 1 : m->set->n / 2 + 1;
}

/* The new home must not be one of two. */
static bool has_majority(const struct promotion *m)
{
    size_t answer = 0;
    for (size_t i = 0; i < m->set->n; i++)
        answer += m->set->peers[i].answers;
    if (m->set->n == 2 || answer >= needed(m))
        return true;
    fprintf(
        stderr,
        "tenure region: %zu of %zu regions answer, and it takes %zu, also by --force: else two could be promoted at once\n",
        answer, m->set->n, needed(m));
    return false;
}

/* The old home's authority lives in too many of the others: it may go on giving out. */
static bool is_over(const struct promotion *m)
{
    size_t over = 0;
    const char *before = " in ";
    int64_t left_ms = 0;
    struct buf where;
    for (size_t i = 0; i < m->set->n; i++) {
        const struct region_peer *p = &m->set->peers[i];
        if (p != m->from && p->answers && p->authorities && !region_set_place(p, m->prefix))
            over++;
    }
    if (over >= needed(m))
        return true;
    buf_init(&where);
    for (size_t i = 0; i < m->set->n; i++) {
        const struct region_peer *p = &m->set->peers[i];
        const struct tenure_authority *a = p == m->from ? NULL : region_set_place(p, m->prefix);
        if (!a)
            continue;
        buf_printf(&where, "%s%s", before, p->name);
        before = ", ";
        left_ms = a->left_ms > left_ms ? a->left_ms : left_ms;
    }
    buf_append(&where, "", 1);
    fprintf(
        stderr,
        "tenure region: the home of '%s' is '%s' (epoch %" PRId64 "), and its authority lives for %" PRId64
        " more seconds%s\n"
        "It takes %zu regions in which it is over, and %zu say so; it is renewed while the home can reach them. Then "
        "again, or --force.\n",
        m->prefix, m->before, m->epoch - 1, left_ms > 0 ? (left_ms + 999) / 1000 : 1,
        buf_error(&where) ? "" : (const char *)where.data, needed(m), over);
    buf_fini(&where);
    return false;
}

/* It answers; but its authority may live where nobody can see that, and then it would be waited for in vain. */
static bool can_await(const struct promotion *m)
{
    size_t answer = 0;
    for (size_t i = 0; i < m->set->n; i++)
        answer += &m->set->peers[i] != m->from && m->set->peers[i].answers;
    if (answer >= needed(m))
        return true;
    fprintf(
        stderr,
        "tenure region: '%s' wants authority, and it takes %zu regions besides '%s' that answer to see that it is over; %zu do. "
        "Nothing is changed; --force does not wait for that\n",
        m->prefix, needed(m), m->before, answer);
    return false;
}

/* Of an answer that was lost nobody knows whether the home stays; run again it goes on from the records as they are. */
static int conflict(const struct promotion *m, const struct tenure_error *err)
{
    int code = connect_failed(REGION_COMMAND, m->g, err);
    if (err->code == TENURE_ECONFLICT)
        fprintf(stderr, "the home of '%s' stays; look at it again: tenure region status\n", m->prefix);
    else
        fprintf(stderr, "the same command again finds out how far the home of '%s' has moved, and goes on\n",
                m->prefix);
    return code;
}

static struct region_copies copies_of(const struct promotion *m)
{
    return (struct region_copies){
        .g = m->g, .prefix = m->prefix, .from = m->from, .to = m->to, .timeout_ms = m->timeout_ms};
}

/* The old home's own record, and all that it had when that was written. */
static int hand_over(struct promotion *m)
{
    struct tenure_error err = {0};
    struct region_copies copies = copies_of(m);
    int code = m->waits ? region_copies_check(&copies) : EXIT_OK;
    if (code == EXIT_OK && put(m, m->from, false, &err) < 0)
        return conflict(m, &err);
    if (code != EXIT_OK || !m->waits)
        return code;
    code = region_copies_await(&copies);
    if (code == EXIT_UNAVAILABLE)
        fprintf(stderr, "the old home of '%s' has given it up already: the same command again goes on\n", m->prefix);
    return code;
}

/* The others, and the new home last. EXIT_OK, or what was said; *ret_again: places live still, and it may go better soon. */
static int tell_all(struct promotion *m, bool old_answers, bool *ret_again)
{
    struct tenure_error err = {0};
    size_t told = 0;
    *ret_again = false;
    if (!tell_others(m, &told, &err))
        return conflict(m, &err);
    bool is_counted = m->before[0] && (!old_answers || guards(m)) && m->set->n > 2;
    if (is_counted && told + 1 < needed(m)) {
        *ret_again = guards(m);
        if (!*ret_again || !old_answers)
            fprintf(stderr, "tenure region: not a majority of the regions was told; run it again\n");
        return EXIT_FAILED;
    }
    int rc = put(m, m->to, guards(m), &err);
    *ret_again = rc == TENURE_EBUSY;
    if (rc == TENURE_EBUSY && !old_answers)
        return connect_failed(REGION_COMMAND, m->g, &err);
    return rc == 0 ? EXIT_OK : rc == TENURE_EBUSY ? EXIT_FAILED : conflict(m, &err);
}

/* The old home has stepped down: what it has promised is over when its places are. */
static int await_places(struct promotion *m)
{
    tn_ms until = io_clock() + PLACES_PATIENCE_MS;
    bool again = true, said = false;
    int code = EXIT_FAILED;
    while (code != EXIT_OK && again) {
        code = tell_all(m, true, &again);
        if (code == EXIT_OK || !again)
            break;
        if (!said)
            fprintf(stderr, "tenure region: '%s' has stepped down; waiting until its authority is over\n", m->before);
        said = true;
        if (io_clock() >= until) {
            fprintf(stderr, "tenure region: its authority is not over yet; run it again\n");
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
    }
    return code;
}

static int move_home(struct promotion *m)
{
    bool old_answers = m->from && m->from->answers, again;
    if (m->before[0] && !old_answers && !m->by_force && !m->wants_authority)
        return refuse_silent(m);
    if (m->before[0] && !old_answers && !has_majority(m))
        return EXIT_FAILED;
    if (guards(m) && !(old_answers ? can_await(m) : is_over(m)))
        return EXIT_FAILED;
    int code = old_answers ? hand_over(m) : EXIT_OK;
    if (code == EXIT_OK)
        code = old_answers && guards(m) ? await_places(m) : tell_all(m, old_answers, &again);
    if (code == EXIT_OK && m->before[0] && !old_answers && !guards(m))
        fprintf(
            stderr,
            "tenure region: '%s' goes on as the home of '%s' for its own clients until it hears of this: tenure region sync\n",
            m->before, m->prefix);
    if (code == EXIT_OK && m->wants_authority && m->before[0])
        fprintf(stderr, "tenure region: it wants authority, so in '%s' now: tenure region hold %s\n", m->to->name,
                m->prefix);
    return code;
}

static json_t *moved_json(const struct promotion *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "prefix", json_string(m->prefix));
    json_object_set_new(o, "region", json_string(m->to->name));
    json_object_set_new(o, "epoch", json_integer(m->epoch));
    if (m->before[0])
        json_object_set_new(o, "before", json_string(m->before));
    json_object_set_new(o, "handed_over", json_boolean(!m->before[0] || (m->from && m->from->answers)));
    return o;
}

/* Once for each prefix: of the newest record, wherever it was found. */
static bool is_meant(const struct promotion *m, const struct region_options *o, const struct tenure_home *h,
                     const struct tenure_home *newest)
{
    if (o->prefix)
        return strcmp(h->prefix, o->prefix) == 0;
    bool half_way = strcmp(newest->region, m->to->name) == 0 || region_set_is_contested(m->set, h->prefix);
    return strcmp(newest->region, o->instead_of) == 0 || (half_way && strcmp(h->region, o->instead_of) == 0);
}

/* The home before that epoch, as far as anybody who answers remembers; NULL: there was none. */
static const struct tenure_home *home_before(const struct promotion *m, const struct tenure_home *newest)
{
    const struct tenure_home *best = NULL;
    for (size_t i = 0; i < m->set->n; i++) {
        const struct tenure_home *h = region_set_record(&m->set->peers[i], newest->prefix);
        if (h && h->epoch && h->epoch < newest->epoch && (!best || h->epoch > best->epoch))
            best = h;
    }
    return best;
}

/* Of several promotions with one epoch at most one has come to its end: then its region says so itself, if it answers. */
static const struct tenure_home *home_of_contested(const struct promotion *m, const struct tenure_home *newest)
{
    for (size_t i = 0; i < m->set->n; i++) {
        const struct tenure_home *h = region_set_record(&m->set->peers[i], newest->prefix);
        const struct region_peer *p = h && h->epoch == newest->epoch ? region_set_find(m->set, h->region) : NULL;
        if (h && h->epoch == newest->epoch && (!p || !p->answers))
            return h;
    }
    const struct region_peer *p = region_set_find(m->set, newest->region);
    const struct tenure_home *own = region_set_record(p, newest->prefix);
    bool is_home = own && own->epoch == newest->epoch && strcmp(own->region, newest->region) == 0;
    return is_home ? newest : home_before(m, newest);
}

static int promote_one(struct promotion *m, const struct tenure_home *newest, json_t *done)
{
    bool is_contested = region_set_is_contested(m->set, newest->prefix);
    bool is_there = !is_contested && strcmp(newest->region, m->to->name) == 0;
    const struct tenure_home *own = region_set_record(m->to, newest->prefix);
    bool is_home = is_there && own && own->epoch == newest->epoch;
    const struct tenure_home *before = is_home        ? NULL
                                       : is_contested ? home_of_contested(m, newest)
                                       : is_there     ? home_before(m, newest)
                                                      : newest;
    if (before && strcmp(before->region, m->to->name) == 0)
        before = NULL;
    snprintf(m->prefix, sizeof m->prefix, "%s", newest->prefix);
    snprintf(m->before, sizeof m->before, "%s", before ? before->region : "");
    m->from = before ? region_set_find(m->set, before->region) : NULL;
    m->epoch = newest->epoch + !is_there;
    m->wants_authority = newest->authority || (is_contested && before && before->authority);
    int code = move_home(m);
    if (code == EXIT_OK)
        json_array_append_new(done, moved_json(m));
    return code;
}

static int promote_all(struct promotion *m, const struct region_options *o, json_t *done)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < m->set->n; i++)
        for (size_t j = 0; m->set->peers[i].homes && j < m->set->peers[i].homes->n && code == EXIT_OK; j++) {
            const struct tenure_home *h = &m->set->peers[i].homes->homes[j];
            const struct tenure_home *newest = region_set_home(m->set, h->prefix);
            if (newest->epoch && is_meant(m, o, h, newest) && !region_is_listed(done, h->prefix))
                code = promote_one(m, newest, done);
        }
    if (code == EXIT_OK && json_array_size(done) == 0) {
        if (o->prefix)
            fprintf(stderr, "tenure region: '%s' has no home; give it one: tenure region home PREFIX REGION\n",
                    o->prefix);
        else
            fprintf(stderr, "tenure region: no prefix has its home in '%s'; all homes: tenure region home\n",
                    o->instead_of);
        code = EXIT_FAILED;
    }
    return code;
}

int region_promote(const struct global_options *g, const struct region_options *o, const char *name)
{
    struct region_set s;
    int code;
    if (!o->prefix == !o->instead_of) {
        fprintf(stderr,
                "tenure region: promote takes --prefix PREFIX or --instead-of REGION\ntry: tenure region --help\n");
        return EXIT_USAGE;
    }
    if (!region_set_open(&s, g, &code))
        return code;
    struct promotion m = {.set = &s,
                          .g = g,
                          .to = region_set_find(&s, name),
                          .by_force = o->force,
                          .waits = !o->no_wait,
                          .timeout_ms = o->timeout_ms};
    json_t *done = json_array();
    if (!m.to || !m.to->answers) {
        fprintf(stderr, "tenure region: '%s' %s%s\n", name, m.to ? "does not answer: " : "is not known here",
                m.to ? connect_text(REGION_COMMAND, &m.to->why) : "");
        code = m.to ? EXIT_UNAVAILABLE : EXIT_FAILED;
    } else {
        code = promote_all(&m, o, done);
    }
    if (json_array_size(done)) {
        json_t *document = json_object();
        json_object_set(document, "homes", done);
        output_print(g, &form, document);
    }
    json_decref(done);
    region_set_close(&s);
    return code;
}
