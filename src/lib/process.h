/* Which process this is, told so that another one on the same machine can say later whether it is gone. Any thread. */
#ifndef LIB_PROCESS_H
#define LIB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process {
    char boot[40];   /* the kernel's id of this boot; "" = not known */
    char spaces[48]; /* the namespaces that pid and start are of; "" = not known */
    int64_t pid;
    int64_t start; /* in the kernel's ticks since the boot; with pid it names a process once a boot; 0 = not known */
};

/* This one. */
struct process process_self(void);
/* True only when it ran under this boot of this kernel, in these namespaces, and does not any more: no process has its number,
 * or one that started at another time, or it is dead and only not waited for. In any doubt false. */
bool process_is_gone(const struct process *p);

#endif
