/* Rows of cells as aligned columns, for people. Pure apart from memory: writes into a buf. One thread.
 *
 * Cells are texts of any origin: control characters are shown as \n, \t, \x1b, so that what another program wrote does not move the cursor
 * of a terminal. Widths are those of terminals: wide characters of East Asia count twice, combining ones not at all.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    size_t columns;                   /* at most TABLE_COLUMNS_MAX */
    bool right[TABLE_COLUMNS_MAX];    /* numbers stand at the right of their column */
    size_t widths[TABLE_COLUMNS_MAX]; /* at least; grow with what is added */
    struct buf text;                  /* the cells one after the other, each with a 0 behind */
    size_t cells;
};

void table_init(struct table *t, size_t columns);
void table_fini(struct table *t);
/* The next cell; rows are filled from the left. Copies; an empty or missing text is a dash. */
void table_add(struct table *t, const char *text, size_t len);

/* Whole rows, a line each, and drops them; the widths stay, for those of a stream. line_max: longer lines are cut, with an ellipsis;
 * 0 = never. bold: of the first row. False without memory. */
bool table_write(struct table *t, struct buf *to, size_t line_max, bool bold);

/* How many columns of a terminal a text takes. */
size_t table_width(const char *text, size_t len);

#endif
