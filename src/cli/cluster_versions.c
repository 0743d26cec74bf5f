#include "cli/cluster_versions.h"

#include <stdio.h>

struct version {
    int major, minor, patch; /* patch: -1 = any */
};

/* What etcd's own guides want of a version before its members become the next minor one:
 * 3.6: etcd.io/docs/v3.6/upgrades/upgrade_3_6, "3.5.26 or later"; CHANGELOG-3.5 at 3.5.26, zombie members (etcd-io/etcd#20995)
 * 3.7: etcd.io/docs/v3.7/upgrades/upgrade_3_7, "3.6.11 or later" */
static const struct least {
    int minor, patch;
    const char *what;
} leasts[] = {
    {5, 26, "which may bring back members that were removed"},
    {6, 11, "which may not go together with 3.7 while one after the other becomes it"},
};

static bool read_version(const char *text, struct version *ret)
{
    int at = 0;
    *ret = (struct version){.patch = -1};
    if (sscanf(text, "%d.%d%n", &ret->major, &ret->minor, &at) < 2 || ret->major < 0 || ret->minor < 0)
        return false;
    if (text[at] == '.') {
        int more = 0;
        if (sscanf(text + at + 1, "%d%n", &ret->patch, &more) < 1 || ret->patch < 0)
            return false;
        at += 1 + more;
    }
    return text[at] == 0 || text[at] == '-' || text[at] == '+';
}

bool cluster_version_is_one(const char *text)
{
    struct version v;
    return read_version(text, &v);
}

static const struct least *lacks(const struct version *from, const struct version *to)
{
    for (size_t i = 0; from->major == 3 && to->minor == from->minor + 1 && i < sizeof leasts / sizeof *leasts; i++)
        if (leasts[i].minor == from->minor && from->patch < leasts[i].patch)
            return &leasts[i];
    return NULL;
}

bool cluster_version_may_become(const char *from, const char *to, bool force, char *why, size_t size)
{
    struct version a, b;
    const struct least *least;
    if (!read_version(from, &a) || !read_version(to, &b)) {
        snprintf(why, size, "'%.32s', which is no version of etcd", from);
    } else if (a.major != b.major || a.minor > b.minor) {
        snprintf(why, size, "%.32s: this goes forward only; back one minor version, from 3.6 on: etcdctl downgrade",
                 from);
    } else if (b.minor > a.minor + 1) {
        snprintf(why, size, "%.32s, and etcd goes one minor version at a time: to %d.%d next, all of them", from,
                 a.major, a.minor + 1);
    } else if (!force && (least = lacks(&a, &b))) {
        snprintf(why, size, "%.32s, %s: to %d.%d.%d or later before %d.%d\n--force goes on all the same", from,
                 least->what, a.major, a.minor, least->patch, b.major, b.minor);
    } else {
        return true;
    }
    return false;
}
