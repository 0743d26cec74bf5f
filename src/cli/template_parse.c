/* From text to a flat list of tokens in which each section knows its end. A tag that stands alone on its line takes the line
 * with it, as the mustache's specification wants. One pass. */
#include <stdlib.h>

#include "cli/template.h"

#define DELIMITER_MAX 16

struct parser {
    const char *text;
    size_t len, at;
    size_t line;       /* of `counted` */
    size_t counted;    /* up to where lines were counted */
    size_t text_from;  /* what is not in a token yet begins here */
    bytes open, close; /* the delimiters, within the text or constant */
    const char *name;
    struct template_tokens *out;
    size_t sections[TEMPLATE_DEPTH_MAX]; /* the open ones, as indices of tokens */
    size_t depth;
    struct tenure_error *err;
};

static size_t line_at(struct parser *p, size_t at)
{
    for (; p->counted < at; p->counted++)
        p->line += p->text[p->counted] == '\n';
    return p->line;
}

static int wrong(struct parser *p, size_t at, const char *what, bytes name)
{
    int n = name.len > 80 ? 80 : (int)name.len;
    return error_set(p->err, TENURE_EINVALID, "%s:%zu: %s%s%.*s%s", p->name, line_at(p, at), what, n ? " '" : "", n,
                     n ? (const char *)name.data : "", n ? "'" : "");
}

static bytes part(const struct parser *p, size_t from, size_t to)
{
    return bytes_of(p->text + from, to > from ? to - from : 0);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\n' || c == '\r';
}

static bytes trimmed(bytes b)
{
    while (b.len && is_space((char)b.data[0]))
        b = bytes_of(b.data + 1, b.len - 1);
    while (b.len && is_space((char)b.data[b.len - 1]))
        b.len--;
    return b;
}

/* Where `what` begins, at or behind from; p->len when nowhere. */
static size_t find(const struct parser *p, size_t from, bytes what)
{
    const void *hit = from <= p->len ? memmem(p->text + from, p->len - from, what.data, what.len) : NULL;
    return hit ? (size_t)((const char *)hit - p->text) : p->len;
}

/* ---- tokens ---- */

static struct template_token *add(struct parser *p, enum template_kind kind, bytes text, size_t at)
{
    struct template_tokens *t = p->out;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 32;
        struct template_token *all = realloc(t->all, cap * sizeof *all);
        if (!all) {
            error_set(p->err, TENURE_ENOMEM, "%s: out of memory", p->name);
            return NULL;
        }
        t->all = all;
        t->cap = cap;
    }
    t->all[t->n] = (struct template_token){.kind = kind, .text = text, .line = line_at(p, at)};
    return &t->all[t->n++];
}

static int add_text(struct parser *p, size_t to)
{
    if (to > p->text_from && !add(p, TAG_TEXT, part(p, p->text_from, to), p->text_from))
        return TENURE_ENOMEM;
    return 0;
}

/* "name:-default", with the default perhaps in double quotes. */
static void split_fallback(struct template_token *t)
{
    const uint8_t *mark = memmem(t->text.data, t->text.len, ":-", 2);
    if (!mark)
        return;
    size_t at = (size_t)(mark - t->text.data);
    bytes v = trimmed(bytes_of(mark + 2, t->text.len - at - 2));
    if (v.len >= 2 && v.data[0] == '"' && v.data[v.len - 1] == '"')
        v = bytes_of(v.data + 1, v.len - 2);
    t->fallback = v;
    t->has_fallback = true;
    t->text = trimmed(bytes_of(t->text.data, at));
}

static int open_section(struct parser *p, enum template_kind kind, bytes name, size_t at)
{
    if (p->depth == TEMPLATE_DEPTH_MAX)
        return error_set(p->err, TENURE_ELIMIT, "%s:%zu: more than %d sections in one another", p->name, line_at(p, at),
                         TEMPLATE_DEPTH_MAX);
    if (!add(p, kind, name, at))
        return TENURE_ENOMEM;
    p->sections[p->depth++] = p->out->n - 1;
    return 0;
}

static int close_section(struct parser *p, bytes name, size_t at)
{
    struct template_token *opened = p->depth ? &p->out->all[p->sections[p->depth - 1]] : NULL;
    if (!opened || !bytes_equal(opened->text, name))
        return wrong(p, at, opened ? "this ends no section, the open one is" : "this ends no section:",
                     opened ? opened->text : name);
    p->depth--;
    opened->end = p->out->n;
    return add(p, TAG_END, name, at) ? 0 : TENURE_ENOMEM;
}

static int set_delimiters(struct parser *p, bytes inside, size_t at)
{
    bytes b = trimmed(inside);
    size_t first = 0, last = b.len;
    while (first < b.len && !is_space((char)b.data[first]))
        first++;
    while (last > 0 && !is_space((char)b.data[last - 1]))
        last--;
    bytes open = bytes_of(b.data, first), close = bytes_of(b.data + last, b.len - last);
    if (!open.len || first >= last || !close.len || open.len > DELIMITER_MAX || close.len > DELIMITER_MAX ||
        memchr(b.data, '=', b.len))
        return wrong(p, at, "expected two new delimiters, as in {{=<% %>=}}, got", b);
    p->open = open;
    p->close = close;
    return 0;
}

