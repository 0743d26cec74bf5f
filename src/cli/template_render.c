/* Walks the tokens with a stack of what sections have opened. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/template.h"

struct frame {
    json_t *value;
    const char *key; /* of the entry that a section has come to; NULL */
    const struct frame *up;
};

struct render {
    const struct template_options *o;
    const char *name; /* of the text that is walked now: a partial has its own */
    struct buf *out;
    json_t *looked_into; /* what was parsed out of strings, by their address */
    size_t depth, work;
    struct tenure_error *err;
};

static int walk(struct render *r, const struct template_tokens *t, size_t from, size_t to, const struct frame *top);

#define NAME_CUT(b) (int)((b).len > 80 ? 80 : (b).len), (const char *)(b).data

/* ---- looking things up ---- */

/* What a string holds when that is a JSON object or array, else the value itself. */
static json_t *look_into(struct render *r, json_t *v)
{
    char address[32];
    const char *s = json_string_value(v);
    char first = s ? s[strspn(s, " \t\r\n")] : 0;
    if (first != '{' && first != '[')
        return v;
    snprintf(address, sizeof address, "%p", (void *)v);
    json_t *known = json_object_get(r->looked_into, address);
    if (known)
        return json_is_null(known) ? v : known;
    json_t *parsed = json_loadb(json_string_value(v), json_string_length(v), JSON_REJECT_DUPLICATES, NULL);
    json_object_set_new(r->looked_into, address, parsed ? parsed : json_null());
    return parsed ? parsed : v;
}

static json_t *entry(struct render *r, json_t *of, bytes name)
{
    json_t *o = look_into(r, of);
    return json_is_object(o) ? json_object_getn(o, (const char *)name.data, name.len) : NULL;
}

/* The first part of a path; the rest remains in it. */
static bytes cut_part(bytes *path, char separator)
{
    const uint8_t *hit = memchr(path->data, separator, path->len);
    bytes first = hit ? bytes_of(path->data, (size_t)(hit - path->data)) : *path;
    *path = hit ? bytes_of(hit + 1, path->len - first.len - 1) : bytes_of(NULL, 0);
    return first;
}

/* The innermost value that has the first part of the name decides, as the mustache has it: what it lacks is missing. */
static json_t *look_up(struct render *r, const struct frame *top, bytes name)
{
    char separator = memchr(name.data, '/', name.len) ? '/' : '.';
    bytes rest = name, first;
    json_t *v = NULL;
    if (bytes_equal(name, bytes_str(".")))
        return top->value;
    first = cut_part(&rest, separator);
    if (bytes_equal(first, bytes_str(".")))
        v = top->value;
    for (const struct frame *f = top; f && !v; f = f->up)
        v = entry(r, f->value, first);
    while (v && rest.len) {
        first = cut_part(&rest, separator);
        v = entry(r, v, first);
    }
    return v;
}

static const char *current_key(const struct frame *top)
{
    for (const struct frame *f = top; f; f = f->up)
        if (f->key)
            return f->key;
    return NULL;
}

