/* Configuration: keys with texts as values, in layers of which each one overrides those before it; read once, or as a view
 * that follows every change from a consistent first state; written with history, one or many keys at once.
 *
 *     tenure_config *v = tenure_config_open(c, "billing/", NULL, &err);
 *     int64_t conns = tenure_config_int(v, "billing/max-conn", 50, &err);
 *     int64_t wait = tenure_config_duration_ms(v, "billing/timeout", 2000, &err);      "2s", "1m30s", "250ms"
 *
 * Keys are parts with slashes between: "billing/db-url". A part is not empty, and does not begin with `@`, which is kept for what
 * is not a key. No byte 0, at most 1,024 bytes. Wherever a key is given or told it is whole, with the part that a view was
 * opened with.
 *
 * Where things are, below options.prefix, "/config/":
 *
 *     global          /config/@global/<key>                            of all regions; where it is asked for
 *     default         /config/<key>                                    overrides it
 *     environment     /config/@env/<environment>/<key>                 overrides both
 *     service         /config/@service/<service>/<key>                 overrides these
 *     instance        /config/@instance/<service>/<instance>/<key>     overrides all
 *     history         /config-history/<layer and key>/@/<version>      JSON; written with the value, in the same transaction
 *     schemas         /config-schema/<keys>                            JSON Schema of all keys that begin with <keys>
 *
 * The layer global is that of several regions (region.h): it is written in the cluster that is the home of `/config/@global/`, on a
 * handle from tenure_home_open, and copied into the others by `tenure mirror`. Who reads says so (options.global), and gets it
 * at the same revision of his own cluster as all other layers. Where another region is its home it is not written.
 *
 * Values are what etcd's clients see there too, byte for byte: text, as a rule; sealed ones (tenure_config_seal) begin with
 * "sealed:v1:". A program in another language reads /config/<key>.
 *
 * Blocking calls: any thread but the loop's, on a handle from tenure_open; each is bounded by options.timeout_ms. Views live on
 * any handle. What is answered as a pointer without const is the caller's, freed by the function named, or by free(). Scopes and
 * namespaces hold as everywhere: a view on a namespace reads and writes below it.
 * docs/configuration.md tells more.
 */
#ifndef TENURE_CONFIG_H
#define TENURE_CONFIG_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Each overrides those before it, and all override the global one. */
enum tenure_config_layer {
    TENURE_CONFIG_DEFAULT = 0,
    TENURE_CONFIG_ENVIRONMENT = 1,
    TENURE_CONFIG_SERVICE = 2,
    TENURE_CONFIG_INSTANCE = 3,
    TENURE_CONFIG_GLOBAL = 4 /* of all regions; overridden by all */
};
#define TENURE_CONFIG_LAYERS 5
/* "global", "default", "environment", "service", "instance"; static storage. "?" for another number. */
const char *tenure_config_layer_string(enum tenure_config_layer layer);

typedef struct tenure_config tenure_config;

/* What state a view is in. */
enum tenure_config_state {
    TENURE_CONFIG_WAITING = 0,         /* there is nothing yet */
    TENURE_CONFIG_CURRENT = 1,         /* the servers are heard: what is changed comes */
    TENURE_CONFIG_STALE = 2,           /* they are not heard: it was so, and may have changed: tenure_config_stale_ms */
    TENURE_CONFIG_LAST_KNOWN_GOOD = 3, /* from the copy on disk; nothing has answered since */
    TENURE_CONFIG_ENDED = 4            /* it follows no more (denied, over its bounds, closed); the last state stays */
};

/* What a layer holds of a key. */
struct tenure_config_value {
    enum tenure_config_layer layer;
    const char *value; /* with a 0 behind its value_len bytes; opened, where it was sealed and could be */
    size_t value_len;
    int64_t revision; /* the key's mod_revision there: what writes compare with; 0 = of no store */
    bool is_sealed;   /* it lies sealed in the store */
};
/* A key, and the value that counts: that of the highest layer which has one. */
struct tenure_config_entry {
    const char *key;
    const char *value;
    size_t value_len;
    enum tenure_config_layer layer;
    int64_t revision;
    bool is_sealed;
    /* NULL; or why the value is not to be used: sealed, and no key, or none that fits (value is then as it is stored). */
    const char *problem;
    size_t n_layers; /* that have the key, from the lowest on; the last one counts */
    const struct tenure_config_value *layers;
};
/* Entries at one revision, by key in byte order. */
struct tenure_config_list {
    int64_t revision; /* of the store; 0 = of a file, or of nothing yet */
    size_t n;
    const struct tenure_config_entry *entries;
};
void tenure_config_list_free(struct tenure_config_list *list); /* NULL is fine */

