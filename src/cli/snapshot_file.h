/* A snapshot as a file: opened, its sum checked, its pages mapped. For the commands that read one. */
#ifndef CLI_SNAPSHOT_FILE_H
#define CLI_SNAPSHOT_FILE_H

#include "bolt/reader.h"

struct snapshot_file {
    int fd;
    void *map;
    size_t size;
    bool has_sum; /* 32 bytes behind the pages, as `snapshot save` writes */
    struct bolt_file bolt;
};

/* Whether it can be read at all; false after having said why not. */
bool snapshot_file_is_there(const char *path);
/* check_sum: the sum must be there and right; without, a file as it lies in etcd's data directory is fine too. */
int snapshot_file_open(struct snapshot_file *ret, const char *path, bool check_sum, struct tenure_error *err) MUST_USE;
void snapshot_file_close(struct snapshot_file *f);

#endif
