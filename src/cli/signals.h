/* The signals of `tenure lock` and `elect`, read from a descriptor. A signal that was ignored when the program began
 * (nohup, a shell's background job) stays ignored. One thread; call it before anything forks. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signals {
    int fd;
    sigset_t before; /* the mask that the program began with, for the command */
};

bool signals_open(struct signals *s);
/* The next one that arrived, 0 when there is none. */
int signals_next(const struct signals *s);
void signals_close(struct signals *s);

/* Whether it asks a program to end: INT, TERM, HUP, QUIT. */
bool signals_is_end(int signal);
/* Stops this process (and the others of its group, when whole_group) as Ctrl-Z would, until it is continued; the SIGCONT
 * that does so is not read later: handed on, it would undo a Ctrl-Z that comes right behind `fg`. Returns at once where the system does not allow that: nobody is there who could continue it. */
void signals_stop_self(bool whole_group);
/* Ends this program by the signal (INT, QUIT), which tells a shell more than an exit code can: that all is to end. whole_group: the others of
 * its group did not get it. Returns where it is ignored. */
void signals_die(int signal, bool whole_group);

#endif
