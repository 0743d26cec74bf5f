/* dotenv: NAME=value, a line each; values in quotes may have several lines. A name is the key in capitals, `__` for a slash, `_` for all
 * that a name cannot have. Where the key cannot be told from that, it stands in a comment before it: `# tenure: db-url`. */
#include <ctype.h>
#include <stdlib.h>

#include "lib/config_place.h"
#include "lib/config_text.h"

#define KEY_COMMENT "# tenure: "

enum { NAME_MAX_LEN = 2 * CONFIG_KEY_MAX + 1 };

/* ---- names ---- */

static void name_of(const char *key, char name[NAME_MAX_LEN + 1])
{
    size_t n = 0;
    if (isdigit((unsigned char)key[0]))
        name[n++] = '_';
    for (; *key && n + 2 < NAME_MAX_LEN; key++) {
        unsigned char c = (unsigned char)*key;
        if (c == '/')
            name[n++] = '_';
        name[n++] = c < 0x80 && isalnum(c) ? (char)toupper(c) : '_';
    }
    name[n] = 0;
}

static void key_of(bytes name, char key[NAME_MAX_LEN + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < name.len && n < NAME_MAX_LEN; i++) {
        bool is_slash = name.data[i] == '_' && i + 1 < name.len && name.data[i + 1] == '_';
        key[n++] = is_slash ? '/' : (char)tolower(name.data[i]);
        i += is_slash;
    }
    key[n] = 0;
}

/* ---- out ---- */

static bool is_plain(bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] >= 0x80 || (!isalnum(value.data[i]) && !strchr("_./:@%+,-=", value.data[i])))
            return false;
    return value.len > 0;
}

static void put_value(struct buf *b, bytes value)
{
    if (is_plain(value)) {
        buf_append_bytes(b, value);
        return;
    }
    buf_append_byte(b, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = (char)value.data[i];
        if (c == '\n' || c == '\r' || c == '\t')
            buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (strchr("\"\\$`", c))
            buf_printf(b, "\\%c", c);
        else
            buf_append_byte(b, (uint8_t)c);
    }
    buf_append_byte(b, '"');
}

struct named {
    const char *key;
    char *name;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int check_names(struct named *names, size_t n, struct tenure_error *err)
{
    if (n > 0)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1].name, names[i].name) == 0)
            return error_set(err, TENURE_EINVALID, "config: \"%.70s\" and \"%.70s\" would both be named %.60s",
                             names[i - 1].key, names[i].key, names[i].name);
    return 0;
}

static int put_entry(const struct tenure_config_entry *e, size_t skip, const char *name, struct buf *b,
                     struct tenure_error *err)
{
    char back[NAME_MAX_LEN + 1];
    const char *key = e->key + skip;
    bytes value = bytes_of(e->value, e->value_len);
    key_of(bytes_str(name), back);
    if (!config_is_text(value) || !config_is_text(bytes_str(key)) || strpbrk(key, "\r\n"))
        return error_set(err, TENURE_EINVALID, "config: \"%.100s\" is no UTF-8, or has a line's end in its name",
                         e->key);
    if (strcmp(back, key) != 0)
        buf_printf(b, KEY_COMMENT "%s\n", key);
    buf_printf(b, "%s=", name);
    put_value(b, value);
    buf_append_byte(b, '\n');
    return 0;
}

int config_dotenv_write(const struct tenure_config_list *list, size_t skip, struct buf *b, struct tenure_error *err)
{
    struct arena a;
    char name[NAME_MAX_LEN + 1];
    int rc = 0;
    arena_init(&a, 0);
    struct named *names = arena_array(&a, list->n + 1, sizeof *names);
    for (size_t i = 0; names && rc == 0 && i < list->n; i++) {
        name_of(list->entries[i].key + skip, name);
        names[i] = (struct named){list->entries[i].key, arena_strdup(&a, name)};
        rc = names[i].name ? put_entry(&list->entries[i], skip, name, b, err) : TENURE_ENOMEM;
    }
    if (!names || rc == TENURE_ENOMEM)
        rc = error_set(err, TENURE_ENOMEM, "config: out of memory");
    rc = rc ? rc : check_names(names, list->n, err);
    arena_fini(&a);
    return rc;
}

/* ---- in ---- */

struct reader {
    const char *at, *end;
    size_t line;
    struct buf value;
    struct tenure_error *err;
};

