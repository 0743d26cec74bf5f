/* Reads the command line by the tables of the commands.
 *
 * Happy path: one pass over argv; each option's value goes to its target, each word to the front of argv. Failure: one
 * line on stderr that names the option and what was expected, and a hint at --help.
 */
#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        double ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || errno || !isfinite(v) || v < 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].suffix) == 0 && v * units[i].ms < 9e15) {
            *ret_ms = (int64_t)(v * units[i].ms + 0.5);
            return true;
        }
    return false;
}

static bool int_parse(const char *text, int base, int64_t *ret)
{
    char *end;
    errno = 0;
    long long v = base == 16 ? (long long)strtoull(text, &end, 16) : strtoll(text, &end, base);
    if (end == text || *end || errno)
        return false;
    *ret = v;
    return true;
}

static bool add_value(struct option_list *list, const char *text)
{
    if (list->n == OPTION_LIST_MAX)
        return false;
    list->values[list->n++] = text;
    return true;
}

/* What the value must look like, for the message; NULL when it was taken. */
static const char *set_value(const struct option_spec *o, const char *text)
{
    int64_t ms;
    switch (o->kind) {
    case OPTION_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return "true or false";
        *(bool *)o->target = text[0] == 't';
        return NULL;
    case OPTION_STRING:
        *(const char **)o->target = text;
        return NULL;
    case OPTION_INT:
        return int_parse(text, 10, o->target) ? NULL : "a whole number";
    case OPTION_HEX:
        return int_parse(text, 16, o->target) ? NULL : "a hexadecimal number such as 694d77aa9e38260f";
    case OPTION_DURATION:
        return duration_parse(text, o->target) ? NULL : "a duration such as 10, 1.5s, 500ms or 2m";
    case OPTION_SECONDS:
        if (!duration_parse(text, &ms) || ms % 1000 != 0)
            return "whole seconds such as 10, 30s or 5m";
        *(int64_t *)o->target = ms / 1000;
        return NULL;
    case OPTION_LIST:
        return add_value(o->target, text) ? NULL : "one of 64 at most";
    }
    return "a value";
}

static const struct option_spec *find_long(const struct option_spec *t, const char *name, size_t len)
{
    for (; t && t->name; t++)
        if (strlen(t->name) == len && strncmp(t->name, name, len) == 0)
            return t;
    return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *t, char letter)
{
    for (; t && t->name; t++)
        if (t->letter && t->letter == letter)
            return t;
    return NULL;
}

static bool complain(const char *who, const char *fmt, const char *a, const char *b)
{
    fprintf(stderr, "%s: ", who);
    fprintf(stderr, fmt, a, b);
    fprintf(stderr, "\ntry: %s --help\n", who);
    return false;
}

struct reading {
    const char *who;
    const struct option_spec *own, *global;
    int argc, at;
    char **argv;
};

/* value: text behind '=' or the letter, or NULL: then the next word is taken. */
static bool take(struct reading *r, const struct option_spec *o, const char *shown, const char *value)
{
    if (o->kind == OPTION_FLAG && !value) {
        *(bool *)o->target = true;
        return true;
    }
    if (!value) {
        if (r->at + 1 >= r->argc)
            return complain(r->who, "option %s needs %s", shown, o->arg);
        value = r->argv[++r->at];
    }
    const char *expected = set_value(o, value);
    if (!expected)
        return true;
    fprintf(stderr, "%s: option %s: '%s' is not %s\n", r->who, shown, value, expected);
    return false;
}

static bool take_long(struct reading *r, const char *arg)
{
    const char *name = arg + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *o = find_long(r->own, name, len);
    if (!o)
        o = find_long(r->global, name, len);
    char shown[64];
    snprintf(shown, sizeof shown, "--%.*s", (int)(len < 60 ? len : 60), name);
    if (!o)
        return complain(r->who, "unknown option %s%s", shown, "");
    return take(r, o, shown, equals ? equals + 1 : NULL);
}

static bool take_letters(struct reading *r, const char *arg)
{
    for (const char *p = arg + 1; *p; p++) {
        const struct option_spec *o = find_letter(r->own, *p);
        if (!o)
            o = find_letter(r->global, *p);
        char shown[3] = {'-', *p, 0};
        if (!o)
            return complain(r->who, "unknown option %s%s", shown, "");
        if (o->kind != OPTION_FLAG)
            return take(r, o, shown, p[1] ? p + 1 : NULL);
        *(bool *)o->target = true;
    }
    return true;
}

bool options_parse(const char *who, const struct option_spec *own, const struct option_spec *global, int stop_at_words,
                   int argc, char **argv, int *ret_argc)
{
    struct reading r = {.who = who, .own = own, .global = global, .argc = argc, .argv = argv};
    int words = 0;
    bool ended = false;
    for (r.at = 0; r.at < argc; r.at++) {
        char *arg = argv[r.at];
        if (ended || arg[0] != '-' || arg[1] == 0) {
            argv[words++] = arg;
            ended = ended || (stop_at_words && words > stop_at_words);
            continue;
        }
        if (strcmp(arg, "--") == 0)
            ended = true;
        else if (!(arg[1] == '-' ? take_long(&r, arg) : take_letters(&r, arg)))
            return false;
    }
    argv[words] = NULL;
    *ret_argc = words;
    return true;
}

static bool takes_next(const struct option_spec *own, const struct option_spec *global, const char *arg)
{
    const struct option_spec *o;
    if (arg[1] == '-') {
        o = find_long(own, arg + 2, strlen(arg + 2));
        o = o ? o : find_long(global, arg + 2, strlen(arg + 2));
    } else {
        o = find_letter(own, arg[1]);
        o = o ? o : find_letter(global, arg[1]);
        if (arg[2])
            return false;
    }
    return o && o->kind != OPTION_FLAG;
}

const char *options_first_word(const struct option_spec *own, const struct option_spec *global, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || argv[i][1] == 0)
            return argv[i];
        i += takes_next(own, global, argv[i]);
    }
    return NULL;
}
