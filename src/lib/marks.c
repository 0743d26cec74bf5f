/* The marks of a handle as objects: one a prefix and shared session. They go when their session has ended, or the handle
 * closes, and no commit is under way. */
#include "lib/marks.h"

#include <stdlib.h>

struct lib_marks {
    struct object object;
    struct list in_marks; /* of the handle */
    struct lib_session_user on;
    struct marks *engine;
    bool closing;
    char *prefix;
};

static struct lib_marks *marks_of(const struct object *o)
{
    return CONTAINER_OF(o, struct lib_marks, object);
}

static void marks_object_close(struct object *o, tn_ms now)
{
    (void)now;
    marks_of(o)->closing = true;
    object_changed(o);
}

static bool usable(const struct lib_marks *m)
{
    return !m->closing && !m->on.session->ended && marks_usable(m->engine, handle_now(m->object.handle));
}

static bool is_over(const struct object *o)
{
    return !usable(marks_of(o)) && !marks_busy(marks_of(o)->engine);
}

static void marks_object_free(struct object *o)
{
    struct lib_marks *m = marks_of(o);
    list_remove(&m->in_marks);
    marks_free(m->engine);
    lib_session_unuse(&m->on);
    free(m->prefix);
    free(m);
}

static const struct object_type marks_type = {
    .close = marks_object_close,
    .is_over = is_over,
    .free = marks_object_free,
};

/* on NULL: on any session. */
static struct lib_marks *find(tenure_client *c, const char *prefix, const struct lib_session *on)
{
    LIST_FOREACH(it, &c->marks)
    {
        struct lib_marks *m = LIST_ENTRY(it, struct lib_marks, in_marks);
        if (strcmp(m->prefix, prefix) == 0 && (!on || m->on.session == on) && usable(m))
            return m;
    }
    return NULL;
}

static int begin(struct lib_marks *m, tenure_client *c, const char *prefix, struct tenure_error *err)
{
    m->prefix = strdup(prefix);
    if (!m->prefix)
        return error_set(err, TENURE_ENOMEM, "marks: out of memory");
    int rc = lib_session_use(c, 0, &m->on, err);
    if (rc < 0)
        return rc;
    if (marks_new(m->on.session->engine, prefix, &m->engine) == 0)
        return 0;
    lib_session_unuse(&m->on);
    return error_set(err, TENURE_ENOMEM, "marks: out of memory");
}

static int use(tenure_client *c, const char *prefix, const struct lib_session *on, struct marks **ret,
               struct tenure_error *err)
{
    prefix = prefix ? prefix : MARKS_PREFIX;
    if (strlen(prefix) > COMMIT_PREFIX_MAX)
        return error_set(err, TENURE_EINVALID, "marks: a prefix of more than %d bytes", COMMIT_PREFIX_MAX);
    struct lib_marks *m = find(c, prefix, on);
    if (m) {
        *ret = m->engine;
        return 0;
    }
    m = calloc(1, sizeof *m);
    int rc = m ? begin(m, c, prefix, err) : error_set(err, TENURE_ENOMEM, "marks: out of memory");
    if (rc < 0) {
        if (m)
            free(m->prefix);
        free(m);
        return rc;
    }
    object_init(&m->object, c, &marks_type);
    list_push_back(&c->marks, &m->in_marks);
    *ret = m->engine;
    return 0;
}

int lib_marks_use(tenure_client *c, const char *prefix, struct marks **ret, struct tenure_error *err)
{
    return use(c, prefix, NULL, ret, err);
}

/* The session is in use, so it is what a new user of the shared one gets as well, unless it has just ended. */
int lib_marks_beside(const struct lib_session_user *u, const char *prefix, struct marks **ret, struct tenure_error *err)
{
    tenure_client *c = u->session->object.handle;
    if (c->shared != u->session)
        return error_set(err, TENURE_ELOST, "the session has ended");
    return use(c, prefix, u->session, ret, err);
}
