/* tenure member list|add|remove|update|promote. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

#define PEER_URLS_MAX 16

static struct {
    const char *peer_urls;
    bool learner;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"peer-urls", 0, OPTION_STRING, "URLS", "add, update: where its peers find it, comma-separated",
         &opt.peer_urls},
        {"learner", 0, OPTION_FLAG, NULL, "add: without a vote, until it is promoted", &opt.learner},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

typedef int member_call(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                        struct tenure_error *err);

/* ---- words ---- */

static bool parse_id(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 16);
    if (end != text && *end == 0 && errno == 0 && text[0] != '-')
        return true;
    fprintf(stderr,
            "tenure member: '%s' is no member id: expected hexadecimal digits such as 8e9e05c52164694d\n"
            "try: tenure member list\n",
            text);
    return false;
}

/* The option's addresses one by one, cut in place; 0 after having said what is wrong. */
static size_t split_urls(const char **ret)
{
    static char copy[4096];
    size_t n = 0;
    if (!opt.peer_urls || strlen(opt.peer_urls) >= sizeof copy) {
        fprintf(stderr, "tenure member: expected --peer-urls URLS, such as http://10.0.0.4:2380\n");
        return 0;
    }
    memcpy(copy, opt.peer_urls, strlen(opt.peer_urls) + 1);
    char *rest = NULL;
    for (char *url = strtok_r(copy, ",", &rest); url; url = strtok_r(NULL, ",", &rest)) {
        if (n == PEER_URLS_MAX) {
            fprintf(stderr, "tenure member: more than %d addresses in --peer-urls\n", PEER_URLS_MAX);
            return 0;
        }
        ret[n++] = url;
    }
    if (n == 0)
        fprintf(stderr, "tenure member: --peer-urls is empty\n");
    return n;
}

/* ---- calls ---- */

static int call_list(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                     struct tenure_error *err)
{
    (void)id;
    return tenure_member_list(c, false, g->call_timeout_ms, ret, err);
}

static int call_add(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                    struct tenure_error *err)
{
    const char *urls[PEER_URLS_MAX];
    size_t n = split_urls(urls);
    (void)id;
    return n ? tenure_member_add(c, urls, n, opt.learner, g->call_timeout_ms, ret, err) : 1;
}

static int call_remove(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                       struct tenure_error *err)
{
    return tenure_member_remove(c, id, g->call_timeout_ms, ret, err);
}

static int call_update(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                       struct tenure_error *err)
{
    const char *urls[PEER_URLS_MAX];
    size_t n = split_urls(urls);
    return n ? tenure_member_update(c, id, urls, n, g->call_timeout_ms, ret, err) : 1;
}

static int call_promote(tenure_client *c, const struct global_options *g, uint64_t id, struct tenure_member_list **ret,
                        struct tenure_error *err)
{
    return tenure_member_promote(c, id, g->call_timeout_ms, ret, err);
}

/* ---- printing ---- */

static json_t *urls_json(const char *const *urls, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(urls[i]));
    return list;
}

static json_t *member_json(const struct tenure_member *m)
{
    char id[32];
    json_t *o = json_object();
    snprintf(id, sizeof id, "%" PRIx64, m->id);
    json_object_set_new(o, "member", json_string(id));
    json_object_set_new(o, "name", json_string(m->name));
    json_object_set_new(o, "learner", json_boolean(m->is_learner));
    json_object_set_new(o, "peer_urls", urls_json(m->peer_urls, m->n_peer_urls));
    json_object_set_new(o, "client_urls", urls_json(m->client_urls, m->n_client_urls));
    return o;
}

static void print_urls(const char *what, const char *const *urls, size_t n)
{
    printf(", %s", what);
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i ? "," : " ", urls[i]);
}

static void print_member(const struct tenure_member *m)
{
    printf("%" PRIx64 "  %s%s", m->id, m->name[0] ? m->name : "(not started)", m->is_learner ? ", learner" : "");
    print_urls("peers", m->peer_urls, m->n_peer_urls);
    print_urls("clients", m->client_urls, m->n_client_urls);
    putchar('\n');
}

static const struct output_column columns[] = {
    {.path = "member", .heading = "MEMBER"},       {.path = "name", .heading = "NAME"},
    {.path = "learner", .heading = "LEARNER"},     {.path = "peer_urls", .heading = "PEERS"},
    {.path = "client_urls", .heading = "CLIENTS"}, {0}};
static const struct output_form form = {.lists = {"members"}, .columns = columns};

static void print(const struct global_options *g, const struct tenure_member_list *r)
{
    if (!output_is_text(g)) {
        char id[32];
        json_t *o = json_object(), *list = json_array();
        snprintf(id, sizeof id, "%" PRIx64, r->cluster_id);
        json_object_set_new(o, "cluster", json_string(id));
        if (r->added) {
            snprintf(id, sizeof id, "%" PRIx64, r->added);
            json_object_set_new(o, "added", json_string(id));
        }
        for (size_t i = 0; i < r->n; i++)
            json_array_append_new(list, member_json(&r->members[i]));
        json_object_set_new(o, "members", list);
        output_print(g, &form, o);
        return;
    }
    if (r->added)
        printf("added %" PRIx64 "\n", r->added);
    for (size_t i = 0; i < r->n; i++)
        print_member(&r->members[i]);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        bool takes_id;
        member_call *call;
    } actions[] = {{"list", false, call_list},
                   {"add", false, call_add},
                   {"remove", true, call_remove},
                   {"update", true, call_update},
                   {"promote", true, call_promote}};
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++) {
        struct tenure_error err = {0};
        struct tenure_member_list *r = NULL;
        uint64_t id = 0;
        if (strcmp(argv[0], actions[i].name) != 0 || argc != (actions[i].takes_id ? 2 : 1))
            continue;
        if (actions[i].takes_id && !parse_id(argv[1], &id))
            return EXIT_USAGE;
        tenure_client *c = connect_open(self->name, g);
        int rc = c ? actions[i].call(c, g, id, &r, &err) : 1;
        if (rc == 0)
            print(g, r);
        int code = rc < 0 ? connect_failed(self->name, g, &err) : rc == 0 ? EXIT_OK : c ? EXIT_USAGE : connect_code();
        tenure_member_list_free(r);
        tenure_close(c);
        return code;
    }
    fprintf(stderr, "tenure member: expected list, add --peer-urls URLS, remove ID, update ID --peer-urls URLS or "
                    "promote ID\ntry: tenure member --help\n");
    return EXIT_USAGE;
}

const struct command command_member = {
    .name = "member",
    .group = "Servers",
    .summary = "list and change the members of a cluster",
    .synopsis = "list | add --peer-urls URLS [--learner] | remove ID | update ID --peer-urls URLS | promote ID",
    .description =
        "Prints the members as they are then. Ids are hexadecimal. A member is made known by add before it is started;\n"
        "as a learner it costs the quorum nothing until promote makes it a voter.\n\n"
        "`tenure serve` is a cluster of one: it lists itself, and refuses what needs a second member.",
    .examples = "tenure member list\n"
                "tenure member add --learner --peer-urls http://10.0.0.4:2380\n"
                "tenure member promote 8e9e05c52164694d\n"
                "tenure member remove 8e9e05c52164694d",
    .options = options,
    .run = run,
};
