/* tenure lease grant|revoke|keepalive|ttl|list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "io/loop.h"

#define RETRY_MS 500 /* between attempts to renew while no server answers */

static struct {
    bool keys, once;
    int64_t id;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"id", 0, OPTION_HEX, "ID", "grant: this id instead of one that the server draws", &opt.id},
        {"keys", 0, OPTION_FLAG, NULL, "ttl: print the keys attached as well", &opt.keys},
        {"once", 0, OPTION_FLAG, NULL, "keepalive: renew once instead of until stopped", &opt.once},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

typedef int lease_action(tenure_client *c, const struct global_options *g, const char *word);

static bool parse_id(const char *text, int64_t *ret)
{
    char *end;
    *ret = (int64_t)strtoull(text, &end, 16);
    if (end != text && *end == 0 && *ret != 0)
        return true;
    fprintf(stderr, "tenure lease: '%s' is no lease id: expected hexadecimal digits such as 694d77aa9e38260f\n", text);
    return false;
}

static const struct output_form ttl_form = {
    .columns = (const struct output_column[]){{.path = "lease", .heading = "LEASE"},
                                              {.path = "ttl", .heading = "TTL", .kind = OUTPUT_NUMBER},
                                              {0}},
};

/* One of grant; of keepalive many. */
static void print_ttl(const struct global_options *g, const char *verb, int64_t id, int64_t ttl_s)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "lease", output_lease(id));
        json_object_set_new(o, "ttl", json_integer(ttl_s));
        output_event(g, &ttl_form, o);
    } else {
        printf("lease %016" PRIx64 " %s TTL(%" PRId64 "s)\n", (uint64_t)id, verb, ttl_s);
    }
    fflush(stdout);
}

static int grant(tenure_client *c, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    int64_t ttl_ms, id, ttl_s;
    if (!duration_parse(word, &ttl_ms)) {
        fprintf(stderr, "tenure lease grant: '%s' is no TTL: expected seconds such as 60, or 5m\n", word);
        return EXIT_USAGE;
    }
    if (tenure_lease_grant(c, (ttl_ms + 999) / 1000, opt.id, &id, &ttl_s, &err) < 0)
        return connect_failed("lease", g, &err);
    print_ttl(g, "granted with", id, ttl_s);
    return EXIT_OK;
}

static int revoke(tenure_client *c, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    int64_t id;
    if (!parse_id(word, &id))
        return EXIT_USAGE;
    if (tenure_lease_revoke(c, id, &err) < 0)
        return connect_failed("lease", g, &err);
    char text[32];
    snprintf(text, sizeof text, "%016" PRIx64, (uint64_t)id);
    if (output_is_text(g))
        printf("lease %s revoked\n", text);
    else
        output_done(g, "lease", text, "revoked");
    return EXIT_OK;
}

static bool may_pass(const struct tenure_error *err)
{
    return err->kind == TENURE_KIND_UNAVAILABLE || err->kind == TENURE_KIND_TIMEOUT;
}

/* Every third of the TTL; a failure that is not the lease's end is tried again while the lease can be alive. */
static int keepalive(tenure_client *c, const struct global_options *g, const char *word)
{
    struct wait w;
    int64_t id, ttl_s = 0, alive_until_ms = 0;
    int sig = 0;
    if (!parse_id(word, &id))
        return EXIT_USAGE;
    wait_init(&w);
    while (!sig) {
        struct tenure_error err = {0};
        int64_t sent_at_ms = io_clock(), pause_ms = RETRY_MS;
        if (tenure_lease_keepalive(c, id, &ttl_s, &err) == 0) {
            print_ttl(g, "keepalived with", id, ttl_s);
            alive_until_ms = sent_at_ms + ttl_s * 1000;
            pause_ms = ttl_s * 1000 / 3;
        } else if (!may_pass(&err) || io_clock() >= alive_until_ms) {
            return connect_failed("lease", g, &err);
        }
        if (opt.once)
            return EXIT_OK;
        wait_run(&w, pause_ms, EXIT_FAILED, &sig);
    }
    return EXIT_OK;
}

static void append_key(json_t *list, struct tenure_bytes key)
{
    json_t *o = json_object();
    output_set_bytes(o, "key", key);
    json_array_append_new(list, o);
}

/* Of {"key": …} each; what is no text is left to the other forms. */
static void show_keys(const json_t *record, struct buf *to)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(record, "keys"), i, item)
    {
        const char *key = json_string_value(json_object_get(item, "key"));
        buf_printf(to, "%s%s", i ? "," : "", key ? key : "?");
    }
}

