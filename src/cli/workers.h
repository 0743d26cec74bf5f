/* Several processes that do the same: started together, told to end together, ended together. One thread, before any other thread or
 * connection is there. */
#ifndef CLI_WORKERS_H
#define CLI_WORKERS_H

/* Runs work(user) in n processes, which end with what it answers, and passes signals on to each of them once: they are in groups of
 * their own. When one of them ends with another code than 0, or dies, the others get TERM, and that is the answer; 125 for one that
 * died. Else 0. They get TERM when this process dies. who begins messages: "tenure queue". */
int workers_run(const char *who, int n, int (*work)(void *user), void *user);

#endif
