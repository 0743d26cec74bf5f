/* The command table: what a command is called, takes, does and answers. One source for parsing, `--help` and the man
 * pages. One cmd_*.c a command. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_STRING,   /* const char * */
    OPTION_INT,      /* int64_t */
    OPTION_SECONDS,  /* int64_t, whole seconds: "30", "30s", "5m", "1h" */
    OPTION_DURATION, /* int64_t, milliseconds: "1.5" (seconds), "500ms", "30s", "5m" */
    OPTION_HEX,      /* int64_t in hexadecimal, with or without 0x: lease ids */
    OPTION_LIST,     /* struct option_list: each time one more */
};

enum { OPTION_LIST_MAX = 64 };
struct option_list {
    size_t n;
    const char *values[OPTION_LIST_MAX];
};

struct option_spec {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0 = none */
    enum option_kind kind;
    const char *arg; /* what the value is called in help; NULL for flags */
    const char *help;
    void *target;
};

enum output_format { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_JSONL, OUTPUT_TABLE };

/* What every command that talks to a server has been told, by option or environment. */
struct global_options {
    const char *context;   /* NULL = the environment's, or none */
    const char *endpoints; /* NULL = the library's default */
    const char *user;      /* "NAME" or "NAME:PASSWORD"; NULL = the environment's */
    const char *password, *password_file;
    const char *ca_file, *cert_file, *key_file; /* NULL = the environment's */
    bool skip_verify;
    const char *discovery_srv, *discovery_srv_name; /* NULL = the environment's */
    const char *output;                             /* as typed */
    enum output_format format;                      /* which that is; text where it is a template */
    int64_t call_timeout_ms;                        /* 0 = the library's default */
    bool verbose;
    bool no_autostart;
    bool starts_server; /* the command's */
    bool help;
};

struct command {
    const char *name;
    const char *group;       /* heading in `tenure help` */
    const char *summary;     /* one line, no full stop */
    const char *synopsis;    /* behind "tenure NAME" */
    const char *description; /* paragraphs, separated by empty lines */
    const char *examples;    /* lines as typed; NULL = none */
    const char *exits;       /* exit codes besides the common ones, a line each; NULL = none */
    /* The command's options, filled for one run; NULL = none. */
    const struct option_spec *(*options)(void);
    /* argv: what stands behind the options; argv[argc] is NULL. Answers the exit code. */
    int (*run)(const struct command *self, const struct global_options *g, int argc, char **argv);
    /* Or: parses everything itself (serve: etcd's flag names). */
    int (*run_raw)(int argc, char **argv);
    bool prints_templates; /* takes --output with a text that has {names} in it */
    bool starts_server;    /* where nothing is configured (autostart.h) */
    bool no_servers;       /* takes the global options, and talks to nobody */
    bool no_globals;       /* takes neither --endpoints nor --output */
    /* Options end behind so many words: what follows belongs to a child command. 0: they may stand anywhere. */
    int stop_at_words;
    const char *runs; /* the action that runs a child command; NULL = none, or (stop_at_words) the command itself */
};

extern const struct command *const commands[]; /* NULL-terminated */
const struct command *command_find(const char *name);

/* ---- exit codes common to all ---- */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,         /* the server or the state said no */
    EXIT_USAGE = 2,          /* the command line is wrong */
    EXIT_UNAVAILABLE = 3,    /* no server answered in time */
    EXIT_AGAIN = 4,          /* migrate: stopped before the end that was asked for: run it again */
    EXIT_LOCK_LOST = 121,    /* lock, elect: the lease was lost, the command was ended */
    EXIT_LOCK_TIMEOUT = 124, /* lock, elect: not acquired in time */
    EXIT_LOCK_FAILED = 125,  /* lock, elect: tenure's own failure */
    EXIT_CANNOT_RUN = 126,   /* lock, elect: the command is not executable */
    EXIT_NOT_FOUND = 127,    /* lock, elect: no such command */
};

#endif
