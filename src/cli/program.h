/* Programs of others that a command runs: etcd, etcdutl. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Finds the file that the option names (value, with a slash: a path), or else `name`, on the PATH, and writes its path. False after
 * having said what to do about it in the name of `who` ("tenure cluster"); install (the command that installs it) NULL = says nothing. */
bool program_find(const char *who, const char *option, const char *value, const char *name, const char *install,
                  char *path, size_t size);

#endif
