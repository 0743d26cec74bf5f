/* tenure replica verify, status: what is asked of a source and of replicas. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/replica.h"
#include "lib/alarm.h"

enum { HASH_TIMEOUT_MS = 600000, TRIES = 50, PAUSE_MS = 200 };

static void pause_a_moment(void)
{
    struct timespec t = {0, PAUSE_MS * 1000000};
    nanosleep(&t, NULL);
}

/* ---- what a replica says of itself ---- */

static const char *value_of(const char *lines, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    out[0] = 0;
    for (const char *p = lines; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (strncmp(p, name, len) == 0 && p[len] == '=')
            snprintf(out, size, "%.*s", (int)strcspn(p + len + 1, "\n"), p + len + 1);
    }
    return out;
}

/* ---- verify ---- */

static int revision_of(tenure_client *c, int64_t *ret, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .count_only = true};
    struct tenure_get_result *r = NULL;
    int rc = tenure_get(c, tenure_str("a"), &o, &r, err);
    if (rc == 0)
        *ret = r->revision;
    tenure_get_free(r);
    return rc;
}

/* A copy of what was never compacted says 0; below revision 2 there is nothing to compact. */
static int64_t compacted(const struct tenure_hash_kv *h)
{
    return h->compact_revision > 1 ? h->compact_revision : 0;
}

/* Both at one revision, and compacted alike: a replica is a second behind a compaction. *ret_of_source: it was the source that failed. */
static int compare(tenure_client *source, tenure_client *replica, size_t endpoint, struct tenure_hash_kv *a,
                   struct tenure_hash_kv *b, bool *ret_of_source, struct tenure_error *err)
{
    int rc = 0;
    for (int i = 0; i < TRIES; i++) {
        int64_t revision = 0;
        rc = revision_of(source, &revision, err);
        if (rc == 0)
            rc = tenure_hash_kv(source, 0, revision, HASH_TIMEOUT_MS, a, err);
        *ret_of_source = rc != 0;
        if (rc == 0)
            rc = tenure_hash_kv(replica, endpoint, revision, HASH_TIMEOUT_MS, b, err);
        if (rc == 0 && compacted(a) == compacted(b))
            return 0;
        if (rc && rc != TENURE_EFUTURE && rc != TENURE_ECOMPACTED)
            return rc;
        pause_a_moment();
    }
    return rc ? rc
              : error_set(err, TENURE_ECONFLICT,
                          "the source is compacted up to revision %" PRId64 ", %s up to %" PRId64, a->compact_revision,
                          tenure_endpoint(replica, endpoint), b->compact_revision);
}

