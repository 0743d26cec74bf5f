/* Programs that know of each other: who is there, who comes, who goes; ends by SIGTERM.
 *
 *     cc group.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <signal.h>
#include <stdio.h>

#include <tenure/tenure.h>

static void on_list(tenure_group_watch *w, const struct tenure_group_list *list, void *user)
{
    (void)w, (void)user;
    for (size_t i = 0; i < list->n; i++)
        printf("here: %s on %s\n", list->members[i].name, list->members[i].host);
    fflush(stdout);
}

static void on_change(tenure_group_watch *w, enum tenure_group_change change, const struct tenure_group_member *member,
                      int64_t revision, void *user)
{
    static const char *const words[] = {"", "joined", "changed", "left"};
    (void)w, (void)revision, (void)user;
    printf("%s: %s on %s\n", words[change], member->name, member->host);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    sigset_t term;
    int number;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL); /* before the handle's thread begins, which blocks all signals anyhow */

    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;
    tenure_presence *me = tenure_group_join(c, NULL, "examples", NULL, "{\"role\": \"example\"}", NULL, &err);
    if (!me || tenure_presence_await(me, 10000, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), 1;

    struct tenure_group_watch_options o = {.size = sizeof o, .on_list = on_list, .on_change = on_change};
    tenure_group_watch *w = tenure_group_watch_start(c, "examples", &o, &err);
    if (!w)
        return fprintf(stderr, "%s\n", err.text), 1;

    sigwait(&term, &number);
    tenure_group_watch_stop(w);
    tenure_presence_stop(me); /* who is killed leaves when its lease ends */
    tenure_close(c);
    return 0;
}
