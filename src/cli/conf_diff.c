/* tenure config diff: what tells two states apart, each a revision, a layer, a file or now. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf_text.h"
#include "cli/connect.h"

/* ---- which revisions there are ---- */

/* Whether the store answers at that revision; false also when it does not answer at all. */
static bool is_there(tenure_client *c, int64_t revision, int64_t *ret_now)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .revision = revision, .count_only = true};
    bool there = tenure_get(c, tenure_str("/config/"), &o, &r, &err) == 0;
    if (there && ret_now)
        *ret_now = r->revision;
    tenure_get_free(r);
    return there;
}

/* No call tells where the store was compacted: halving finds it. */
static void say_revisions(tenure_client *c)
{
    int64_t now = 0, gone = 0;
    if (!is_there(c, 0, &now) || now < 1)
        return;
    int64_t there = now;
    while (there - gone > 1) {
        int64_t middle = gone + (there - gone) / 2;
        *(is_there(c, middle, NULL) ? &there : &gone) = middle;
    }
    fprintf(stderr, "try: a revision from %" PRId64 " to %" PRId64 ": those are what the store has\n", there, now);
}

/* ---- both sides ---- */

static bool is_number(const char *word)
{
    return *word && strspn(word, "0123456789") == strlen(word);
}

static bool is_layer(const char *word)
{
    static const char *const names[] = {"global", "default", "env", "environment", "service", "instance"};
    size_t len = strcspn(word, "=");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && strncmp(names[i], word, len) == 0)
            return true;
    return false;
}

/* One side: "now", a revision, a layer, or a file. */
static int read_side(tenure_client *c, const struct global_options *g, const char *word, const char *keys,
                     struct conf_raw *raw)
{
    struct conf_place p;
    bool number = is_number(word);
    if (!number && strcmp(word, "now") != 0 && !is_layer(word)) {
        int format = conf_format_of(word);
        int code = format ? conf_read_file(g, word, keys, format, &raw->read) : EXIT_USAGE;
        if (code == EXIT_OK)
            raw->list = *raw->read;
        return code;
    }
    if (!conf_place_of(&p, is_layer(word) ? word : NULL, g))
        return EXIT_USAGE;
    p.o.revision = number ? strtoll(word, NULL, 10) : 0;
    if (number && p.o.revision == 0) {
        conf_place_fini(&p);
        return conf_usage("diff: revisions count from 1 on; 'now' is the newest");
    }
    int code = conf_read_raw(c, g, keys, &p, raw);
    if (code == EXIT_FAILED && number)
        say_revisions(c);
    conf_place_fini(&p);
    return code;
}

static int diff(tenure_client *c, const struct global_options *g, char **words, const char *keys)
{
    struct conf_raw from = {0}, to = {0};
    struct tenure_error err = {0};
    struct tenure_config_differences *d = NULL;
    int code = read_side(c, g, words[0], keys, &from);
    if (code == EXIT_OK)
        code = read_side(c, g, words[1], keys, &to);
    if (code == EXIT_OK && tenure_config_diff(&from.list, &to.list, &d, &err) < 0)
        code = conf_failed(g, &err);
    if (d) {
        conf_print_changes(g, d);
        code = conf_opt.exit_code && d->n ? EXIT_FAILED : EXIT_OK;
    }
    tenure_config_differences_free(d);
    conf_raw_fini(&from);
    conf_raw_fini(&to);
    return code;
}

int conf_diff(const struct global_options *g, int n, char **words)
{
    (void)n;
    tenure_client *c = connect_open("config", g);
    if (!c)
        return connect_code();
    char *keys = conf_prefix(conf_opt.prefix);
    int code = diff(c, g, words, keys);
    tenure_close(c);
    free(keys);
    return code;
}
