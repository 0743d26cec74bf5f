#include "cli/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool program_find(const char *who, const char *option, const char *value, const char *name, const char *install,
                  char *path, size_t size)
{
    const char *search = getenv("PATH");
    char rest[8192], *save = NULL;
    if (value && strchr(value, '/')) {
        if (access(value, X_OK) == 0 && (size_t)snprintf(path, size, "%s", value) < size)
            return true;
        fprintf(stderr, "%s: %s %s: %s\n", who, option, value, strerror(errno));
        return false;
    }
    name = value ? value : name;
    snprintf(rest, sizeof rest, "%s", search ? search : "/usr/local/bin:/usr/bin:/bin");
    for (char *dir = strtok_r(rest, ":", &save); dir; dir = strtok_r(NULL, ":", &save))
        if ((size_t)snprintf(path, size, "%s/%s", dir, name) < size && access(path, X_OK) == 0)
            return true;
    if (install)
        fprintf(stderr, "%s: there is no %s on the PATH\ninstall it (Debian: %s), or name the file: %s FILE\n", who,
                name, install, option);
    return false;
}
