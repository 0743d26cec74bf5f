/* Command line and environment of `tenure serve`, in the syntax of Go's flag package: -name and --name are the same, a bool
 * takes its value only behind '=', "--" and the first word end the flags (and a word is one too many).
 *
 * Each flag is set by one function, wherever it comes from: the kind is checked there, and what a flag that is refused asks
 * for.
 */
#include "cli/serve_flags.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static const struct {
    const char *name;
    double ms;
} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3},  {"ms", 1},
             {"s", 1000},  {"m", 60e3},  {"h", 3600e3}, {"d", 86400e3}};

/* Moves *text behind the unit; 0 = none. */
static double unit_at(const char **text)
{
    size_t best = 0;
    double ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t len = strlen(units[i].name);
        if (len > best && strncmp(*text, units[i].name, len) == 0) {
            best = len;
            ms = units[i].ms;
        }
    }
    *text += best;
    return ms;
}

bool serve_duration_parse(const char *text, int64_t bare_ms, int64_t *ret_ms)
{
    double sum = 0;
    const char *p = text;
    do {
        char number[40], *end;
        size_t len = strspn(p, "0123456789.");
        if (len == 0 || len >= sizeof number)
            return false;
        memcpy(number, p, len);
        number[len] = 0;
        double v = strtod(number, &end);
        if (*end)
            return false;
        p += len;
        double unit = unit_at(&p);
        if (unit == 0 && *p == 0 && (v == 0 || bare_ms))
            unit = bare_ms ? (double)bare_ms : 1;
        sum += v * unit;
        if (unit == 0 || !isfinite(sum) || sum > 9e15)
            return false;
    } while (*p);
    *ret_ms = (int64_t)(sum + 0.5);
    return true;
}

/* strconv.ParseBool's words. */
static bool parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        *ret = strcmp(text, yes[i]) == 0;
        if (*ret || strcmp(text, no[i]) == 0)
            return true;
    }
    return false;
}

static bool parse_int(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 0);
    return end != text && !*end && !errno && text[0] != ' ';
}

static bool parse_seconds(const char *text, int64_t *ret)
{
    int64_t ms;
    if (!serve_duration_parse(text, 1000, &ms) || ms % 1000 != 0)
        return false;
    *ret = ms / 1000;
    return true;
}

/* Writes it to target (may be NULL: only checks). What was expected, or NULL. */
static const char *take_value(enum flag_kind kind, const char *text, void *target)
{
    bool flag;
    int64_t number;
    switch (kind) {
    case FLAG_BOOL:
        if (!parse_bool(text, &flag))
            return "true or false";
        if (target)
            *(bool *)target = flag;
        return NULL;
    case FLAG_STRING:
        if (target)
            *(const char **)target = *text ? text : NULL;
        return NULL;
    case FLAG_INT:
        if (!parse_int(text, &number))
            return "a whole number";
        break;
    case FLAG_DURATION:
        if (!serve_duration_parse(text, 1000, &number))
            return "a duration such as 500ms, 10s, 5m or 1h30m";
        break;
    case FLAG_SECONDS:
        if (!parse_seconds(text, &number))
            return "a number of whole seconds";
        break;
    }
    if (target)
        *(int64_t *)target = number;
    return NULL;
}

/* ---- one flag ---- */

static bool does_something(const struct flag *f)
{
    return f->standing == FLAG_SAME || f->standing == FLAG_BETTER || f->standing == FLAG_OWN;
}

static void *target_of(struct serve_flags *f, const struct flag *flag)
{
    return does_something(flag) ? (char *)&f->o + flag->offset : NULL;
}

/* The secret of a flag that is refused is not shown. */
int serve_flags_set(struct serve_flags *f, const struct flag *flag, const char *value, enum flag_source source,
                    struct tenure_error *err)
{
    f->source[flag - serve_flags] = (uint8_t)source;
    if (flag->standing == FLAG_REFUSED && !serve_flag_is_harmless(flag, value))
        return error_set(err, TENURE_EINVALID, "--%s is not for this server: %s", flag->name, flag->text);
    const char *expected = take_value(flag->kind, value, target_of(f, flag));
    if (!expected)
        return 0;
    return error_set(err, TENURE_EINVALID, "option --%s: '%.80s' is not %s", flag->name, value, expected);
}

/* ---- the command line ---- */

struct line {
    struct serve_flags *f;
    int argc, at;
    char *const *argv;
};

