/* What a drill has seen, judged and told. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/cluster_drill.h"
#include "cli/output.h"

static void wrong(struct drill_result *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct drill_result *r, const char *format, ...)
{
    va_list args;
    if (r->n_wrong == DRILL_WRONG_MAX)
        return;
    va_start(args, format);
    vsnprintf(r->wrong[r->n_wrong++], DRILL_TEXT_MAX, format, args);
    va_end(args);
}

void drill_judge(struct drill_result *r)
{
    const struct drill_seen *s = &r->seen;
    if (s->writes.lost)
        wrong(r, "%" PRId64 " writes were acknowledged and are lost", s->writes.lost);
    if (s->writes.wrongly_applied)
        wrong(r, "%" PRId64 " writes were applied though they were refused, or twice, or at another revision",
              s->writes.wrongly_applied);
    if (s->reads.stale)
        wrong(r, "%" PRId64 " linearizable reads were older than what had been acknowledged", s->reads.stale);
    if (s->lock.was_lost)
        wrong(r, "the lock was lost: %s", s->lock.why);
    if (s->watch.missed)
        wrong(r, "the watch missed %" PRId64 " events", s->watch.missed);
    if (s->watch.doubled)
        wrong(r, "the watch told %" PRId64 " events twice or out of order", s->watch.doubled);
    if (s->watch.ended)
        wrong(r, "the watch ended: %s", s->watch.why);
    if (!s->is_judged)
        wrong(r, "the history could not be read, so nobody knows what was lost: %s", s->why_not);
    if (r->never_away)
        wrong(r, "%s answered all the time: the command did not kill it", r->member);
    if (r->leader_was_asked && !r->leader)
        wrong(r, "no new leader was seen");
    if (r->whole_ms < 0)
        wrong(r, "the cluster is not whole again");
}

static json_t *to_json(const struct drill_result *r)
{
    const struct drill_seen *s = &r->seen;
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "member", json_string(r->member));
    json_object_set_new(o, "role", json_string(r->role));
    if (r->pid)
        json_object_set_new(o, "pid", json_integer(r->pid));
    if (r->leader)
        json_object_set_new(o, "new_leader",
                            json_pack("{s:s,s:I}", "name", r->leader, "after_ms", (json_int_t)r->leader_ms));
    if (r->whole_ms >= 0)
        json_object_set_new(o, "whole_after_ms", json_integer(r->whole_ms));
    json_object_set_new(o, "writes",
                        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "acknowledged", (json_int_t)s->writes.acknowledged,
                                  "refused", (json_int_t)s->writes.refused, "unclear", (json_int_t)s->writes.unclear,
                                  "unclear_applied", (json_int_t)s->writes.unclear_applied, "lost",
                                  (json_int_t)s->writes.lost, "wrongly_applied", (json_int_t)s->writes.wrongly_applied,
                                  "longest_gap_ms", (json_int_t)s->writes.longest_gap_ms));
    json_object_set_new(o, "reads",
                        json_pack("{s:I,s:I,s:I,s:I}", "answered", (json_int_t)s->reads.answered, "failed",
                                  (json_int_t)s->reads.failed, "stale", (json_int_t)s->reads.stale, "longest_gap_ms",
                                  (json_int_t)s->reads.longest_gap_ms));
    json_object_set_new(
        o, "lock",
        json_pack("{s:I,s:b}", "token", (json_int_t)s->lock.token, "held_throughout", (int)!s->lock.was_lost));
    json_object_set_new(o, "watch",
                        json_pack("{s:I,s:I,s:I}", "events", (json_int_t)s->watch.events, "missed",
                                  (json_int_t)s->watch.missed, "doubled", (json_int_t)s->watch.doubled));
    for (size_t i = 0; i < r->n_wrong; i++)
        json_array_append_new(list, json_string(r->wrong[i]));
    json_object_set_new(o, "wrong", list);
    return o;
}

static void tell_text(const struct drill_result *r)
{
    const struct drill_seen *s = &r->seen;
    printf("%s (%s) was killed", r->member, r->role);
    if (r->pid)
        printf(", process %d", r->pid);
    printf("\n");
    if (r->leader)
        printf("  new leader   %s, after %.2f s\n", r->leader, (double)r->leader_ms / 1000);
    printf("  writes       %" PRId64 " acknowledged, %" PRId64 " refused, %" PRId64 " unclear (%" PRId64
           " of them applied), %" PRId64 " lost; %.2f s without one at the longest\n",
           s->writes.acknowledged, s->writes.refused, s->writes.unclear, s->writes.unclear_applied, s->writes.lost,
           (double)s->writes.longest_gap_ms / 1000);
    printf("  reads        %" PRId64 " answered, %" PRId64 " failed, %" PRId64
           " stale; %.2f s without one at the longest\n",
           s->reads.answered, s->reads.failed, s->reads.stale, (double)s->reads.longest_gap_ms / 1000);
    printf("  lock         %s, token %" PRId64 "\n", s->lock.was_lost ? "lost" : "held throughout", s->lock.token);
    printf("  watch        %" PRId64 " events, %" PRId64 " missed, %" PRId64 " twice\n", s->watch.events,
           s->watch.missed, s->watch.doubled);
    if (r->whole_ms >= 0)
        printf("  whole again  after %.2f s\n", (double)r->whole_ms / 1000);
    for (size_t i = 0; i < r->n_wrong; i++)
        printf("wrong: %s\n", r->wrong[i]);
    if (r->n_wrong == 0)
        printf("nothing wrong was seen\n");
}

static void show_wrong(const json_t *record, struct buf *to)
{
    buf_printf(to, "%zu", json_array_size(json_object_get(record, "wrong")));
}

static const struct output_column columns[] = {
    {.path = "member", .heading = "KILLED"},
    {.path = "role", .heading = "ROLE"},
    {.path = "new_leader.after_ms", .heading = "LEADER MS", .kind = OUTPUT_NUMBER, .optional = true},
    {.path = "writes.longest_gap_ms", .heading = "WRITES MS", .kind = OUTPUT_NUMBER},
    {.path = "reads.longest_gap_ms", .heading = "READS MS", .kind = OUTPUT_NUMBER},
    {.path = "writes.unclear", .heading = "UNCLEAR", .kind = OUTPUT_NUMBER},
    {.path = "writes.lost", .heading = "LOST", .kind = OUTPUT_NUMBER},
    {.path = "lock.held_throughout", .heading = "HELD"},
    {.path = "watch.missed", .heading = "MISSED", .kind = OUTPUT_NUMBER},
    {.path = "whole_after_ms", .heading = "WHOLE MS", .kind = OUTPUT_NUMBER},
    {.path = "wrong", .heading = "WRONG", .kind = OUTPUT_NUMBER, .show = show_wrong},
    {0},
};
static const struct output_form form = {.columns = columns};

void drill_tell(const struct global_options *g, const struct drill_result *r)
{
    if (output_is_text(g))
        tell_text(r);
    else
        output_print(g, &form, to_json(r));
}
