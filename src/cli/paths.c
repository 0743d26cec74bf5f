#include "cli/paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool join(char *out, size_t size, const char *dir, const char *below, const char *name)
{
    int n = snprintf(out, size, "%s%s%s%s", dir, below, *name ? "/" : "", name);
    return n > 0 && (size_t)n < size;
}

/* Relative ones do not count, as the rules have it. */
static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] == '/' ? value : NULL;
}

static bool below(char *out, size_t size, const char *xdg, const char *of_root, const char *home_part, const char *name)
{
    const char *base = absolute(xdg), *home = absolute("HOME");
    if (base)
        return join(out, size, base, "/tenure", name);
    if (geteuid() == 0)
        return join(out, size, of_root, "", name);
    return home && join(out, size, home, home_part, name);
}

bool paths_config(const char *name, char *out, size_t size)
{
    return below(out, size, "XDG_CONFIG_HOME", "/etc/tenure", "/.config/tenure", name);
}

bool paths_state(const char *name, char *out, size_t size)
{
    return below(out, size, "XDG_STATE_HOME", "/var/lib/tenure", "/.local/state/tenure", name);
}

bool paths_runtime(const char *name, char *out, size_t size)
{
    const char *base = absolute("XDG_RUNTIME_DIR");
    char own[64];
    if (base)
        return join(out, size, base, "/tenure", name);
    snprintf(own, sizeof own, "/tmp/tenure-%u", (unsigned)geteuid());
    return join(out, size, geteuid() == 0 ? "/run/tenure" : own, "", name);
}

void paths_make_parents(const char *path)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
            return;
        *slash = '/';
    }
}

bool paths_is_private(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return false;
    errno = EPERM;
    return st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}
