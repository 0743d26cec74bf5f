/* Reads options by tables: `--name value`, `--name=value`, `-n value`, `-nvalue`; `--` ends them. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/command.h"

/* Reads argv (without the program and command name) by both tables (either may be NULL), writes targets, and moves what
 * is no option to the front of argv; *ret_argc counts it. stop_at_words: so many words may stand between
 * options, the next one ends them; 0 = any number. False after
 * having said on stderr what is wrong and what was expected; `who` begins that line ("tenure lock"). */
bool options_parse(const char *who, const struct option_spec *own, const struct option_spec *global, int stop_at_words,
                   int argc, char **argv, int *ret_argc);

/* The first word that is neither an option nor the value of one, as options_parse would find it; NULL. */
const char *options_first_word(const struct option_spec *own, const struct option_spec *global, int argc, char **argv);

/* "1.5", "500ms", "30s", "5m", "1h" in milliseconds; false when text is none of these or out of range. */
bool duration_parse(const char *text, int64_t *ret_ms);

#endif
