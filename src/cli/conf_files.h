/* Files that are filled from templates by `tenure config render`: all from one state, checked before they take their places, all or none
 * of them; one reload when any has changed. One thread. */
#ifndef CLI_CONF_FILES_H
#define CLI_CONF_FILES_H

#include <tenure/config.h>

#include "cli/signals.h"
#include "cli/template.h"
#include "io/atomic_file.h"

#define CONF_FILES_MAX 64

struct conf_file {
    char *from, *to; /* template and what is made of it */
    mode_t mode;     /* ATOMIC_FILE_KEEP_MODE */
};

struct conf_files {
    struct conf_file all[CONF_FILES_MAX];
    size_t n;
    enum template_escape escape;
    const char *check, *reload; /* lines of shell; NULL = none */
    int64_t command_timeout_ms;
    const char *keys; /* what is in front of the keys that templates name */
    const struct signals *signals;
    int interrupted; /* the signal that a check or reload was interrupted by */
    bool is_wrong;   /* a template is missing or no template, which no change of the configuration mends */
};

enum conf_files_result {
    CONF_FILES_SAME,    /* nothing to do */
    CONF_FILES_CHANGED, /* written, and reloaded */
    CONF_FILES_REFUSED, /* a template, a missing value or the check: what was there stays; it has been said why */
    CONF_FILES_STUCK,   /* written, but the reload failed */
};

/* "TEMPLATE:OUT" or "TEMPLATE:OUT:MODE" (octal). False: text is none (ret_why says what), or no memory. Takes nothing of text. */
bool conf_files_add(struct conf_files *f, const char *text, const char **ret_why);
void conf_files_fini(struct conf_files *f);

enum conf_files_result conf_files_render(struct conf_files *f, const struct tenure_config_list *list);
/* To standard output instead: with names in front where there are several. Answers whether all could be filled. */
bool conf_files_print(struct conf_files *f, const struct tenure_config_list *list);

#endif