static int take_flag(struct line *l, const char *name, struct tenure_error *err)
{
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct flag *flag = strcmp(name, "h") == 0 ? serve_flag_find("help", 4) : serve_flag_find(name, len);
    if (!flag)
        return error_set(err, TENURE_EINVALID, "unknown option --%.*s", (int)(len < 80 ? len : 80), name);
    const char *value = equals ? equals + 1 : flag->kind == FLAG_BOOL ? "true" : NULL;
    if (!value && l->at + 1 >= l->argc)
        return error_set(err, TENURE_EINVALID, "option --%s needs a value", flag->name);
    if (!value)
        value = l->argv[++l->at];
    return serve_flags_set(l->f, flag, value, FLAG_FROM_LINE, err);
}

static int read_line(struct serve_flags *f, int argc, char *const *argv, struct tenure_error *err)
{
    struct line l = {.f = f, .argc = argc, .argv = argv};
    for (; l.at < argc; l.at++) {
        const char *arg = argv[l.at];
        if (strcmp(arg, "--") == 0 && ++l.at == argc)
            return 0;
        if (arg[0] != '-' || !arg[1] || strcmp(arg, "--") == 0)
            return error_set(err, TENURE_EINVALID, "takes no arguments, got '%.80s'", argv[l.at]);
        int rc = take_flag(&l, arg + (arg[1] == '-' ? 2 : 1), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the environment ---- */

#define ENV_BEGIN "ETCD_"

const char *serve_flag_variable(const struct flag *flag, char *out, size_t size)
{
    snprintf(out, size, ENV_BEGIN "%s", flag->name);
    for (char *p = out; *p; p++)
        *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    return out;
}

/* "ETCD_DATA_DIR" -> data-dir */
static const struct flag *flag_of_variable(const char *variable, size_t len)
{
    char name[80];
    len -= strlen(ENV_BEGIN);
    if (len >= sizeof name)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        char c = variable[strlen(ENV_BEGIN) + i];
        name[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : '?';
    }
    return serve_flag_find(name, len);
}

static int take_variable(struct serve_flags *f, const char *variable, struct tenure_error *err)
{
    const char *equals = strchr(variable, '=');
    if (!equals || !equals[1])
        return 0; /* an empty one is none, as in etcd */
    const struct flag *flag = flag_of_variable(variable, (size_t)(equals - variable));
    if (!flag) {
        if (f->n_unknown < SERVE_UNKNOWN_MAX)
            f->unknown[f->n_unknown++] = variable;
        return 0;
    }
    if (f->source[flag - serve_flags] != FLAG_DEFAULT) {
        f->shadowed[flag - serve_flags] = true;
        return 0;
    }
    int rc = serve_flags_set(f, flag, equals + 1, FLAG_FROM_ENV, err);
    return rc < 0 ? error_wrap(err, "environment, %.*s", (int)(equals - variable), variable) : 0;
}

static int read_environment(struct serve_flags *f, char *const *env, struct tenure_error *err)
{
    for (; *env; env++) {
        int rc = strncmp(*env, ENV_BEGIN, strlen(ENV_BEGIN)) == 0 ? take_variable(f, *env, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- all together ---- */

void serve_flags_init(struct serve_flags *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->text, 0);
    f->o.ping_ms = 2 * 3600 * 1000;
    f->o.ping_timeout_ms = 20 * 1000;
    f->o.gateway = true;
}

void serve_flags_fini(struct serve_flags *f)
{
    arena_fini(&f->text);
}

static size_t size_of(enum flag_kind kind)
{
    return kind == FLAG_BOOL ? sizeof(bool) : kind == FLAG_STRING ? sizeof(const char *) : sizeof(int64_t);
}

/* A file makes everything else count for nothing, but for what etcd does not know: that cannot stand in a file of etcd's. */
static int read_file(struct serve_flags *f, struct tenure_error *err)
{
    struct serve_flags given = *f;
    serve_flags_init(f);
    memcpy(f->unknown, given.unknown, sizeof f->unknown);
    f->n_unknown = given.n_unknown;
    int rc = serve_yaml_read(f, given.o.config_file, err);
    for (size_t i = 0; i < serve_flags_n; i++) {
        const struct flag *flag = &serve_flags[i];
        if (given.source[i] == FLAG_DEFAULT)
            continue;
        if (flag->standing == FLAG_OWN) {
            memcpy(target_of(f, flag), target_of(&given, flag), size_of(flag->kind));
            f->source[i] = given.source[i];
        } else {
            f->shadowed[i] = strcmp(flag->name, "config-file") != 0;
        }
    }
    f->o.config_file = given.o.config_file;
    return rc;
}

int serve_flags_read(struct serve_flags *f, int argc, char *const *argv, char *const *env, struct tenure_error *err)
{
    int rc = read_line(f, argc, argv, err);
    if (rc == 0 && (f->o.help || f->o.version))
        return 0;
    if (rc == 0)
        rc = read_environment(f, env, err);
    if (rc == 0 && f->o.config_file)
        rc = read_file(f, err);
    return rc;
}
