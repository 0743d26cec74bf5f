/* What the files of `tenure region` share: the regions that the cluster at hand knows, each with a handle, all asked at once. */
#ifndef CLI_REGION_H
#define CLI_REGION_H

#include <jansson.h>
#include <tenure/tenure.h>

#include "cli/command.h"

#define REGION_COMMAND "region"

struct region_options {
    struct option_list distances;
    const char *prefix, *instead_of, *save;
    bool force, authority, no_authority;
    bool no_wait;       /* promote */
    int64_t timeout_ms; /* promote: of its wait */
    int64_t ttl_s;      /* hold */
};

enum { REGION_PREFIXES_MAX = 16, REGION_PREFIX_BYTES_MAX = 1024 };

/* One region, as it was found. */
struct region_peer {
    const char *name, *endpoints; /* borrowed from the list */
    bool own;                     /* of the cluster at hand: its handle is that one */
    tenure_client *client;        /* NULL: its endpoints cannot be read */
    bool answers;                 /* and says that it is that region */
    bool is_said;                 /* that it was not told */
    int64_t took_ms;
    struct tenure_error why;                   /* when it does not */
    struct tenure_home_list *homes;            /* NULL when it does not answer */
    struct tenure_authority_list *authorities; /* NULL also when they may not be read */
};

struct region_set {
    tenure_client *here;
    struct tenure_region_list *list;
    struct region_peer *peers;
    size_t n;
};

/* Asks all. False after having said why the cluster at hand cannot be asked, with the exit code. */
bool region_set_open(struct region_set *s, const struct global_options *g, int *ret_code);
void region_set_close(struct region_set *s);
/* NULL: it is not known. */
struct region_peer *region_set_find(const struct region_set *s, const char *name);
/* The home record of that very prefix as that region has it; NULL = there is none, or it does not answer. */
const struct tenure_home *region_set_record(const struct region_peer *p, const char *prefix);
/* The place of an authority over that very prefix there; NULL = there is none, or it does not answer. */
const struct tenure_authority *region_set_place(const struct region_peer *p, const char *prefix);
/* The home record of that very prefix with the greatest epoch in all that answer; NULL = there is none. Of several with that epoch
 * the one that its own region has, or else the first by name. */
const struct tenure_home *region_set_home(const struct region_set *s, const char *prefix);
/* The same of the longest prefix that a key begins with. */
const struct tenure_home *region_set_home_of(const struct region_set *s, const char *key);

/* Promotions stopped half way: of the greatest epoch there are records for several regions. */
bool region_set_is_contested(const struct region_set *s, const char *prefix);

/* The copies that the new home has of the old one's keys below a prefix: records of mirrors. */
struct region_copies {
    const struct global_options *g;
    const char *prefix;
    struct region_peer *from, *to; /* both answer */
    int64_t timeout_ms;
};
/* Before anything is moved: EXIT_OK, or one of them is of a mirror that does not run, and that was said. Says where there is none. */
int region_copies_check(const struct region_copies *k);
/* Behind the change of the old home's record: waits until they are as of that revision, and says how far they are. */
int region_copies_await(const struct region_copies *k);

/* Says that this one does not know of a home yet, and what makes it know. */
void region_not_told(const struct region_peer *p);

/* Whether one of those has that prefix: an array of objects with one each. */
bool region_is_listed(const json_t *list, const char *prefix);
/* As the output form says; not as text. */
void region_print_home(const struct global_options *g, const struct tenure_home *h);

/* Each answers the exit code. urls NULL: those at hand. */
int region_init(const struct global_options *g, const char *name, const char *urls);
int region_add(const struct global_options *g, const struct region_options *o, const char *name, const char *urls);
int region_remove(const struct global_options *g, const struct region_options *o, const char *name);
int region_list(const struct global_options *g);
int region_status(const struct global_options *g);
/* prefix NULL: all; region NULL: shows it. */
int region_home(const struct global_options *g, const struct region_options *o, const char *prefix, const char *region);
int region_give_home(const struct global_options *g, const struct region_options *o, const char *prefix,
                     const char *region);
int region_promote(const struct global_options *g, const struct region_options *o, const char *name);
int region_hold(const struct global_options *g, const struct region_options *o, size_t n, char **prefixes);
int region_sync(const struct global_options *g, const struct region_options *o);

#endif