static const struct output_form info_form = {
    .columns = (const struct output_column[]){{.path = "lease", .heading = "LEASE"},
                                              {.path = "ttl", .heading = "TTL", .kind = OUTPUT_NUMBER},
                                              {.path = "granted_ttl", .heading = "GRANTED", .kind = OUTPUT_NUMBER},
                                              {.path = "keys", .heading = "KEYS", .optional = true, .show = show_keys},
                                              {0}},
};

static void print_info(const struct global_options *g, const struct tenure_lease_info *r)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "lease", output_lease(r->id));
        json_object_set_new(o, "ttl", json_integer(r->ttl_s));
        json_object_set_new(o, "granted_ttl", json_integer(r->granted_ttl_s));
        if (opt.keys) {
            json_t *list = json_array();
            for (size_t i = 0; i < r->n_keys; i++)
                append_key(list, r->keys[i]);
            json_object_set_new(o, "keys", list);
        }
        output_print(g, &info_form, o);
        return;
    }
    printf("lease %016" PRIx64 " granted with TTL(%" PRId64 "s), remaining(%" PRId64 "s)\n", (uint64_t)r->id,
           r->granted_ttl_s, r->ttl_s);
    for (size_t i = 0; i < r->n_keys; i++)
        printf("%.*s\n", (int)r->keys[i].len, (const char *)r->keys[i].data);
}

static int ttl(tenure_client *c, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    struct tenure_lease_info *r = NULL;
    int64_t id;
    int code = EXIT_OK;
    if (!parse_id(word, &id))
        return EXIT_USAGE;
    if (tenure_lease_ttl(c, id, opt.keys, &r, &err) < 0)
        return connect_failed("lease", g, &err);
    if (r->ttl_s < 0) {
        fprintf(stderr, "tenure lease: lease %016" PRIx64 " does not exist or has expired\n", (uint64_t)id);
        code = EXIT_FAILED;
    } else {
        print_info(g, r);
    }
    tenure_lease_info_free(r);
    return code;
}

static const struct output_form list_form = {
    .lists = {"leases"},
    .columns = (const struct output_column[]){{.path = "lease", .heading = "LEASE"}, {0}},
};

static int list(tenure_client *c, const struct global_options *g, const char *word)
{
    struct tenure_error err = {0};
    struct tenure_lease_list *r = NULL;
    (void)word;
    if (tenure_lease_list(c, &r, &err) < 0)
        return connect_failed("lease", g, &err);
    if (!output_is_text(g)) {
        json_t *o = json_object(), *ids = json_array();
        for (size_t i = 0; i < r->n; i++)
            json_array_append_new(ids, output_lease(r->ids[i]));
        json_object_set_new(o, "leases", ids);
        output_print(g, &list_form, o);
    } else {
        for (size_t i = 0; i < r->n; i++)
            printf("%016" PRIx64 "\n", (uint64_t)r->ids[i]);
    }
    tenure_lease_list_free(r);
    return EXIT_OK;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int words;
        lease_action *action;
    } actions[] = {{"grant", 2, grant},
                   {"revoke", 2, revoke},
                   {"keepalive", 2, keepalive},
                   {"keep-alive", 2, keepalive},
                   {"ttl", 2, ttl},
                   {"timetolive", 2, ttl},
                   {"list", 1, list}};
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[0], actions[i].name) != 0 || argc != actions[i].words)
            continue;
        tenure_client *c = connect_open(self->name, g);
        int code = c ? actions[i].action(c, g, argv[1]) : connect_code();
        tenure_close(c);
        return code;
    }
    fprintf(stderr,
            "tenure lease: expected grant TTL, revoke ID, keepalive ID, ttl ID or list\ntry: tenure lease --help\n");
    return EXIT_USAGE;
}

const struct command command_lease = {
    .name = "lease",
    .group = "Keys and values",
    .summary = "grant, revoke, renew and look at leases",
    .synopsis = "grant TTL | revoke ID | keepalive ID | ttl ID | list",
    .description =
        "A lease is a time to live that keys can be attached to: when it ends, they are deleted, all in one revision.\n"
        "TTLs are in seconds (or 5m, 1h); the server raises what is below its minimum. Ids are hexadecimal.",
    .examples = "tenure lease grant 60\n"
                "tenure put --lease 694d77aa9e38260f /services/billing/b-1 '{\"address\":\"10.0.0.7\",\"port\":8080}'\n"
                "tenure lease keepalive 694d77aa9e38260f\n"
                "tenure lease ttl 694d77aa9e38260f --keys",
    .options = options,
    .run = run,
    .starts_server = true,
};
