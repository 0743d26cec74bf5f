/* tenure auth user: add, delete, get, list, passwd, grant, revoke. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/auth.h"
#include "cli/connect.h"
#include "cli/password.h"

#define PASSWORD_SIZE 256

/* "NAME:PASSWORD" is cut in two; without one it is asked for. */
static bool take_password(char *word, char *out, size_t size)
{
    char *colon = strchr(word, ':');
    char prompt[128];
    if (colon) {
        *colon = 0;
        snprintf(out, size, "%s", colon + 1);
        explicit_bzero(colon + 1, strlen(colon + 1)); /* others on this machine can read the command line */
        return true;
    }
    snprintf(prompt, sizeof prompt, "password of %.64s", word);
    return password_read(prompt, true, out, size);
}

static int add(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    char password[PASSWORD_SIZE];
    if (!auth_opt.no_password && !take_password(words[0], password, sizeof password))
        return EXIT_USAGE;
    int rc = tenure_user_add(c, words[0], auth_opt.no_password ? NULL : password, &err);
    explicit_bzero(password, sizeof password);
    return auth_done(g, rc, &err, "user", words[0], "added");
}

static int passwd(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    char password[PASSWORD_SIZE];
    if (!take_password(words[0], password, sizeof password))
        return EXIT_USAGE;
    int rc = tenure_user_set_password(c, words[0], password, &err);
    explicit_bzero(password, sizeof password);
    return auth_done(g, rc, &err, "user", words[0], "has a new password");
}

static int delete (tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    int rc = tenure_user_delete(c, words[0], &err);
    return auth_done(g, rc, &err, "user", words[0], "deleted");
}

static int get(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_names *roles = NULL;
    if (tenure_user_get(c, words[0], &roles, &err) < 0)
        return connect_failed("auth", g, &err);
    return auth_print_names(g, "roles", roles);
}

static int list(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    struct tenure_names *users = NULL;
    (void)words;
    if (tenure_user_list(c, &users, &err) < 0)
        return connect_failed("auth", g, &err);
    return auth_print_names(g, "users", users);
}

static int grant(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    char verb[128];
    int rc = tenure_user_grant_role(c, words[0], words[1], &err);
    snprintf(verb, sizeof verb, "has the role %.64s", words[1]);
    return auth_done(g, rc, &err, "user", words[0], verb);
}

static int revoke(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    char verb[128];
    int rc = tenure_user_revoke_role(c, words[0], words[1], &err);
    snprintf(verb, sizeof verb, "no longer has the role %.64s", words[1]);
    return auth_done(g, rc, &err, "user", words[0], verb);
}

const struct auth_action auth_user_actions[] = {
    {"add", 1, 1, "NAME[:PASSWORD]", add},
    {"delete", 1, 1, "NAME", delete},
    {"get", 1, 1, "NAME", get},
    {"list", 0, 0, "", list},
    {"passwd", 1, 1, "NAME[:PASSWORD]", passwd},
    {"grant", 2, 2, "NAME ROLE", grant},
    {"revoke", 2, 2, "NAME ROLE", revoke},
    {NULL, 0, 0, NULL, NULL},
};
