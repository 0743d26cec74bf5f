/* Whether a text is an address as etcd wants it of members. Pure. */
#ifndef CORE_URL_H
#define CORE_URL_H

#include "base/bytes.h"

/* http or https with host:port and no path, or unix or unixs with anything; blanks around it do not count. */
bool url_is_valid(bytes url);

#endif