/* A key whose value is another one now. */
struct tenure_config_change {
    const char *key;
    const struct tenure_config_entry *was; /* NULL = there was none */
    const struct tenure_config_entry *now; /* NULL = there is none any more */
};

struct tenure_config_options {
    size_t size;
    const char *prefix; /* NULL = "/config/"; ends with a slash; history and schemas lie beside it, as above */
    /* Whose configuration it is. NULL: the environment's TENURE_CONFIG_ENVIRONMENT, TENURE_CONFIG_SERVICE and
     * TENURE_CONFIG_INSTANCE; "" or none there: there is no such layer. No slash, and no `@` in front. An instance needs a
     * service. */
    const char *environment, *service, *instance;
    unsigned layers;    /* of reads: 1 << TENURE_CONFIG_… of those that are to be looked at; 0 = all there are */
    int64_t revision;   /* of tenure_config_read: at that revision of the store; 0 = now */
    int64_t timeout_ms; /* of a call; of tenure_config_open: the wait for the first state. 0 = the handle's */

    /* A file with the keys that sealed values are opened with: see tenure_config_seal. NULL = the environment's
     * TENURE_CONFIG_KEY_FILE, else none. */
    const char *key_file;
    /* A JSON Schema that must fit beside those in the store: of the view's keys; of writes, of all keys. NULL = none. */
    const char *schema;
    bool unchecked; /* no schema is looked at, neither this one nor those in the store */

    /* Of writes. */
    const char *who;     /* NULL = "user@host" of the process */
    const char *comment; /* shown in the history; NULL = none */
    int64_t history;     /* versions kept of each key; 0 = 20; -1 = no history is written */

    /* Of views. */
    const char *cache_file; /* last-known-good copy on disk; NULL = none. See tenure_config_open */
    size_t keys_max;        /* 0 = 100,000; more: TENURE_ELIMIT */
    size_t bytes_max;       /* of keys and values of all layers; 0 = 64 MiB */
    /* Each new state, in order, once: what has changed since the one told before, by key. revision: of the store. The first one
     * tells all keys, and comes also when there are none. Only keys whose value has changed are told, and no state in which
     * none has. Two changes of which the second came while the first one was being read may be told as one; those
     * of one transaction always are. On the loop's thread; all is borrowed. It may close the view. */
    void (*on_change)(tenure_config *v, int64_t revision, const struct tenure_config_change *changes, size_t n,
                      void *user);
    /* tenure_config_state has another answer. err: why, where there is a reason (ENDED, and a state that the schema refuses,
     * which is told with the present state), else NULL. */
    void (*on_state)(tenure_config *v, enum tenure_config_state state, const struct tenure_error *err, void *user);
    void *user;

    /* Of reads and views: 1 = the layer global is there too; -1 = it is not; 0 = as the environment's TENURE_CONFIG_GLOBAL says ("1").
     * `layers` may name it all the same. */
    int global;
};

/* ---- reading once ---- */

/* The value of one key, as the layers of the environment's TENURE_CONFIG_… have it; malloc'd. Where there is none, or it cannot be
 * read: a copy of fallback (NULL: NULL), and err->code says why: 0 = there is none. Blocking handles. */
char *tenure_config_get(tenure_client *c, const char *key, const char *fallback, struct tenure_error *err);
/* All keys that begin with keys ("" = all; without a slash at its end: this very key alone), in one transaction. An old revision may be
 * TENURE_ECOMPACTED. Sealed values that cannot be opened have a problem. Schemas are not looked at (tenure_config_check does).
 * TENURE_EINVALID: keys that are none. TENURE_ELIMIT: more than keys_max, bytes_max. Blocking handles. */
