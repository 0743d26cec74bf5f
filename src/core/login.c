/* See login.h. What a password is kept in is wiped before it is freed.
 */
#include "core/login.h"

#include <stdlib.h>

static void login_free(struct login *l)
{
    list_remove(&l->in_core);
    l->core->n_logins--;
    explicit_bzero(&l->job, sizeof l->job);
    free(l);
}

/* At most as much as bcrypt takes: at a login the rest does not count, as in etcd. */
static void copy_password(struct core_password *job, bytes password)
{
    size_t len = password.len < CORE_PASSWORD_MAX ? password.len : CORE_PASSWORD_MAX;
    if (len)
        memcpy(job->password, password.data, len);
}

struct login *login_new(struct core_call *call, bytes name, struct auth_user by, bytes password)
{
    struct core *c = call->core;
    bool full = c->n_logins >= c->config.passwords_max || !c->config.password_submit;
    struct login *l = full ? NULL : calloc(1, sizeof *l + name.len + by.name.len);
    if (!l) {
        call_fail(call, full ? ETCD_TOO_MANY_REQUESTS : ETCD_OUT_OF_MEMORY);
        return NULL;
    }
    l->core = c;
    l->call = call;
    l->name_len = name.len;
    if (name.len)
        memcpy(l->data, name.data, name.len);
    if (by.name.len)
        memcpy(l->data + name.len, by.name.data, by.name.len);
    l->by = (struct auth_user){bytes_of(l->data + name.len, by.name.len), by.revision};
    copy_password(&l->job, password);
    call->login = l;
    list_push_back(&c->logins, &l->in_core);
    c->n_logins++;
    return l;
}

void login_submit(struct login *l, enum core_password_kind kind,
                  void (*then)(struct core_call *call, struct login *l, tn_ms now))
{
    struct core *c = l->core;
    l->job.kind = kind;
    l->job.result = CORE_PASSWORD_FAILED;
    l->then = then;
    if (c->config.password_submit(c->config.user, &l->job))
        return;
    struct core_call *call = l->call;
    call->login = NULL;
    login_free(l);
    call_fail(call, ETCD_TOO_MANY_REQUESTS);
}

void login_forget(struct core_call *call)
{
    if (call->login)
        call->login->call = NULL;
    call->login = NULL;
}

void core_password_done(struct core *c, struct core_password *job, tn_ms now)
{
    struct login *l = CONTAINER_OF(job, struct login, job);
    struct core_call *call = l->call;
    core_clock(c, now);
    if (!call) {
        login_free(l);
        return;
    }
    login_forget(call);
    core_scratch(c);
    l->then(call, l, c->now); /* may begin another one */
    login_free(l);
}

void logins_fini(struct core *c)
{
    while (!list_empty(&c->logins))
        login_free(LIST_ENTRY(c->logins.next, struct login, in_core));
}