static int fail(struct reader *r, size_t line, const char *what)
{
    return error_set(r->err, TENURE_EINVALID, "config: line %zu: %s", line, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

static bytes whole_line(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at != '\n')
        r->at++;
    size_t len = (size_t)(r->at - from);
    r->line += r->at < r->end;
    r->at += r->at < r->end;
    return bytes_of(from, len);
}

static bytes rest_of_line(struct reader *r)
{
    bytes line = whole_line(r);
    while (line.len > 0 && memchr(" \t\r", line.data[line.len - 1], 3))
        line.len--;
    return line;
}

static void put_escaped(struct reader *r)
{
    char c = ++r->at < r->end ? *r->at : '\\';
    if (c == 'n' || c == 'r' || c == 't')
        buf_append_byte(&r->value, c == 'n' ? '\n' : c == 'r' ? '\r' : '\t');
    else if (strchr("\"\\$`", c))
        buf_append_byte(&r->value, (uint8_t)c);
    else
        buf_printf(&r->value, "\\%c", c);
}

static int read_quoted(struct reader *r)
{
    size_t line = r->line;
    char quote = *r->at++;
    for (; r->at < r->end && *r->at != quote; r->at++) {
        r->line += *r->at == '\n';
        if (*r->at == '\\' && quote == '"')
            put_escaped(r);
        else
            buf_append_byte(&r->value, (uint8_t)*r->at);
        if (r->at == r->end)
            break;
    }
    if (r->at >= r->end)
        return fail(r, line, "a quote without an end");
    r->at++;
    line = r->line;
    bytes rest = rest_of_line(r);
    size_t blank = 0;
    while (blank < rest.len && (rest.data[blank] == ' ' || rest.data[blank] == '\t'))
        blank++;
    return blank == rest.len || rest.data[blank] == '#' ? 0 : fail(r, line, "there is more behind the quote");
}

static void read_bare(struct reader *r)
{
    bytes rest = rest_of_line(r);
    size_t len = 0;
    while (len < rest.len && !(rest.data[len] == '#' && (len == 0 || strchr(" \t", rest.data[len - 1]))))
        len++;
    while (len > 0 && strchr(" \t", rest.data[len - 1]))
        len--;
    buf_append(&r->value, rest.data, len);
}

static int read_name(struct reader *r, bytes *ret)
{
    if (r->end - r->at > 7 && strncmp(r->at, "export ", 7) == 0)
        r->at += 7;
    skip_blanks(r);
    const char *from = r->at;
    while (r->at < r->end && (isalnum((unsigned char)*r->at) || (*r->at && strchr("_.-", *r->at))))
        r->at++;
    *ret = bytes_of(from, (size_t)(r->at - from));
    skip_blanks(r);
    if (ret->len == 0 || ret->len > CONFIG_KEY_MAX || r->at == r->end || *r->at != '=')
        return fail(r, r->line, "no NAME=value");
    r->at++;
    skip_blanks(r);
    return 0;
}

/* key: what a comment said; empty = by the name. */
static int read_pair(struct reader *r, const char *front, bytes key, struct config_pairs *p)
{
    char own[NAME_MAX_LEN + 1];
    bytes name;
    int rc = read_name(r, &name);
    if (rc)
        return rc;
    buf_reset(&r->value);
    if (r->at < r->end && (*r->at == '"' || *r->at == '\''))
        rc = read_quoted(r);
    else
        read_bare(r);
    key_of(name, own);
    if (rc == 0 && buf_error(&r->value))
        rc = error_set(r->err, TENURE_ENOMEM, "config: out of memory");
    return rc ? rc : config_pairs_add(p, front, key.len ? key : bytes_str(own), buf_bytes(&r->value), r->err);
}

int config_dotenv_read(const char *text, size_t len, const char *front, struct config_pairs *p,
                       struct tenure_error *err)
{
    struct reader r = {.at = text, .end = text + len, .line = 1, .err = err};
    bytes key = bytes_str("");
    int rc = 0;
    buf_init(&r.value);
    while (rc == 0 && r.at < r.end) {
        skip_blanks(&r);
        if (r.at < r.end && *r.at != '#' && *r.at != '\n' && *r.at != '\r') {
            rc = read_pair(&r, front, key, p);
            key = bytes_str("");
            continue;
        }
        bytes line = whole_line(&r); /* a key may end with a blank */
        line.len -= line.len > 0 && line.data[line.len - 1] == '\r';
        if (bytes_has_prefix(line, bytes_str(KEY_COMMENT)))
            key = bytes_of(line.data + strlen(KEY_COMMENT), line.len - strlen(KEY_COMMENT));
    }
    buf_fini(&r.value);
    return rc;
}
