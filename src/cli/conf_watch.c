/* tenure config watch: a line for each change, from a consistent first state on, until it is stopped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/conf_follow.h"
#include "cli/output.h"
#include "cli/signals.h"

struct watching {
    const struct global_options *g;
    int64_t seen;
    bool is_over, has_failed;
};

static void print_text(const struct tenure_config_change *c)
{
    const struct tenure_config_entry *e = c->now;
    printf("%c %s", !c->was ? '+' : !e ? '-' : '~', c->key);
    if (e) {
        putchar('=');
        fwrite(e->value, 1, e->value_len, stdout);
    }
    putchar('\n');
}

static void show_change(const json_t *record, struct buf *to)
{
    bool gone = json_is_true(json_object_get(record, "deleted"));
    bool was = json_object_get(record, "was") || json_object_get(record, "was_base64");
    buf_printf(to, gone ? "deleted" : was ? "changed" : "new");
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "key", .heading = "CHANGE", .width = 7, .show = show_change},
                                              {.path = "key", .heading = "KEY", .width = 24},
                                              {.path = "layer", .heading = "LAYER", .width = 11},
                                              {.path = "value", .heading = "VALUE"},
                                              {0}},
};

static void print_document(const struct global_options *g, int64_t revision, const struct tenure_config_change *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "revision", json_integer(revision));
    output_set_bytes(o, "key", tenure_str(c->key));
    if (c->now) {
        conf_set_value(o, "value", c->now->value, c->now->value_len);
        json_object_set_new(o, "layer", json_string(tenure_config_layer_string(c->now->layer)));
    } else {
        json_object_set_new(o, "deleted", json_true());
    }
    if (c->was)
        conf_set_value(o, "was", c->was->value, c->was->value_len);
    output_event(g, &form, o);
}

static void on_change(int64_t revision, const struct tenure_config_change *changes, size_t n, void *user)
{
    struct watching *w = user;
    for (size_t i = 0; i < n && !w->is_over; i++) {
        if (output_is_text(w->g))
            print_text(&changes[i]);
        else
            print_document(w->g, revision, &changes[i]);
        w->is_over = conf_opt.count > 0 && ++w->seen >= conf_opt.count;
    }
    if (fflush(stdout) != 0)
        w->is_over = w->has_failed = true;
}

int conf_watch(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    struct watching w = {.g = g};
    struct signals signals;
    struct follow f = {.code = EXIT_OK};
    if (n && conf_opt.prefix)
        return conf_usage("watch: expected one PREFIX");
    if (!conf_place_of(&p, NULL, g))
        return EXIT_USAGE;
    char *keys = conf_prefix(n ? words[0] : conf_opt.prefix);
    struct follow_options o = {
        .g = g, .place = &p, .keys = keys, .timeout_ms = conf_opt.timeout_ms, .on_change = on_change, .user = &w};
    bool stopped = !signals_open(&signals);
    if (!follow_open(&f, &o))
        stopped = true;
    while (!stopped && !w.is_over && f.code == EXIT_OK) {
        follow_wait(&f, signals.fd, INT64_MAX);
        for (int s; (s = signals_next(&signals));)
            stopped = stopped || signals_is_end(s);
    }
    follow_close(&f);
    signals_close(&signals);
    conf_place_fini(&p);
    free(keys);
    return w.has_failed ? EXIT_FAILED : f.code;
}
