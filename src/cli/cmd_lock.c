/* tenure lock: holds a lock, or runs a command under it. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/lock_list.h"
#include "cli/run.h"
#include "cli/run_options.h"

static struct run_flags opt = {.ttl_s = 30, .timeout_ms = -1, .grace_ms = -1};
static bool list;
static int64_t delay_ms;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        RUN_LOCK_OPTIONS(opt),
        {"delay", 0, OPTION_DURATION, "TIME",
         "after a holder was lost, give what it had under way so long to end (whole seconds, at most 60s)", &delay_ms},
        {"list", 0, OPTION_FLAG, NULL, "show who holds it and who waits, and take no part", &list},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct run_options o = {.command = self->name, .g = g};
    char purpose[RUN_PURPOSE_MAX];
    if (list && argc == 1)
        return lock_list_print(g, &(struct lock_list_of){self->name, argv[0], opt.whole_key, opt.region});
    if (list) {
        fprintf(stderr, "tenure lock: --list takes one NAME and no command\ntry: tenure lock --help\n");
        return EXIT_LOCK_FAILED;
    }
    if (!run_options_fill(&o, &opt, argc, argv))
        return EXIT_LOCK_FAILED;
    o.claim.delay_ms = delay_ms;
    if (!opt.purpose && o.argv)
        o.claim.purpose = run_purpose(o.argv, purpose);
    return run_claimed(&o);
}

const struct command command_lock = {
    .name = "lock",
    .group = "Locks and elections",
    .summary = "run a command while holding a lock, or hold it",
    .synopsis = "[OPTIONS] NAME [--] [COMMAND [ARGUMENT...]]",
    .description =
        "Waits for the lock NAME, runs COMMAND while it holds it, lets it go and answers COMMAND's exit code. Nobody else\n"
        "holds it meanwhile: neither another `tenure lock` nor etcdctl's or a Go program's, whose queue is the same\n"
        "(`etcdctl lock /locks/NAME`).\n"
        "\n"
        "COMMAND finds the fencing token in TENURE_TOKEN, a number that grows from holder to holder: have it written with\n"
        "everything that the lock protects, and smaller ones refused. TENURE_NAME, TENURE_KEY and TENURE_LEASE name the lock,\n"
        "its key and its lease.\n"
        "\n"
        "COMMAND runs in a process group of its own and is the terminal's foreground job. INT, TERM, HUP, QUIT, USR1 and USR2\n"
        "sent to tenure are passed on to its group. When it ends, what is left of its group is ended too, before the lock is\n"
        "let go.\n"
        "\n"
        "When the lease cannot be renewed, the group gets TERM a grace before somebody else may hold the lock, and KILL\n"
        "before that instant. A guardian process sees to it also when tenure itself is stopped, hangs or is killed. A job\n"
        "that was stopped by Ctrl-Z renews nothing: continued within the TTL it goes on, later it was ended.\n"
        "\n"
        "What COMMAND has started in other groups and sessions is found by its parents and by TENURE_LEASES in its environment,\n"
        "and ended likewise. Out of reach are: what became another user's (run tenure under sudo, not sudo under tenure);\n"
        "daemons with a cleared environment once tenure was killed; all of it, but for a TERM to COMMAND, when tenure and its\n"
        "guardian are both killed. A daemon that COMMAND leaves behind when it ends by itself stays.\n"
        "\n"
        "How it can end, with the exit code, and when the next one may hold the lock (docs/lock-endings.md has them all). In each\n"
        "case but the last COMMAND's processes have gone before:\n"
        "\n"
        "  COMMAND ends, or dies of signal N        its own, 128+N   at once\n"
        "  tenure is told to end                    COMMAND's        when COMMAND ends: it gets the signal\n"
        "  the terminal is closed                   COMMAND's        the same: it gets HUP\n"
        "  tenure is killed                         137              at once: the guardian ends COMMAND\n"
        "  tenure stands for longer than the TTL    121              behind the TTL\n"
        "  the server or the network is away        121              behind the TTL; a shorter time does no harm\n"
        "  the server's disk is full                COMMAND's        at once, or behind the TTL\n"
        "  the lease is revoked, the key deleted    121              while COMMAND ends, a second at most\n"
        "\n"
        "--delay is kept among those who use it (etcdctl and Go programs do not know it): give it to all or to none.\n"
        "\n"
        "Without COMMAND: prints the key and the token when it holds the lock, and holds it until INT, TERM or HUP, or until\n"
        "it is lost.",
    .examples = "tenure lock nightly-backup -- pg_dump -f out.sql shop\n"
                "tenure lock deploy --timeout 0 -- ./deploy.sh || echo somebody else deploys\n"
                "tenure lock --list nightly-backup",
    .exits = RUN_EXITS,
    .options = options,
    .run = run,
    .starts_server = true,
    .stop_at_words = 1,
};
