/* A handle on GLib's main loop: a source with the handle's descriptor and the handle's next timeout. */
#include "loop_program.h"

#include <glib.h>

struct source {
    GSource base;
    tenure_client *handle;
    int turns;
};

static gboolean prepare(GSource *base, gint *timeout)
{
    *timeout = tenure_timeout_ms(((struct source *)base)->handle);
    return *timeout == 0;
}

/* GLib asks after each poll, also one that another source ended: a turn without work is cheap and never wrong, but it is not
 * needed, so ask the clock that the handle keeps. */
static gboolean check_due(GSource *base)
{
    struct source *s = (struct source *)base;
    GPollFD fd = {.fd = tenure_fd(s->handle), .events = G_IO_IN};
    return g_poll(&fd, 1, 0) == 1 || tenure_timeout_ms(s->handle) == 0;
}

static gboolean dispatch(GSource *base, GSourceFunc callback, gpointer user)
{
    struct source *s = (struct source *)base;
    s->turns++;
    int rc = tenure_turn(s->handle);
    return callback(user) && rc == 0;
}

static GSourceFuncs source_funcs = {.prepare = prepare, .check = check_due, .dispatch = dispatch};

struct glib_program {
    struct program program;
    GMainLoop *loop;
    bool closing;
};

/* Behind each turn. */
static gboolean go_on(gpointer user)
{
    struct glib_program *g = user;
    if (g->program.closed) {
        g_main_loop_quit(g->loop);
        return G_SOURCE_REMOVE;
    }
    if (g->program.done && !g->closing) {
        g->closing = true;
        tenure_close_start(g->program.handle, on_closed, &g->program);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean too_late(gpointer user)
{
    (void)user;
    fail_msg("the loop did not come to its end");
    return G_SOURCE_REMOVE;
}

static void glibs_main_loop_drives_a_handle(void **state)
{
    struct tenure_error err = {0};
    GMainContext *context = g_main_context_new();
    struct glib_program g = {.loop = g_main_loop_new(context, FALSE)};
    g.program.handle = tenure_open_poll(server_url(*state), NULL, &err);
    if (!g.program.handle)
        fail_msg("%s", err.text);
    GSource *late = g_timeout_source_new_seconds(20);
    g_source_set_callback(late, too_late, NULL, NULL);
    g_source_attach(late, context);
    struct source *s = (struct source *)g_source_new(&source_funcs, sizeof *s);
    s->handle = g.program.handle;
    g_source_add_unix_fd(&s->base, tenure_fd(s->handle), G_IO_IN);
    g_source_set_callback(&s->base, go_on, &g, NULL);
    g_source_attach(&s->base, context);

    begin(&g.program);
    g_main_loop_run(g.loop);
    check(&g.program);
    assert_true(s->turns < 2000); /* C4: waits, does not spin */

    g_source_unref(&s->base);
    g_source_destroy(late);
    g_source_unref(late);
    g_main_loop_unref(g.loop);
    g_main_context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(glibs_main_loop_drives_a_handle)};
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
