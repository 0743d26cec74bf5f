/* The parts of `tenure top`: what is asked of the servers, the terminal, and how it is shown there. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <jansson.h>
#include <tenure/tenure.h>

#include "base/buf.h"
#include "cli/command.h"

/* ---- asking (top_ask.c): one thread at a time ---- */

struct top;

/* NULL without memory; borrows c and g, of which it takes the time for a server */
struct top *top_new(tenure_client *c, const struct global_options *g);
void top_free(struct top *t); /* NULL is fine */

/* How everything is now, as one document; rates are those since the last time. Its work has bounds that the document names
 * where they were met: so many keys of locks, queues and leases are looked at, however many there are. Blocks for up to the
 * timeout for each server. Never NULL. */
json_t *top_ask(struct top *t);

/* ---- numbers of a server (top_metrics.c) ---- */

struct top_numbers {
    int64_t puts, deletes, ranges, events, watchers; /* < 0: not said */
};
/* Reads /metrics of an endpoint, over TLS as g says; false when there is no answer within the time, or it is no page. */
bool top_metrics(const char *endpoint, const struct global_options *g, int64_t timeout_ms, struct top_numbers *ret);
/* Of its text. Pure. */
void top_metrics_of(const char *text, struct top_numbers *ret);

/* ---- showing (top_draw.c): pure but for the wall clock ---- */

enum top_sort { TOP_BY_WAITING, TOP_BY_TIME, TOP_BY_NAME, TOP_SORTS };

/* As text, lines of at most line_max (0 = any); bold where it is for a terminal. Sorts within the document. */
void top_draw(json_t *document, enum top_sort sort, size_t line_max, bool bold, struct buf *to);
/* The name of an order. */
const char *top_sort_name(enum top_sort sort);
/* In the form of --output. Releases it. */
void top_print(const struct global_options *g, json_t *document);

/* ---- the terminal (top_screen.c) ---- */

enum {
    TOP_KEY_NONE,
    TOP_KEY_UP = 256,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_GONE
};

/* Takes the terminal of standard input and output: another page, no echo, a key at a time. False when there is none. */
bool top_screen_enter(void);
/* As it was; also at any exit(). Twice does no harm. */
void top_screen_leave(void);
void top_screen_size(size_t *ret_columns, size_t *ret_rows);
/* The next key that was pressed, TOP_KEY_NONE, or TOP_KEY_GONE when the terminal is. */
int top_screen_key(void);
/* Shows the lines from the one numbered `from`, and a last one. False when it cannot be written. */
bool top_screen_show(const struct buf *text, size_t from, const char *last);

#endif
