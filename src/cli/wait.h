/* For commands that run until they are told to stop: waits for SIGINT, SIGTERM, SIGHUP, or for word from a callback on
 * another thread. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wait {
    pthread_mutex_t mutex;
    bool done;
    int code;
};

/* Blocks the three signals for this thread and those it makes: call it before the handle is opened. */
void wait_init(struct wait *w);
/* Ends the waiting with this exit code; the first one counts. Any thread. */
void wait_end(struct wait *w, int code);
/* Returns the code of wait_end, or 0 for a signal (ret_signal, may be NULL, then says which). timeout_ms < 0: without end;
 * when it passes: code of timeout. */
int wait_run(struct wait *w, int64_t timeout_ms, int code_of_timeout, int *ret_signal);

#endif
