#include "cli/table.h"

#include <stdint.h>
#include <string.h>

#define GAP      "  "
#define ELLIPSIS "\xe2\x80\xa6"
#define BOLD     "\033[1m"
#define PLAIN    "\033[0m"

void table_init(struct table *t, size_t columns)
{
    *t = (struct table){.columns = columns < TABLE_COLUMNS_MAX ? columns : TABLE_COLUMNS_MAX};
    buf_init(&t->text);
}

void table_fini(struct table *t)
{
    buf_fini(&t->text);
}

/* ---- characters ---- */

struct range {
    uint32_t from, to;
};

/* Wide in every terminal: CJK, Hangul, full-width forms, emoji. */
static const struct range wide[] = {{0x1100, 0x115f},  {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97f},
                                    {0xac00, 0xd7a3},  {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                    {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
                                    {0x20000, 0x3fffd}};
static const struct range combining[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                                         {0x64b, 0x65f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
                                         {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};

static bool within(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n && c >= ranges[i].from; i++)
        if (c <= ranges[i].to)
            return true;
    return false;
}

/* The character at the beginning, of ret_len bytes; a byte that is part of none stands for itself. */
static uint32_t character(const unsigned char *p, size_t len, size_t *ret_len)
{
    size_t more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more == 3 ? p[0] & 7u : more == 2 ? p[0] & 15u : more == 1 ? p[0] & 31u : p[0];
    *ret_len = 1;
    if (more >= len)
        return p[0];
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return p[0];
        c = c << 6 | (p[i] & 63u);
    }
    *ret_len = more + 1;
    return c;
}

static size_t character_width(uint32_t c)
{
    return within(c, combining, sizeof combining / sizeof *combining) ? 0
           : within(c, wide, sizeof wide / sizeof *wide)              ? 2
                                                                      : 1;
}

size_t table_width(const char *text, size_t len)
{
    size_t width = 0, n;
    for (size_t at = 0; at < len; at += n)
        width += character_width(character((const unsigned char *)text + at, len - at, &n));
    return width;
}

/* C0, DEL, and C1, which terminals obey as well. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static void add_control(struct buf *to, uint32_t c)
{
    static const char named[] = "\t\n\r", letters[] = "tnr";
    const char *at = c ? strchr(named, (int)c) : NULL;
    if (at)
        buf_printf(to, "\\%c", letters[at - named]);
    else
        buf_printf(to, "\\x%02x", (unsigned)c);
}

/* ---- cells ---- */

void table_add(struct table *t, const char *text, size_t len)
{
    size_t begin = t->text.len, n;
    if (len == 0)
        buf_append_byte(&t->text, '-');
    for (size_t at = 0; at < len; at += n) {
        uint32_t c = character((const unsigned char *)text + at, len - at, &n);
        if (is_control(c))
            add_control(&t->text, c);
        else
            buf_append(&t->text, text + at, n);
    }
    if (buf_error(&t->text))
        return;
    size_t width = table_width((const char *)t->text.data + begin, t->text.len - begin);
    size_t *widest = &t->widths[t->cells++ % t->columns];
    *widest = width > *widest ? width : *widest;
    buf_append_byte(&t->text, 0);
}

/* ---- lines ---- */

static void spaces(struct buf *to, size_t n)
{
    for (; n > 0; n--)
        buf_append_byte(to, ' ');
}

/* No blanks behind the last one. */
static void add_row(const struct table *t, const char **cell, struct buf *line)
{
    for (size_t k = 0; k < t->columns; k++) {
        size_t len = strlen(*cell), width = table_width(*cell, len);
        size_t fill = t->widths[k] > width ? t->widths[k] - width : 0;
        if (t->right[k])
            spaces(line, fill);
        buf_append(line, *cell, len);
        if (!t->right[k] && k + 1 < t->columns)
            spaces(line, fill);
        if (k + 1 < t->columns)
            buf_append(line, GAP, strlen(GAP));
        *cell += len + 1;
    }
}

/* As much of it as fits before an ellipsis. */
static size_t cut_at(const struct buf *line, size_t room)
{
    size_t width = 0, at = 0, n;
    while (at < line->len) {
        width += character_width(character(line->data + at, line->len - at, &n));
        if (width >= room)
            break;
        at += n;
    }
    return at;
}

static void put_line(struct buf *to, const struct buf *line, size_t line_max, bool bold)
{
    bool fits = line_max == 0 || table_width((const char *)line->data, line->len) <= line_max;
    if (bold)
        buf_append(to, BOLD, strlen(BOLD));
    buf_append(to, line->data, fits ? line->len : cut_at(line, line_max));
    if (!fits)
        buf_append(to, ELLIPSIS, strlen(ELLIPSIS));
    if (bold)
        buf_append(to, PLAIN, strlen(PLAIN));
    buf_append_byte(to, '\n');
}

bool table_write(struct table *t, struct buf *to, size_t line_max, bool bold)
{
    struct buf line;
    const char *cell = (const char *)t->text.data;
    buf_init(&line);
    bool fine = !buf_error(&t->text);
    for (size_t i = 0; fine && i + t->columns <= t->cells; i += t->columns) {
        buf_reset(&line);
        add_row(t, &cell, &line);
        fine = !buf_error(&line);
        if (fine)
            put_line(to, &line, line_max, bold && i == 0);
    }
    buf_fini(&line);
    buf_reset(&t->text);
    t->cells = 0;
    return fine && !buf_error(to);
}
