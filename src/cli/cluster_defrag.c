/* `tenure cluster defrag`: gives the unused space of each member back, one after the other, in the order of a rolling restart: etcd
 * answers nothing while it does that, so all others are well before one is asked, and one that leads hands over first. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cluster_care.h"
#include "cli/cluster_roll.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "io/loop.h"

/* Less than the first, or less than the second and than a tenth, is not worth the silence. */
#define GAIN_BYTES_MIN (1 << 20)
#define GAIN_BYTES     (16 << 20)

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "member", .heading = "MEMBER", .width = 16},
                                       {.path = "name", .heading = "NAME", .width = 8},
                                       {.path = "done", .heading = "DONE", .width = 12},
                                       {.path = "db_size_before", .heading = "BEFORE", .kind = OUTPUT_SIZE, .width = 7},
                                       {.path = "db_size", .heading = "SIZE", .kind = OUTPUT_SIZE, .width = 7},
                                       {.path = "took_ms", .heading = "MS", .kind = OUTPUT_NUMBER, .width = 5},
                                       {0}},
};

static void tell(const struct change *x, const struct tenure_member *m, const char *done, int64_t before, int64_t after,
                 int64_t took_ms)
{
    char id[32];
    snprintf(id, sizeof id, "%" PRIx64, m->id);
    if (output_is_text(x->g)) {
        printf("%s %s: %.1f MB, was %.1f MB (%" PRId64 " ms)\n", done, m->name[0] ? m->name : id, (double)after / 1e6,
               (double)before / 1e6, took_ms);
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "member", json_string(id));
        json_object_set_new(o, "name", json_string(m->name));
        json_object_set_new(o, "done", json_string(done));
        json_object_set_new(o, "db_size_before", json_integer(before));
        json_object_set_new(o, "db_size", json_integer(after));
        json_object_set_new(o, "took_ms", json_integer(took_ms));
        output_event(x->g, &form, o);
    }
    fflush(stdout);
}

static bool is_worth_it(const struct tenure_status *s)
{
    int64_t gain = s->db_size - s->db_size_in_use;
    return cluster_care.always || gain >= GAIN_BYTES || (gain >= GAIN_BYTES_MIN && gain > s->db_size / 10);
}

static int64_t size_of(const struct change *x, const struct cluster_row *r, int64_t otherwise)
{
    struct tenure_error ignored = {0};
    struct tenure_status *s = NULL;
    int rc = tenure_status(x->survey.client, r->endpoint, x->g->call_timeout_ms, &s, &ignored);
    int64_t size = rc < 0 ? otherwise : s->db_size;
    tenure_status_free(s);
    return size;
}

static int defragment(struct change *x, const struct cluster_row *r, void *user)
{
    struct tenure_error err = {0};
    int64_t before = r->status->db_size, begin = io_clock(), left = x->until - begin;
    (void)user;
    if (tenure_defragment(x->survey.client, r->endpoint, left > 0 ? left : 1, &err) < 0)
        return change_stop(x, connect_failed("cluster", x->g, &err));
    tell(x, r->member, "defragmented", before, size_of(x, r, before), io_clock() - begin);
    return 0;
}

/* Those that would gain little are told apart before any is touched. */
static bool is_left_alone(const struct change *x, const struct cluster_row *r, void *user)
{
    (void)x;
    (void)user;
    return r->status && !is_worth_it(r->status);
}

int cluster_defrag(const struct global_options *g, const struct cluster_options *o)
{
    struct change x;
    struct roll r = {.restart = defragment, .passes = is_left_alone, .stays = true};
    if (!change_open(&x, g, o) || roll_begin(&x) < 0)
        return change_close(&x);
    for (size_t i = 0; i < x.survey.list->n; i++) {
        const struct cluster_row *row = &x.survey.rows[i];
        if (is_left_alone(&x, row, NULL))
            tell(&x, row->member, "left alone", row->status->db_size, row->status->db_size, 0);
    }
    roll_all(&x, &r);
    return change_close(&x);
}
