/* The parts of `tenure config`: what they all take, and one function an action. */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include <jansson.h>
#include <tenure/tenure.h>

#include "cli/command.h"

/* Options of all actions, filled for one run. */
struct conf_flags {
    const char *prefix; /* as typed; NULL = none */
    const char *layer, *environment, *service, *instance, *root, *key_file, *cache_file, *comment, *fallback, *format;
    const char *check, *reload, *escape, *signal, *who;
    int64_t if_revision; /* < 0: not said */
    int64_t history, count;
    int64_t min_wait_ms, max_wait_ms, splay_ms, kill_after_ms, timeout_ms, command_timeout_ms; /* < 0: not said */
    bool all_layers, global, unchecked, seal, unseal, dry, delete_missing, flat, once, upcase, pristine, new_key,
        exit_code, remove;
};
extern struct conf_flags conf_opt;

/* words: behind the action's name, NULL at their end. Each answers the exit code. */
typedef int conf_run(const struct global_options *g, int n, char **words);
conf_run conf_get, conf_set, conf_delete, conf_watch, conf_render, conf_exec, conf_history, conf_rollback, conf_diff,
    conf_export, conf_import, conf_edit, conf_seal, conf_unseal, conf_schema;

/* ---- what they share (conf_common.c) ---- */

/* Where an action reads or writes: the library's options, and the layer that --layer names. */
struct conf_place {
    struct tenure_config_options o;
    enum tenure_config_layer layer;         /* of writes; default unless named */
    bool has_layer;                         /* it was named: reads look at it alone */
    char *environment, *service, *instance; /* what --layer said */
};

/* From the options; word: in place of --layer (NULL = that). False after having said what is wrong. */
bool conf_place_of(struct conf_place *p, const char *word, const struct global_options *g);
void conf_place_fini(struct conf_place *p);
/* The same for who writes: --global is its layer. */
bool conf_write_place_of(struct conf_place *p, const struct global_options *g);
/* A handle for who writes there: of the cluster at hand, or of the layer global's home. NULL having said why, with the exit code. */
tenure_client *conf_open(const struct global_options *g, const struct conf_place *p);
int conf_open_code(void);

/* A prefix as typed, with the slash that makes it one; "" stays. malloc'd; ends the program without memory. */
char *conf_prefix(const char *typed);

/* Says what failed and what to do next; answers the exit code. */
int conf_failed(const struct global_options *g, const struct tenure_error *err);
/* The same of what was well asked for (conf_writes_check): TENURE_EINVALID is a schema's no then, EXIT_FAILED. */
int conf_refused(const struct global_options *g, const struct tenure_error *err);
/* Whether the library will take these changes: keys, layers. The exit code, having said what is wrong. */
int conf_writes_check(const struct global_options *g, const struct conf_place *p,
                      const struct tenure_config_write *writes, size_t n);
/* Whether the file with the keys of sealed values can be used, where there is one. The exit code, having said what is wrong. */
int conf_key_file_check(const struct global_options *g, const struct tenure_config_options *o);
/* "tenure config: text", and where to read on; answers EXIT_USAGE. */
int conf_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reads what begins with keys into *ret, on a handle that is opened and closed for it unless c is one. Answers the exit code, having said
 * what failed. */
int conf_read(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
              struct tenure_config_list **ret);
/* Prints {"revision": N} or nothing more than the revision: what all writes answer. */
void conf_print_revision(const struct global_options *g, int64_t revision);

/* Why an entry's value cannot be used. */
void conf_say_problem(const struct tenure_config_entry *e);
#define CONF_KEY_HINT "try: name the file with the key by --key-file or TENURE_CONFIG_KEY_FILE\n"

/* {"key", "value", "layer", "revision", …}, with all layers of it if asked for. */
json_t *conf_entry_json(const struct tenure_config_entry *e, bool with_layers);
/* The value as JSON has it: bytes that are no text under "value_base64". */
void conf_set_value(json_t *o, const char *name, const char *value, size_t len);

#endif