static int add_value(struct parser *p, bytes name, bool plain, size_t at)
{
    struct template_token *t = add(p, TAG_VALUE, name, at);
    if (!t)
        return TENURE_ENOMEM;
    t->plain = plain;
    split_fallback(t);
    return t->text.len ? 0 : wrong(p, at, "a tag without a name", name);
}

/* ---- tags ---- */

struct tag {
    char sigil;        /* # ^ / > & { = ! or 0 */
    size_t at, behind; /* the tag with its delimiters */
    bytes inside;      /* between them, without the sigil */
};

static int read_tag(struct parser *p, struct tag *t)
{
    size_t from = t->at + p->open.len;
    bytes close = p->close;
    uint8_t own[DELIMITER_MAX + 1];
    while (from < p->len && is_space(p->text[from]) && p->text[from] != '\n')
        from++; /* "{{ #x }}" is written by many */
    t->sigil = from < p->len && memchr("#^/>&{=!", p->text[from], 8) ? p->text[from] : 0;
    from += t->sigil != 0;
    if (t->sigil == '{' || t->sigil == '=') { /* "}}}" and "=}}" */
        own[0] = t->sigil == '{' ? '}' : '=';
        memcpy(own + 1, close.data, close.len);
        close = bytes_of(own, close.len + 1);
    }
    size_t end = find(p, from, close);
    if (end == p->len)
        return wrong(p, t->at, "this tag is not closed:", part(p, t->at, t->at + 40 < p->len ? t->at + 40 : p->len));
    t->inside = part(p, from, end);
    t->behind = end + close.len;
    return 0;
}

/* Whether nothing but blanks is beside it on its lines; then *ret_from and *ret_to take the whole of them. */
static bool stands_alone(const struct parser *p, const struct tag *t, size_t *ret_from, size_t *ret_to)
{
    size_t from = t->at, to = t->behind;
    while (from > 0 && is_blank(p->text[from - 1]))
        from--;
    while (to < p->len && is_blank(p->text[to]))
        to++;
    if (to + 1 < p->len && p->text[to] == '\r' && p->text[to + 1] == '\n')
        to++;
    if ((from > 0 && p->text[from - 1] != '\n') || (to < p->len && p->text[to] != '\n'))
        return false;
    *ret_from = from;
    *ret_to = to + (to < p->len);
    return true;
}

static int take_tag(struct parser *p, const struct tag *t, bytes indent)
{
    bytes name = trimmed(t->inside);
    if (t->sigil == '!')
        return 0;
    if (t->sigil == '=')
        return set_delimiters(p, t->inside, t->at);
    if (!name.len)
        return wrong(p, t->at, "a tag without a name", name);
    switch (t->sigil) {
    case '#':
        return open_section(p, TAG_SECTION, name, t->at);
    case '^':
        return open_section(p, TAG_INVERTED, name, t->at);
    case '/':
        return close_section(p, name, t->at);
    case '>': {
        struct template_token *partial = add(p, TAG_PARTIAL, name, t->at);
        if (partial)
            partial->indent = indent;
        return partial ? 0 : TENURE_ENOMEM;
    }
    default:
        return add_value(p, name, t->sigil != 0, t->at);
    }
}

static int one(struct parser *p)
{
    struct tag t = {.at = find(p, p->at, p->open)};
    size_t from = t.at, to;
    int rc;
    if (t.at == p->len) {
        p->at = p->len;
        return add_text(p, p->len);
    }
    if ((rc = read_tag(p, &t)) < 0)
        return rc;
    to = t.behind;
    bool may_stand_alone = t.sigil && t.sigil != '&' && t.sigil != '{';
    bytes indent = {NULL, 0};
    if (may_stand_alone && stands_alone(p, &t, &from, &to))
        indent = part(p, from, t.at);
    if ((rc = add_text(p, from)) < 0 || (rc = take_tag(p, &t, indent)) < 0)
        return rc;
    p->at = p->text_from = to;
    return 0;
}

int template_parse(bytes text, const char *name, struct template_tokens *ret, struct tenure_error *err)
{
    struct parser p = {.text = (const char *)text.data,
                       .len = text.len,
                       .line = 1,
                       .open = bytes_str("{{"),
                       .close = bytes_str("}}"),
                       .name = name,
                       .out = ret,
                       .err = err};
    int rc = 0;
    *ret = (struct template_tokens){0};
    while (rc == 0 && p.at < p.len)
        rc = one(&p);
    if (rc == 0 && p.depth) {
        const struct template_token *opened = &ret->all[p.sections[p.depth - 1]];
        rc = error_set(err, TENURE_EINVALID, "%s:%zu: the section '%.*s' is not ended", name, opened->line,
                       (int)(opened->text.len > 80 ? 80 : opened->text.len), (const char *)opened->text.data);
    }
    if (rc < 0)
        template_tokens_fini(ret);
    return rc;
}

void template_tokens_fini(struct template_tokens *t)
{
    free(t->all);
    *t = (struct template_tokens){0};
}