static const struct output_form verdicts_form = {
    .lists = {"replicas"},
    .columns =
        (const struct output_column[]){
            {.path = "endpoint", .heading = "REPLICA"},
            {.path = "equal", .heading = "EQUAL"},
            {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
            {.path = "compact_revision", .heading = "COMPACTED", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "hash", .heading = "HASH", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "source_hash", .heading = "OF THE SOURCE", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "keys", .heading = "KEYS", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "holds", .heading = "HOLDS", .optional = true},
            {0}},
};

static void say_verdict(const char *url, int64_t revision, const struct tenure_hash_kv *a,
                        const struct tenure_hash_kv *b, json_t *into)
{
    bool equal = a->hash == b->hash;
    char up_to[48] = "never compacted";
    if (compacted(a))
        snprintf(up_to, sizeof up_to, "compacted %" PRId64, compacted(a));
    if (!into) {
        printf("%s %s the source at revision %" PRId64 " (%s): hash %" PRIu32 " and %" PRIu32 "\n", url,
               equal ? "equals" : "differs from", revision, up_to, b->hash, a->hash);
        return;
    }
    json_t *j = json_object();
    json_object_set_new(j, "endpoint", json_string(url));
    json_object_set_new(j, "equal", json_boolean(equal));
    json_object_set_new(j, "revision", json_integer(revision));
    json_object_set_new(j, "compact_revision", json_integer(compacted(a)));
    json_object_set_new(j, "source_hash", json_integer(a->hash));
    json_object_set_new(j, "hash", json_integer(b->hash));
    json_array_append_new(into, j);
}

/* Prints what was collected; NULL: nothing was, because it was said line by line. */
static void print_list(const struct global_options *g, const struct output_form *form, json_t *list)
{
    if (!list)
        return;
    json_t *all = json_object();
    json_object_set_new(all, "replicas", list);
    output_print(g, form, all);
}

struct verdict {
    bool equal, of_source; /* of_source: it was the source that failed */
};

/* ---- verify of a copy by ranges ---- */

static void say_compared(const char *url, const char *holds, const struct replica_compared *r, json_t *into)
{
    if (!into) {
        printf("%s %s the source at revision %" PRId64 ": %s, %" PRId64
               " keys%s%s (copied by ranges, it has no hash)\n",
               url, r->equal ? "equals" : "differs from", r->revision, holds, r->keys,
               r->different ? ", different at " : "", r->different ? r->different : "");
        return;
    }
    json_t *j = json_object();
    json_object_set_new(j, "endpoint", json_string(url));
    json_object_set_new(j, "equal", json_boolean(r->equal));
    json_object_set_new(j, "revision", json_integer(r->revision));
    json_object_set_new(j, "keys", json_integer(r->keys));
    json_object_set_new(j, "holds", json_string(holds));
    json_array_append_new(into, j);
}

/* By a handle of its own, which asks nobody else. */
static int verify_keys(tenure_client *source, const char *url, const struct global_options *g, const char *lines,
                       json_t *list, struct verdict *ret, struct tenure_error *err)
{
    struct global_options one = *g;
    struct replica_compared r = {0};
    char *ranges = strdup(lines), *holds = strdup(lines);
    one.endpoints = url;
    tenure_client *replica = ranges && holds ? connect_open("replica", &one) : NULL;
    int rc = replica ? replica_compare(source, replica, value_of(lines, "ranges", ranges, strlen(lines) + 1), &r, err)
                     : error_set(err, TENURE_EUNAVAILABLE, "%s cannot be asked", url);
    if (rc == 0)
        say_compared(url, value_of(lines, "holds", holds, strlen(lines) + 1), &r, list);
    ret->equal = r.equal;
    free(r.different);
    free(ranges);
    free(holds);
    tenure_close(replica);
    return rc;
}

/* ---- verify of all ---- */

static int verify_hash(tenure_client *source, tenure_client *replicas, size_t i, json_t *list, struct verdict *ret,
                       struct tenure_error *err)
{
    struct tenure_hash_kv a = {0}, b = {0};
    int rc = compare(source, replicas, i, &a, &b, &ret->of_source, err);
    if (rc)
        return rc;
    say_verdict(tenure_endpoint(replicas, i), a.hash_revision ? a.hash_revision : a.revision, &a, &b, list);
    ret->equal = a.hash == b.hash;
    return 0;
}

/* What it is copied from it says itself; a server that is no replica is held to its hash. */
static int verify_one(tenure_client *source, tenure_client *replicas, size_t i, const struct global_options *g,
                      json_t *list, struct verdict *ret, struct tenure_error *err)
{
    char *lines = NULL;
    int rc = lib_replica_status(replicas, i, g->call_timeout_ms, &lines, err);
    if (rc == 0 && strstr(lines, "\nranges="))
        rc = verify_keys(source, tenure_endpoint(replicas, i), g, lines, list, ret, err);
    else if (rc == 0 || rc == TENURE_EUNIMPLEMENTED)
        rc = verify_hash(source, replicas, i, list, ret, err);
    free(lines);
    return rc;
}

static int verify_all(tenure_client *source, tenure_client *replicas, const struct global_options *from,
                      const struct global_options *g, struct tenure_error *err)
{
    int code = EXIT_OK;
    json_t *list = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < tenure_endpoints(replicas); i++) {
        struct verdict v = {0};
        int rc = verify_one(source, replicas, i, g, list, &v, err);
        if (rc) {
            json_decref(list);
            return connect_failed("replica", v.of_source ? from : g, err);
        }
        code = v.equal ? code : EXIT_FAILED;
    }
    print_list(g, &verdicts_form, list);
    return code;
}

int replica_verify(const struct replica_options *o, const struct global_options *g)
{
    struct tenure_error err = {0};
    struct global_options from = *g;
    from.endpoints = o->from;
    tenure_client *source = connect_open("replica", &from);
    tenure_client *replicas = source ? connect_open("replica", g) : NULL;
    int code = replicas ? verify_all(source, replicas, &from, g, &err) : connect_code();
    tenure_close(replicas);
    tenure_close(source);
    return code;
}