int tenure_config_read(tenure_client *c, const char *keys, const struct tenure_config_options *o,
                       struct tenure_config_list **ret, struct tenure_error *err);
/* The entry, borrowed; NULL. */
const struct tenure_config_entry *tenure_config_find(const struct tenure_config_list *list, const char *key);

/* ---- a view ---- */

/* Follows all keys that begin with keys, as tenure_config_read reads them, until it is closed: each state is that of all layers at
 * one revision of the store; nothing is missed over lost connections and compactions.
 *
 * On a blocking handle it waits for the first state, up to timeout_ms. When nothing answers until then and there is a copy in
 * cache_file, it opens with that, as TENURE_CONFIG_LAST_KNOWN_GOOD, and goes on trying; else TENURE_EUNAVAILABLE or
 * TENURE_ETIMEOUT. On other handles it returns at once, WAITING: on_change brings the first state, after timeout_ms
 * that of the copy.
 *
 * cache_file is written behind each new state: beside it, synced, renamed; mode 0600; with a checksum. Sealed values stay sealed
 * there. A copy that is damaged, or of another prefix or other layers, is none; a disk that takes none is logged (log in client.h).
 *
 * A state that a schema refuses is not shown: opening fails with TENURE_EINVALID, which names the key and what was expected; later the
 * view stays at what it had, and on_state says why.
 * NULL on failure; TENURE_EDENIED: the user may not read it all; TENURE_EIO, TENURE_EINVALID: key_file. */
tenure_config *tenure_config_open(tenure_client *c, const char *keys, const struct tenure_config_options *o,
                                  struct tenure_error *err);
/* Ends and frees; no callback comes after it has returned, except to the very callback that called it. NULL is fine. */
void tenure_config_close(tenure_config *v);

/* The rest never waits for servers, and may be called from any thread on a handle from tenure_open; else from the loop's. */

enum tenure_config_state tenure_config_state(const tenure_config *v); /* NULL: TENURE_CONFIG_ENDED */
/* How old it may be: milliseconds since the servers were last known to have nothing newer; 0 while CURRENT; -1 while WAITING; of
 * LAST_KNOWN_GOOD since the copy was written. */
int64_t tenure_config_stale_ms(const tenure_config *v);
/* Of the newest state; of the copy's while LAST_KNOWN_GOOD. 0 while WAITING, and for NULL. */
int64_t tenure_config_revision(const tenure_config *v);
/* The newest state; it does not change any more. NULL: no memory, or v is NULL. */
struct tenure_config_list *tenure_config_list(tenure_config *v);
/* A descriptor that is readable while there is a state that tenure_config_changed has not been asked about; for poll. Owned by
 * the view. -1: there is none to be had. */
int tenure_config_fd(tenure_config *v);
/* Whether a state came since it was last asked. */
bool tenure_config_changed(tenure_config *v);
/* Waits until there is a state newer than revision: 0, TENURE_ETIMEOUT (0 = at once), or why the view ended. Blocking handles, not in
 * callbacks. */
int tenure_config_wait(tenure_config *v, int64_t revision, int64_t timeout_ms, struct tenure_error *err);

/* Typed. Where there is no such key: fallback, and err->code is 0. Where the value is not of the type, or cannot be opened: fallback,
 * and err says the key, its text and what was expected: TENURE_EINVALID, TENURE_EDENIED. err may be NULL; on success its code is 0. */
char *tenure_config_string(tenure_config *v, const char *key, const char *fallback,
                           struct tenure_error *err); /* malloc'd; NULL: fallback NULL, or no memory (err) */
int64_t tenure_config_int(tenure_config *v, const char *key, int64_t fallback,
                          struct tenure_error *err); /* "-12", "0x1f" */
double tenure_config_float(tenure_config *v, const char *key, double fallback, struct tenure_error *err); /* finite */
bool tenure_config_bool(tenure_config *v, const char *key, bool fallback,
                        struct tenure_error *err); /* true yes on 1, false no off 0; case does not matter */
/* "1h30m", "250ms", "1.5s", "2d"; units ms s m h d (and us, ns, of which less than 1 ms is cut off); a number without a unit is
 * refused, but 0. */
