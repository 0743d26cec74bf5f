/* Configuration as files, and what changes it into another one: shared by `tenure config export`, import, diff and edit. */
#ifndef CLI_CONF_TEXT_H
#define CLI_CONF_TEXT_H

#include "cli/conf.h"

/* By --format, else by the end of the name (.json, .yaml, .yml, .env), else 0 after having said what is wrong. --flat: the flat form. */
int conf_format_of(const char *path);

/* All of a file ("-" = standard input), a 0 behind its *ret_len bytes, malloc'd; NULL after having said why. */
char *conf_file_text(const char *path, size_t *ret_len);

/* Reads the file ("-" = standard input). Answers the exit code, having said what failed. */
int conf_read_file(const struct global_options *g, const char *path, const char *keys, int format,
                   struct tenure_config_list **ret);

/* What is stored, with sealed values as they are, whatever keys there are. Answers the exit code. To be freed by conf_raw_fini. */
struct conf_raw {
    struct tenure_config_list *read; /* the library's */
    struct tenure_config_list list;  /* the same, where sealed values are no problem */
    struct tenure_config_entry *entries;
};
int conf_read_raw(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
                  struct conf_raw *ret);
void conf_raw_fini(struct conf_raw *r); /* of a zeroed one as well */

/* A line or two for each: "- KEY=VALUE" as it was, "+ KEY=VALUE" as it is. */
void conf_print_changes(const struct global_options *g, const struct tenure_config_differences *d);

/* The changes as writes into a layer, each guarded by the revision that it was read at. deletes: also those that take a key away.
 * malloc'd (NULL: no memory); borrows the changes. */
struct tenure_config_write *conf_writes_of(const struct tenure_config_differences *d, enum tenure_config_layer layer,
                                           bool deletes, size_t *ret_n);

#endif
