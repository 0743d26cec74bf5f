/* What a scheduler has run: its periods and runs read at one revision, the newest first. And when it runs next. */
#include <tenure/cron.h>

#include <stdlib.h>

#include "lib/cron_words.h"
#include "lib/put.h"
#include "lib/view.h"
#include "recipes/schedule.h"

enum { NAME_MAX_LEN = 2000 };

/* The time behind "<path><dir>/". */
static bool is_below(const struct tenure_kv *kv, size_t path_len, const char *dir, int64_t *ret)
{
    size_t dir_len = strlen(dir), at = path_len + dir_len;
    const uint8_t *key = kv->key.data;
    return kv->key.len > at && memcmp(key + path_len, dir, dir_len) == 0 &&
           schedule_named(bytes_of(key + at, kv->key.len - at), ret);
}

static const struct tenure_kv *run_of(const struct tenure_get_result *r, size_t path_len, int64_t time)
{
    int64_t t;
    for (size_t i = 0; i < r->n_kvs; i++)
        if (is_below(&r->kvs[i], path_len, "run/", &t) && t == time)
            return &r->kvs[i];
    return NULL;
}

static void write_entry(struct tenure_cron_entry *e, int64_t time, const struct cron_words *w,
                        const struct tenure_kv *run, char **at)
{
    *e = (struct tenure_cron_entry){
        .time = time,
        .state = w->done ? TENURE_CRON_DONE
                 : run   ? TENURE_CRON_RUNNING
                         : TENURE_CRON_DIED,
        .token = w->done ? w->token
                 : run   ? run->create_revision
                         : 0,
        .attempt = w->attempt,
        .began_ms = w->began_ms,
        .ended_ms = w->ended_ms,
        .result = w->result,
        .host = put_word(at, w->host),
        .text = put_word(at, w->text),
        .pid = w->pid,
    };
}

/* One allocation: the list, its entries, their strings. */
static struct tenure_cron_list *list_with(const struct tenure_get_result *r, size_t path_len, struct cron_words *words)
{
    size_t n = 0, text = 0;
    int64_t t;
    for (size_t i = 0; i < r->n_kvs; i++) {
        const struct tenure_kv *kv = &r->kvs[i];
        if (!is_below(kv, path_len, "at/", &t) || !cron_words_read(bytes_of(kv->value.data, kv->value.len), &words[i]))
            continue;
        text += (words[i].host ? strlen(words[i].host) : 0) + (words[i].text ? strlen(words[i].text) : 0) + 2;
        n++;
    }
    struct tenure_cron_list *list = calloc(1, sizeof *list + n * sizeof(struct tenure_cron_entry) + text);
    if (!list)
        return NULL;
    struct tenure_cron_entry *entries = (struct tenure_cron_entry *)(list + 1);
    char *at = (char *)(entries + n);
    list->revision = r->revision;
    list->entries = entries;
    for (size_t i = r->n_kvs; i-- > 0;)
        if (words[i].attempt && is_below(&r->kvs[i], path_len, "at/", &t) && list->n < n)
            write_entry(&entries[list->n++], t, &words[i], run_of(r, path_len, t), &at);
    return list;
}

static struct tenure_cron_list *list_new(const struct tenure_get_result *r, size_t path_len)
{
    struct cron_words *words = calloc(r->n_kvs + 1, sizeof *words);
    if (!words)
        return NULL;
    struct tenure_cron_list *list = list_with(r, path_len, words);
    for (size_t i = 0; i < r->n_kvs; i++)
        cron_words_fini(&words[i]);
    free(words);
    return list;
}

int tenure_cron_list(tenure_client *c, const char *prefix, const char *name, struct tenure_cron_list **ret,
                     struct tenure_error *err)
{
    char path[2 * NAME_MAX_LEN + 16];
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {
        .size = sizeof o, .prefix = true, .order = TENURE_ORDER_ASCEND, .sort = TENURE_SORT_KEY};
    prefix = prefix ? prefix : "/cron/";
    tenure_client *root = c;
    view_of(&root); /* the keys are read as the view has them */
    int rc = handle_enter_blocking(root, "cron", err);
    if (rc < 0)
        return rc;
    if (!ret)
        return error_set(err, TENURE_EINVALID, "cron: there is nowhere to put the list");
    if (!name || !name[0] || strchr(name, '/') || strlen(name) > NAME_MAX_LEN || strlen(prefix) > NAME_MAX_LEN)
        return error_set(err, TENURE_EINVALID, "cron: a name that is empty, has a slash or is too long");
    size_t prefix_len = strlen(prefix), name_len = strlen(name);
    memcpy(path, prefix, prefix_len);
    memcpy(path + prefix_len, name, name_len);
    memcpy(path + prefix_len + name_len, "/", 2);
    rc = tenure_get(c, tenure_str(path), &o, &r, err);
    struct tenure_cron_list *list = rc == 0 ? list_new(r, prefix_len + name_len + 1) : NULL;
    tenure_get_free(r);
    if (rc == 0 && !list)
        rc = error_set(err, TENURE_ENOMEM, "cron: out of memory");
    if (rc == 0)
        *ret = list;
    return rc;
}

void tenure_cron_list_free(struct tenure_cron_list *r)
{
    free(r);
}

int tenure_cron_next(const char *schedule, const char *utc_offset, int64_t after, int64_t *ret,
                     struct tenure_error *err)
{
    struct schedule s;
    int rc = schedule_parse(schedule, utc_offset, &s, err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "schedule: there is nowhere to put the time");
    if (rc == 0 && (after < -SCHEDULE_TIME_MAX_S || after > SCHEDULE_TIME_MAX_S))
        rc = error_set(err, TENURE_EINVALID, "schedule: a time beyond the year 9999");
    if (rc == 0)
        *ret = schedule_next(&s, after);
    return rc;
}
