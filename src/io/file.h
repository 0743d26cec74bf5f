/* What files are written with. Any thread. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>

#include "base/types.h"

/* All of it, also when it takes several writes, or a signal comes. 0, or -1 with errno. */
int io_write_all(int fd, const void *data, size_t len) MUST_USE;

/* So that the names in it are there when the power goes. 0, or -1 with errno. */
int io_sync_directory(const char *path) MUST_USE;

#endif