/* ---- status ---- */

static int64_t number_of(const char *lines, const char *name)
{
    char text[32];
    return strtoll(value_of(lines, name, text, sizeof text), NULL, 10);
}

static void say_text(const char *url, const char *lines)
{
    char state[64], source[256], error[640], age[48] = "age not known";
    int64_t revision = number_of(lines, "revision"), newest = number_of(lines, "source_revision");
    int64_t staleness = number_of(lines, "staleness_ms");
    if (staleness >= 0)
        snprintf(age, sizeof age, "%" PRId64 " ms old at most", staleness);
    char *holds = strdup(lines);
    bool partly = holds && *value_of(lines, "holds", holds, strlen(lines) + 1);
    bool hears = *value_of(lines, "source", source, sizeof source);
    printf("%s  %s %s  revision %" PRId64 ", %" PRId64 " behind%s, %s%s%s%s%s\n", url,
           value_of(lines, "state", state, sizeof state), hears ? source : "a source that does not answer", revision,
           newest > revision ? newest - revision : 0, hears ? "" : " when it last heard", age, partly ? ", holds " : "",
           partly ? holds : "", value_of(lines, "error", error, sizeof error)[0] ? "; last error: " : "", error);
    free(holds);
}

static json_t *status_json(const char *url, const char *lines)
{
    static const char *const texts[] = {"state", "cluster", "source", "error"};
    static const char *const numbers[] = {"revision", "source_revision", "compacted", "staleness_ms",
                                          "events",   "watches",         "rounds",    "forwarded"};
    size_t size = strlen(lines) + 1;
    char *text = malloc(size);
    json_t *j = json_object();
    json_object_set_new(j, "endpoint", json_string(url));
    for (size_t i = 0; text && i < sizeof texts / sizeof texts[0]; i++)
        json_object_set_new(j, texts[i], json_string(value_of(lines, texts[i], text, size)));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_object_set_new(j, numbers[i], json_integer(number_of(lines, numbers[i])));
    if (text && *value_of(lines, "holds", text, size))
        json_object_set_new(j, "holds", json_string(text));
    free(text);
    return j;
}

static const struct output_form status_form = {
    .lists = {"replicas"},
    .columns =
        (const struct output_column[]){{.path = "endpoint", .heading = "REPLICA"},
                                       {.path = "state", .heading = "STATE"},
                                       {.path = "source", .heading = "SOURCE"},
                                       {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                       {.path = "source_revision", .heading = "OF THE SOURCE", .kind = OUTPUT_NUMBER},
                                       {.path = "staleness_ms", .heading = "MS OLD", .kind = OUTPUT_NUMBER},
                                       {.path = "holds", .heading = "HOLDS", .optional = true},
                                       {.path = "error", .heading = "LAST ERROR", .optional = true},
                                       {0}},
};

static int say_no_replica(const char *url)
{
    fprintf(stderr, "tenure replica: %s is no replica: it has its own data\ntry: tenure status --endpoints %s\n", url,
            url);
    return EXIT_FAILED;
}

/* Of several that failed: one that did not answer says most, in whatever order they were asked. */
static int worse(int a, int b)
{
    return a == EXIT_UNAVAILABLE || b == EXIT_OK ? a : b;
}

int replica_status(const struct global_options *g)
{
    int code = EXIT_OK;
    tenure_client *c = connect_open("replica", g);
    if (!c)
        return connect_code();
    json_t *list = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < tenure_endpoints(c); i++) {
        struct tenure_error err = {0};
        char *lines = NULL;
        int rc = lib_replica_status(c, i, g->call_timeout_ms, &lines, &err);
        if (rc == TENURE_EUNIMPLEMENTED)
            code = worse(code, say_no_replica(tenure_endpoint(c, i)));
        else if (rc)
            code = worse(code, connect_failed("replica", g, &err));
        else if (list)
            json_array_append_new(list, status_json(tenure_endpoint(c, i), lines));
        else
            say_text(tenure_endpoint(c, i), lines);
        free(lines);
    }
    print_list(g, &status_form, list);
    tenure_close(c);
    return code;
}
