/* A configuration that is followed by a command: a view on a handle in this program's own loop. One thread.
 *
 * Servers that are away, and a state that a schema refuses, are said on standard error once, and leave what there was. A view that
 * ended (denied, over its bounds) is opened again after a pause that grows, once there was a state; before that it is the end. */
#ifndef CLI_CONF_FOLLOW_H
#define CLI_CONF_FOLLOW_H

#include "cli/conf.h"

struct follow_options {
    const struct global_options *g;
    const struct conf_place *place;
    const char *keys;
    int64_t timeout_ms; /* of the first state; < 0: without end */
    bool again;         /* a view that ended is opened again */
    /* Each state, as the library tells it. NULL is fine. */
    void (*on_change)(int64_t revision, const struct tenure_config_change *changes, size_t n, void *user);
    void *user;
};

struct follow {
    struct follow_options o;
    tenure_client *client;
    tenure_config *view;
    bool has_state, is_new; /* there is one; it came since is_new was last made false */
    bool was_stale;
    int code; /* EXIT_OK, or it is over: the exit code, and all has been said */
    bool view_ended;
    int64_t again_ms, pause_ms; /* when the view is opened again */
    int64_t until_ms;           /* of the first state */
};

/* False after having said why. Borrows o's strings and the place. */
bool follow_open(struct follow *f, const struct follow_options *o);
void follow_close(struct follow *f);
/* Waits for the servers, for a signal at signals_fd (-1 = none) or until at_ms (BOOTTIME; INT64_MAX = without end), and does what
 * is due. */
void follow_wait(struct follow *f, int signals_fd, int64_t at_ms);
/* The newest state, the caller's to free; NULL after having said that there is no memory. */
struct tenure_config_list *follow_list(struct follow *f);

#endif