int64_t tenure_config_duration_ms(tenure_config *v, const char *key, int64_t fallback, struct tenure_error *err);
/* "512", "64KiB", "1.5 GiB", "10MB": B; KiB MiB GiB TiB (also K M G T) of 1,024; kB MB GB TB of 1,000. */
int64_t tenure_config_size_bytes(tenure_config *v, const char *key, int64_t fallback, struct tenure_error *err);
char *tenure_config_json(tenure_config *v, const char *key, const char *fallback,
                         struct tenure_error *err); /* the text, when it is JSON; malloc'd */

/* ---- writing ---- */

/* A change of one key in one layer. */
struct tenure_config_write {
    const char *key;
    const char *value; /* NULL = the key is deleted there */
    size_t value_len;  /* 0 = a text up to its 0 */
    enum tenure_config_layer layer;
    int64_t if_revision; /* 0 = whatever is there; > 0: its mod_revision must be this; -1 = it must not be there */
};
enum { TENURE_CONFIG_WRITES_MAX = 60 };
/* All changes, with their history, in one transaction (exact: kv.h); or none. ret_revision, where it is applied, may be NULL; a
 * change that changes nothing (the same value, or no key to delete) is left out, and when all are, it is that of the store. Compares
 * are made against the newest; what has if_revision 0 is tried again when somebody else was faster, until the deadline.
 * TENURE_ECONFLICT: if_revision; the text names key and revision; or the layer global, whose home is another region. TENURE_EINVALID: a key that is none, a layer whose name the
 * options do not say, the same key twice in a layer, a value that a schema refuses (which says what was expected).
 * TENURE_ELIMIT: more than TENURE_CONFIG_WRITES_MAX. Blocking handles. */
int tenure_config_apply(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                        const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err);
/* One of them. */
int tenure_config_set(tenure_client *c, const char *key, const char *value, enum tenure_config_layer layer,
                      int64_t if_revision, const struct tenure_config_options *o, int64_t *ret_revision,
                      struct tenure_error *err);
/* TENURE_ENOTFOUND: there is none. */
int tenure_config_delete(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t if_revision,
                         const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err);

/* A version of a key in a layer: what was written when, by whom. */
struct tenure_config_version {
    int64_t version;   /* 1, 2, …; in a history numbers only grow */
    int64_t revision;  /* of the store, where it was written */
    const char *value; /* NULL = it was deleted; as it was stored: sealed ones sealed */
    size_t value_len;
    const char *who, *comment; /* "" = not said; who is "" too of what was written past this library, and found later */
    int64_t at_ms;             /* Unix time in milliseconds, by the writer's clock; 0 = unknown */
    bool is_current;
};
struct tenure_config_versions {
    size_t n;
    const struct tenure_config_version *versions; /* the newest first */
};
/* What is kept of a key's versions; what stands now is among them, also when it was written past this library. */
int tenure_config_history(tenure_client *c, const char *key, enum tenure_config_layer layer,
                          const struct tenure_config_options *o, struct tenure_config_versions **ret,
                          struct tenure_error *err);
void tenure_config_versions_free(struct tenure_config_versions *r); /* NULL is fine */
/* Writes the value of an old version again (or deletes, when that version did), as a new one; the comment is "rollback to version N" where
 * the options have none. if_revision as above; 0 = what stands when it is read. TENURE_ENOTFOUND: no such version is kept. TENURE_ECONFLICT: it
 * was changed meanwhile. */
int tenure_config_rollback(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t version,
                           int64_t if_revision, const struct tenure_config_options *o, int64_t *ret_revision,
                           struct tenure_error *err);

/* What tells two lists apart, by key; entries are the lists' own, which must outlive it. Lists of two revisions, of two layers, of a
 * file and the store. */
struct tenure_config_differences {
    size_t n;
    const struct tenure_config_change *changes;
};
int tenure_config_diff(const struct tenure_config_list *from, const struct tenure_config_list *to,
                       struct tenure_config_differences **ret, struct tenure_error *err);
void tenure_config_differences_free(struct tenure_config_differences *r); /* NULL is fine */

/* ---- schemas ---- */

