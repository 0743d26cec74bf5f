/* Looks through SQLite's write-ahead log before SQLite does. Pure reading; the thread that opens the backend.
 *
 * SQLite ends its recovery at the first frame whose checksum is wrong and drops all behind it in silence. That is right
 * for a torn last transaction and wrong for a damaged older one. The two can be told apart: at any time at most the
 * last transaction is not synced, so a whole later transaction behind the bad frame proves that synced data changed. */
#ifndef BACKEND_WALSCAN_H
#define BACKEND_WALSCAN_H

#include "base/error.h"

/* TENURE_ECORRUPT names the frame when `name` in the directory at dir_fd is proved to be damaged. No such file, an empty
 * or a torn one: 0. page_size is the database's, for the case that the file's own header is what was damaged. */
int walscan_check(int dir_fd, const char *name, uint32_t page_size, struct tenure_error *err) MUST_USE;

#endif
