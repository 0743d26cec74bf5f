/* tenure cluster backups: what a folder of backups holds, and whether it is good. */
#include <stdio.h>
#include <string.h>

#include "cli/backup_dir.h"
#include "cli/cluster_care.h"
#include "cli/output.h"
#include "io/loop.h"

static const char *const state_names[] = {
    [BACKUP_GOOD] = "good", [BACKUP_MISSING] = "missing", [BACKUP_CHANGED] = "changed"};

static const struct output_column columns[] = {
    {.path = "time", .heading = "TIME"},
    {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
    {.path = "size", .heading = "SIZE", .kind = OUTPUT_SIZE},
    {.path = "member", .heading = "MEMBER"},
    {.path = "state", .heading = "STATE"},
    {.path = "checked", .heading = "CHECKED"},
    {.path = "file", .heading = "FILE"},
    {0},
};
static const struct output_form form = {.lists = {"backups"}, .columns = columns};

static json_t *row(const struct backup_entry *e)
{
    char time[BACKUP_TIME_LEN + 1];
    json_t *o = json_object();
    json_object_set_new(o, "time", json_string(backup_time(e->made_ms, time)));
    json_object_set_new(o, "revision", json_integer(e->revision));
    json_object_set_new(o, "size", json_integer(e->size));
    json_object_set_new(o, "member", json_string(e->member));
    json_object_set_new(o, "cluster", json_string(e->cluster));
    json_object_set_new(o, "state", json_string(state_names[e->state]));
    json_object_set_new(o, "checked", json_string(backup_time(e->checked_ms, time)));
    json_object_set_new(o, "file", json_string(e->name));
    return o;
}

static void tell_text(const struct backup_dir *d, const struct backup_entry *newest)
{
    char time[BACKUP_TIME_LEN + 1];
    int64_t age_s = newest ? (io_wall_ms() - newest->made_ms) / 1000 : 0;
    if (newest)
        printf("the newest good one is %02d:%02d:%02d old\n", (int)(age_s / 3600), (int)(age_s / 60 % 60),
               (int)(age_s % 60));
    else
        printf("there is no good one\n");
    if (d->failed_ms)
        printf("the last attempt failed, %s: %s\n", backup_time(d->failed_ms, time), d->failure);
}

static void tell(const struct global_options *g, const struct backup_dir *d, const struct backup_entry *newest)
{
    char time[BACKUP_TIME_LEN + 1];
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < d->n; i++)
        json_array_append_new(list, row(&d->entries[i]));
    json_object_set_new(o, "dir", json_string(d->path));
    if (newest)
        json_object_set_new(o, "last_success", json_string(backup_time(newest->made_ms, time)));
    if (d->failed_ms)
        json_object_set_new(o, "last_failure",
                            json_pack("{s:s,s:s}", "time", backup_time(d->failed_ms, time), "text", d->failure));
    json_object_set_new(o, "backups", list);
    output_print(g, &form, o);
    if (output_is_text(g))
        tell_text(d, newest);
}

static bool check_all(struct backup_dir *d)
{
    bool all_good = true;
    for (size_t i = 0; i < d->n; i++) {
        struct tenure_error err = {0};
        if (cluster_care.check && backup_dir_check(d, &d->entries[i], &err) < 0)
            fprintf(stderr, "tenure cluster: %s\n", err.text);
        all_good = all_good && d->entries[i].state == BACKUP_GOOD;
    }
    return all_good;
}

int cluster_backups(const struct global_options *g, const char *dir)
{
    struct backup_dir d;
    struct tenure_error err = {0};
    if (backup_dir_open(&d, dir, false, &err) < 0) {
        fprintf(stderr, "tenure cluster: %s\n", err.text);
        return EXIT_USAGE;
    }
    bool good = check_all(&d);
    const struct backup_entry *newest = backup_dir_newest(&d);
    good = good && newest && !d.failed_ms;
    if (newest && cluster_care.max_age_ms && io_wall_ms() - newest->made_ms > cluster_care.max_age_ms) {
        fprintf(stderr, "tenure cluster: the newest good backup is older than --max-age\n");
        good = false;
    }
    tell(g, &d, newest);
    backup_dir_close(&d);
    return good ? EXIT_OK : EXIT_FAILED;
}
