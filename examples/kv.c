/* Keys and values: put, get, a transaction, a watch.
 *
 *     cc kv.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <stdio.h>

#include <tenure/tenure.h>

static int failed(const struct tenure_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    if (tenure_error_applied(err) == TENURE_APPLIED_MAYBE)
        fprintf(stderr, "(it may have been applied)\n");
    return 1;
}

/* On the handle's own thread. */
static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    (void)user, (void)revision;
    for (size_t i = 0; i < n; i++)
        printf("seen: %.*s = %.*s\n", (int)events[i].kv.key.len, (const char *)events[i].kv.key.data,
               (int)events[i].kv.value.len, (const char *)events[i].kv.value.data);
}

/* Sets the job to "done" only if nobody has changed it since it was read. */
static int finish_job(tenure_client *c, const struct tenure_kv *job, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_mod_revision(t, job->key, TENURE_EQ, job->mod_revision);
    tenure_then_put(t, job->key, tenure_str("done"), 0);
    int rc = tenure_txn_commit(t, 0, &r, err);
    if (rc == 0)
        printf("finished: %s\n", r->outcome == TENURE_TXN_SUCCEEDED ? "yes" : "no, somebody was faster");
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

static int run(tenure_client *c, struct tenure_error *err)
{
    struct tenure_get_result *jobs = NULL;
    struct tenure_get_options prefix = {.size = sizeof prefix, .prefix = true};
    if (tenure_put(c, tenure_str("/jobs/42"), tenure_str("new"), NULL, NULL, err) < 0 ||
        tenure_get(c, tenure_str("/jobs/"), &prefix, &jobs, err) < 0)
        return -1;
    int rc = 0;
    for (size_t i = 0; i < jobs->n_kvs && rc == 0; i++)
        rc = finish_job(c, &jobs->kvs[i], err);
    tenure_get_free(jobs);
    return rc;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return failed(&err);
    struct tenure_watch_options o = {.size = sizeof o, .prefix = true, .on_events = on_events};
    tenure_watch *w = tenure_watch_start(c, tenure_str("/jobs/"), &o, &err);
    int rc = w ? run(c, &err) : -1;
    if (rc < 0)
        failed(&err);
    tenure_watch_stop(w);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
