#include "cli/observe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/connect.h"
#include "cli/name.h"
#include "cli/output.h"
#include "cli/wait.h"

#define TIMED_OUT (-1) /* no exit code */

struct observing {
    const struct global_options *g;
    const char *name;
    bool once;
    struct wait wait;
};

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "leads", .heading = "LEADS", .width = 5},
                                              {.path = "proposal", .heading = "PROPOSAL", .width = 16},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER, .width = 8},
                                              {.path = "key", .heading = "KEY"},
                                              {0}},
};

static void print_document(const struct observing *o, const struct tenure_kv *kv, int64_t revision)
{
    json_t *j = json_object();
    output_set_bytes(j, "name", tenure_str(o->name));
    json_object_set_new(j, "revision", json_integer(revision));
    json_object_set_new(j, "leads", json_boolean(kv != NULL));
    if (kv) {
        output_set_bytes(j, "proposal", kv->value);
        output_set_bytes(j, "key", kv->key);
        json_object_set_new(j, "token", json_integer(kv->create_revision));
        json_object_set_new(j, "lease", output_lease(kv->lease));
    }
    output_event(o->g, &form, j);
}

static void print_text(const struct tenure_kv *kv)
{
    if (!kv) {
        puts("nobody leads");
        return;
    }
    fwrite(kv->value.data, 1, kv->value.len, stdout);
    printf("  token %" PRId64 "  %.*s\n", kv->create_revision, (int)kv->key.len, (const char *)kv->key.data);
}

static void on_leader(tenure_observer *observer, const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct observing *o = user;
    (void)observer;
    if (o->wait.done)
        return; /* the one that was asked for has been printed */
    if (output_is_text(o->g))
        print_text(kv);
    else
        print_document(o, kv, revision);
    if (fflush(stdout) != 0)
        wait_end(&o->wait, EXIT_FAILED);
    else if (o->once)
        wait_end(&o->wait, kv ? EXIT_OK : EXIT_FAILED);
}

static void on_end(tenure_observer *observer, int code, const struct tenure_error *err, void *user)
{
    struct observing *o = user;
    (void)observer, (void)code;
    wait_end(&o->wait, connect_failed("elect", o->g, err));
}

int observe(const struct global_options *g, const char *name, bool whole_key, bool once)
{
    struct tenure_error err = {0};
    struct observing o = {.g = g, .name = name, .once = once};
    char *prefix;
    const char *last;
    wait_init(&o.wait);
    tenure_client *c = name_split(name, whole_key, &prefix, &last) ? connect_open("elect", g) : NULL;
    int code = connect_code();
    struct tenure_observer_options options = {
        .size = sizeof options, .prefix = prefix, .on_leader = on_leader, .on_end = on_end, .user = &o};
    tenure_observer *observer = c ? tenure_observer_start(c, last, &options, &err) : NULL;
    if (observer)
        code = wait_run(&o.wait, once ? (g->call_timeout_ms ? g->call_timeout_ms : 5000) : -1, TIMED_OUT, NULL);
    else if (c)
        code = connect_failed("elect", g, &err);
    if (code == TIMED_OUT) {
        connect_silence(c, "no server answered in time", &err);
        code = connect_failed("elect", g, &err);
    }
    tenure_observer_stop(observer);
    tenure_close(c);
    free(prefix);
    return code;
}
