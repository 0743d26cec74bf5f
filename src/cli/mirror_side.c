/* The two sides of a mirror are two clusters, with a user, a context and an entry in the credential file each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/context.h"
#include "cli/credentials.h"
#include "cli/mirror.h"

/* What the file of contexts or credentials said is theirs until the next side reads them. */
static const char *keep(struct mirror_side *s, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (copy)
        s->kept[s->n_kept++] = copy;
    return copy;
}

static void keep_all(struct mirror_side *s)
{
    struct global_options *g = &s->g;
    const char **const texts[] = {&g->endpoints, &g->user,     &g->password,      &g->ca_file,
                                  &g->cert_file, &g->key_file, &g->discovery_srv, &g->discovery_srv_name};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = keep(s, *texts[i]);
}

void mirror_side_free(struct mirror_side *s)
{
    while (s->n_kept > 0) {
        char *text = s->kept[--s->n_kept];
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

/* "NAME:PASSWORD" taken apart. */
static void take_apart(struct global_options *g)
{
    char *colon = g->user ? strchr((char *)g->user, ':') : NULL; /* our own copy */
    if (!colon)
        return;
    *colon = 0;
    g->password = colon + 1;
}

/* Others on this machine can read the command line. */
static const char *hide(struct mirror_side *s, const char *user)
{
    const char *copy = keep(s, user);
    char *colon = strchr((char *)user, ':'); /* of argv: ours to change */
    if (colon)
        memset(colon + 1, 'x', strlen(colon + 1));
    return copy;
}

bool mirror_side_find(struct mirror_side *s, const struct global_options *g, const char *urls, const char *context,
                      const char *user)
{
    static const char who[] = "tenure mirror";
    *s = (struct mirror_side){.g = *g};
    s->g.endpoints = urls;
    s->g.context = context;
    if (user) {
        s->g.user = hide(s, user);
        s->g.password = NULL;
    }
    if (context && !context_apply(who, &s->g))
        return false;
    if (!credentials_find(who, &s->g))
        return false;
    keep_all(s);
    take_apart(&s->g);
    struct global_options bare = s->g;
    bare.user = bare.password = NULL; /* those are kept once for the whole program there */
    connect_options(&bare, &s->options);
    s->options.user = s->g.user;
    s->options.password = s->g.password ? s->g.password : s->g.user ? getenv("TENURE_PASSWORD") : NULL;
    return true;
}
