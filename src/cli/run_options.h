/* What `tenure lock` and `tenure elect` take alike, and how it becomes a run. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include "cli/run.h"

#define RUN_PURPOSE_MAX 160

#define RUN_EXITS                                                                                                      \
    "the command's own, and:\n"                                                                                        \
    "121  lost: the command was ended\n"                                                                               \
    "124  not acquired within --timeout\n"                                                                             \
    "125  tenure's own failure: usage, no server\n"                                                                    \
    "126  the command cannot be executed\n"                                                                            \
    "127  there is no such command\n"                                                                                  \
    "128+N  the command died of signal N, or tenure got it while it waited\n"                                          \
    "0  without a command: told to end while holding"

/* Rows of an option table, for a struct run_flags: of all kinds of locks alike. */
#define RUN_LOCK_OPTIONS(flags)                                                                                        \
    {"ttl",                                                                                                            \
     0,                                                                                                                \
     OPTION_SECONDS,                                                                                                   \
     "TIME",                                                                                                           \
     "others may have it this long after tenure was last heard of (default 30s)",                                      \
     &(flags).ttl_s},                                                                                                  \
        {"timeout",                                                                                                    \
         0,                                                                                                            \
         OPTION_DURATION,                                                                                              \
         "TIME",                                                                                                       \
         "wait no longer than this for it, 0 = not at all (default: without end)",                                     \
         &(flags).timeout_ms},                                                                                         \
        {"grace",                                                                                                      \
         0,                                                                                                            \
         OPTION_DURATION,                                                                                              \
         "TIME",                                                                                                       \
         "from TERM to KILL when it is lost (default: a quarter of the TTL, at most 5s)",                              \
         &(flags).grace_ms},                                                                                           \
        {"purpose", 0, OPTION_STRING, "TEXT", "shown to those who wait (default: the command)", &(flags).purpose},     \
        {"region",                                                                                                     \
         0,                                                                                                            \
         OPTION_STRING,                                                                                                \
         "NAME",                                                                                                       \
         "ask in that region; home: where the name has its home (tenure help region)",                                 \
         &(flags).region},                                                                                             \
    {                                                                                                                  \
        "prefix", 0, OPTION_FLAG, NULL, "NAME is the key as it is, not a name under /locks/", &(flags).whole_key       \
    }

struct run_flags {
    int64_t ttl_s;
    int64_t timeout_ms; /* < 0 = without end */
    int64_t grace_ms;   /* < 0 = by the TTL */
    const char *purpose;
    const char *region;
    bool whole_key;
};

/* Fills o from the flags and the words NAME [COMMAND…]. False after having said what is wrong. Borrows. */
bool run_options_fill(struct run_options *o, const struct run_flags *flags, int argc, char **argv);

/* The command's words, cut to size; answers out (of RUN_PURPOSE_MAX bytes). */
const char *run_purpose(char **argv, char *out);

#endif