/* A JSON Schema (draft 4) says what the keys below `keys` may be, as if they were one JSON object: "billing/db/url" is
 * {"db": {"url": …}} for a schema of "billing/". A value is a JSON number, boolean, array or object where it reads as one and the schema
 * does not want a string there; else a string. A write is checked as what the key's layer and those below it would make together, but for
 * what is required: that may come later. A view, and tenure_config_check, check the whole, of keys above a view's but for what is
 * required. Who reads or writes must be allowed to read the schemas, or says `unchecked`. Keywords of later drafts are refused. Needs
 * the shared object libtenure-schema.so (TENURE_EUNAVAILABLE), when there is a schema. */

/* Stores it for all keys that begin with keys; NULL: takes it away. TENURE_EINVALID: it is no JSON Schema. */
int tenure_config_schema_set(tenure_client *c, const char *keys, const char *schema,
                             const struct tenure_config_options *o, struct tenure_error *err);
/* What is stored there; malloc'd. TENURE_ENOTFOUND. */
int tenure_config_schema_get(tenure_client *c, const char *keys, const struct tenure_config_options *o, char **ret,
                             struct tenure_error *err);
/* Whether the entries fit a schema of `keys`. 0, or TENURE_EINVALID, whose text names the key and what was expected. */
int tenure_config_check(const struct tenure_config_list *list, const char *keys, const char *schema,
                        struct tenure_error *err);

/* ---- sealed values ---- */

/* Values that the servers, and who reads their files, cannot read: sealed with XChaCha20-Poly1305 (libsodium, loaded when it is needed:
 * TENURE_EUNAVAILABLE) under a key from a file, together with the name of the configuration key: the text cannot be moved to
 * another key. The same key in another layer opens it too. A key file has one key a line, 64 hex digits; the first one seals, all of them
 * open; lines that are empty or begin with # are passed over. It must be of this user or of root, and must not be readable by others (TENURE_EDENIED). */

/* Makes a new key file, mode 0600. TENURE_EEXISTS: there is one; TENURE_EIO. */
int tenure_config_key_new(const char *key_file, struct tenure_error *err);
/* "sealed:v1:…", malloc'd. */
int tenure_config_seal(const char *key_file, const char *key, const void *value, size_t value_len, char **ret,
                       struct tenure_error *err);
/* The value, malloc'd, a 0 behind its *ret_len bytes (ret_len may be NULL). TENURE_EINVALID: it is no sealed value;
 * TENURE_EDENIED: no key of the file opens it, or it was sealed for another configuration key. */
int tenure_config_unseal(const char *key_file, const char *key, const char *sealed, char **ret, size_t *ret_len,
                         struct tenure_error *err);

/* ---- files ---- */

enum tenure_config_format {
    TENURE_CONFIG_JSON = 1,      /* {"db": {"url": "x"}}: an object for each part of a key */
    TENURE_CONFIG_JSON_FLAT = 2, /* {"db/url": "x"} */
    TENURE_CONFIG_YAML = 3,      /* as JSON; libyaml is loaded when it is needed (TENURE_EUNAVAILABLE) */
    TENURE_CONFIG_YAML_FLAT = 4, /* as JSON_FLAT */
    TENURE_CONFIG_DOTENV =
        5 /* DB__URL=x: capitals, `__` for a slash; what that would not tell stands in a comment before it */
};
/* The text of a file with all entries of the list, without `keys` in front; malloc'd, it ends with a newline. What tenure_config_parse
 * makes of it are the same keys and values, exactly. TENURE_EINVALID: a key lies below another one (nested formats: "a" and "a/b"), two keys
 * have one name (dotenv), a value that is no UTF-8. A sealed value that was not opened is written as it is stored. */
int tenure_config_format(const struct tenure_config_list *list, const char *keys, enum tenure_config_format format,
                         char **ret, struct tenure_error *err);
/* The keys and values of a file, with `keys` put in front of each. Numbers and booleans become their texts, lists compact JSON. A
 * format reads both its nested and its flat form. TENURE_EINVALID names the line or the key. */
int tenure_config_parse(const char *text, size_t len, const char *keys, enum tenure_config_format format,
                        struct tenure_config_list **ret, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
