/* Versions as etcd compares them. Pure. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#include "base/bytes.h"

struct version_pair {
    int64_t major, minor;
};

/* "3.6", "3.6.1", "3.6.1-rc.0+x": what is behind the minor is checked and forgotten. */
bool version_parse(bytes text, struct version_pair *ret);

#endif