static bool is_false_word(const char *s)
{
    static const char *const words[] = {"", "false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool is_falsy(const json_t *v)
{
    if (!v || json_is_null(v) || json_is_false(v))
        return true;
    if (json_is_array(v))
        return json_array_size(v) == 0;
    return json_is_string(v) && is_false_word(json_string_value(v));
}

/* ---- values ---- */

static void put_escaped(struct buf *out, enum template_escape how, bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.data[i];
        const char *as = NULL;
        if (how == TEMPLATE_HTML)
            as = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : NULL;
        else if (how == TEMPLATE_SHELL)
            as = c == '\'' ? "'\\''" : NULL;
        else if (how == TEMPLATE_JSON)
            as = c == '"'    ? "\\\""
                 : c == '\\' ? "\\\\"
                 : c == '\n' ? "\\n"
                 : c == '\t' ? "\\t"
                 : c == '\r' ? "\\r"
                             : NULL;
        if (as)
            buf_append(out, as, strlen(as));
        else if (how == TEMPLATE_JSON && c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_append_byte(out, c);
    }
}

/* The shortest that reads back as the same number. */
static void put_real(struct buf *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_append(out, text, strlen(text));
}

static int append_dump(const char *data, size_t len, void *user)
{
    struct buf *b = user;
    buf_append(b, data, len);
    return buf_error(b) == 0 ? 0 : -1;
}

static void put_plain(struct buf *out, const json_t *v)
{
    const json_t *own = json_is_object(v) ? json_object_get(v, "") : NULL; /* of a key that has others below it */
    if (json_is_string(own))
        v = own;
    if (json_is_string(v))
        buf_append(out, json_string_value(v), json_string_length(v));
    else if (json_is_integer(v))
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        put_real(out, json_real_value(v));
    else if (json_is_boolean(v))
        buf_append_bytes(out, bytes_str(json_is_true(v) ? "true" : "false"));
    else if (!json_is_null(v) && json_dump_callback(v, append_dump, out, JSON_COMPACT) < 0 && !buf_error(out))
        out->error = TENURE_ENOMEM;
}

static int put_value(struct render *r, const struct template_token *t, const struct frame *top)
{
    struct buf text;
    bool is_key = bytes_equal(t->text, bytes_str("*"));
    const char *key = is_key ? current_key(top) : NULL;
    json_t *v = is_key ? NULL : look_up(r, top, t->text);
    bool missing = is_key ? !key : !v, empty = !is_key && json_is_string(v) && json_string_length(v) == 0;
    if (missing && !t->has_fallback && !r->o->lenient)
        return error_set(r->err, TENURE_ENOTFOUND,
                         "%s:%zu: there is no '%.*s'; where it may be missing, give a default: {{%.*s:-VALUE}}",
                         r->name, t->line, NAME_CUT(t->text), NAME_CUT(t->text));
    buf_init(&text);
    if ((missing || empty) && t->has_fallback)
        buf_append_bytes(&text, t->fallback);
    else if (is_key && key)
        buf_append_bytes(&text, bytes_str(key));
    else if (v)
        put_plain(&text, v);
    int rc = buf_error(&text);
    if (rc == 0)
        put_escaped(r->out, t->plain ? TEMPLATE_PLAIN : r->o->escape, buf_bytes(&text));
    buf_fini(&text);
    return rc < 0 ? error_set(r->err, rc, "%s:%zu: out of memory", r->name, t->line) : 0;
}

/* ---- sections and partials ---- */

static int deeper(struct render *r, const struct template_token *t)
{
    if (r->depth++ < TEMPLATE_DEPTH_MAX)
        return 0;
    return error_set(r->err, TENURE_ELIMIT, "%s:%zu: '%.*s' is more than %d deep", r->name, t->line, NAME_CUT(t->text),
                     TEMPLATE_DEPTH_MAX);
}

/* Without the end that asks for each entry: a star behind a dot or a slash. */
static bool cut_each(bytes *name)
{
    bool each = name->len > 2 && name->data[name->len - 1] == '*' &&
                (name->data[name->len - 2] == '.' || name->data[name->len - 2] == '/');
    if (each)
        name->len -= 2;
    return each;
}

static int each_entry(struct render *r, const struct template_tokens *all, size_t at, json_t *object,
                      const struct frame *top)
{
    const char *key;
    json_t *v;
    json_object_foreach(object, key, v)
    {
        struct frame f = {.value = v, .key = key, .up = top};
        int rc = *key ? walk(r, all, at + 1, all->all[at].end, &f) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int section(struct render *r, const struct template_tokens *all, size_t at, const struct frame *top)
{
    const struct template_token *t = &all->all[at];
    bytes name = t->text;
    bool each = cut_each(&name);
    json_t *found = look_up(r, top, name), *v = found ? look_into(r, found) : NULL;
    bool falsy = is_falsy(v) || (each && !json_is_object(v));
    if (t->kind == TAG_INVERTED)
        return falsy ? walk(r, all, at + 1, t->end, top) : 0;
    if (falsy)
        return 0;
    if (each)
        return each_entry(r, all, at, v, top);
    if (!json_is_array(v)) {
        struct frame f = {.value = v, .up = top};
        return walk(r, all, at + 1, t->end, &f);
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        struct frame f = {.value = json_array_get(v, i), .up = top};
        int rc = walk(r, all, at + 1, t->end, &f);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The text with the indentation before each of its lines. */
static void indented(struct buf *out, bytes text, bytes indent)
{
    bool at_line = true;
    for (size_t i = 0; i < text.len; i++) {
        if (at_line)
            buf_append_bytes(out, indent);
        at_line = text.data[i] == '\n';
        buf_append_byte(out, text.data[i]);
    }
}

static int walk_text(struct render *r, bytes text, const char *name, const struct frame *top)
{
    struct template_tokens t;
    const char *outer = r->name;
    int rc = template_parse(text, name, &t, r->err);
    if (rc < 0)
        return rc;
    r->name = name;
    rc = walk(r, &t, 0, t.n, top);
    r->name = outer;
    template_tokens_fini(&t);
    return rc;
}

/* A template that takes itself in twice would double with each level. */
static int work(struct render *r, size_t more)
{
    r->work += more;
    return r->work <= TEMPLATE_WORK_MAX ? 0 : error_set(r->err, TENURE_ELIMIT, "%s: it comes to no end", r->name);
}

static int partial(struct render *r, const struct template_token *t, const struct frame *top)
{
    char name[256];
    struct buf text, shifted;
    if (t->text.len >= sizeof name)
        return error_set(r->err, TENURE_EINVALID, "%s:%zu: the name of a partial is longer than %zu bytes", r->name,
                         t->line, sizeof name - 1);
    memcpy(name, t->text.data, t->text.len);
    name[t->text.len] = 0;
    buf_init(&text);
    buf_init(&shifted);
    text.len_max = shifted.len_max = r->out->len_max;
    int rc = r->o->load ? r->o->load(r->o->user, name, &text, r->err)
                        : error_set(r->err, TENURE_ENOTFOUND, "there is no partial '%s'", name);
    if (rc == TENURE_ENOTFOUND && r->o->lenient)
        rc = 0;
    else if (rc < 0)
        error_wrap(r->err, "%s:%zu", r->name, t->line);
    if (rc == 0)
        rc = work(r, text.len / 16);
    if (rc == 0)
        indented(&shifted, buf_bytes(&text), t->indent);
    if (rc == 0 && (rc = buf_error(&shifted)) < 0)
        error_set(r->err, rc, "%s: too large", name);
    if (rc == 0)
        rc = walk_text(r, buf_bytes(&shifted), name, top);
    buf_fini(&text);
    buf_fini(&shifted);
    return rc;
}

static int one(struct render *r, const struct template_tokens *all, size_t at, const struct frame *top)
{
    const struct template_token *t = &all->all[at];
    switch (t->kind) {
    case TAG_TEXT:
        buf_append_bytes(r->out, t->text);
        return 0;
    case TAG_VALUE:
        return put_value(r, t, top);
    case TAG_SECTION:
    case TAG_INVERTED:
    case TAG_PARTIAL: {
        int rc = deeper(r, t);
        if (rc == 0)
            rc = t->kind == TAG_PARTIAL ? partial(r, t, top) : section(r, all, at, top);
        r->depth--;
        return rc;
    }
    case TAG_END:
        return 0;
    }
    return 0;
}

static int walk(struct render *r, const struct template_tokens *t, size_t from, size_t to, const struct frame *top)
{
    for (size_t i = from; i < to; i++) {
        int rc = work(r, 1);
        if (rc == 0)
            rc = one(r, t, i, top);
        if (rc < 0)
            return rc;
        if ((rc = buf_error(r->out)) < 0)
            return error_set(r->err, rc, "%s: what comes out is too large", r->name);
        if (t->all[i].kind == TAG_SECTION || t->all[i].kind == TAG_INVERTED)
            i = t->all[i].end;
    }
    return 0;
}

int template_render(bytes text, json_t *data, const struct template_options *o, struct buf *out,
                    struct tenure_error *err)
{
    struct frame top = {.value = data};
    struct render r = {.o = o, .name = o->name, .out = out, .looked_into = json_object(), .err = err};
    if (!r.looked_into)
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", o->name);
    int rc = walk_text(&r, text, o->name, &top);
    json_decref(r.looked_into);
    return rc;
}
