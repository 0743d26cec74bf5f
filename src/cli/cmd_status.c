/* tenure status: asks every endpoint how it is. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static bool members;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"members", 0, OPTION_FLAG, NULL, "list the members of the cluster as well", &members},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* "leader", "follower", "learner", or why it is not known. */
static void show_role(const json_t *record, struct buf *to)
{
    if (json_object_get(record, "error"))
        buf_printf(to, "down");
    else if (json_is_true(json_object_get(record, "learner")))
        buf_printf(to, "learner");
    else
        buf_printf(to, json_is_true(json_object_get(record, "leader")) ? "leader" : "follower");
}

static const struct output_form members_form = {
    .lists = {"members"},
    .columns = (const struct output_column[]){{.path = "member", .heading = "MEMBER"},
                                              {.path = "name", .heading = "NAME"},
                                              {.path = "learner", .heading = "LEARNER"},
                                              {.path = "client_urls", .heading = "CLIENTS"},
                                              {0}},
};

static const struct output_form form = {
    .lists = {"endpoints"},
    .columns = (const struct output_column[]){{.path = "endpoint", .heading = "ENDPOINT"},
                                              {.path = "leader", .heading = "ROLE", .show = show_role},
                                              {.path = "version", .heading = "VERSION"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "db_size", .heading = "SIZE", .kind = OUTPUT_SIZE},
                                              {.path = "raft_term", .heading = "TERM", .kind = OUTPUT_NUMBER},
                                              {.path = "raft_index", .heading = "INDEX", .kind = OUTPUT_NUMBER},
                                              {.path = "member", .heading = "MEMBER"},
                                              {.path = "errors", .heading = "ALARMS", .optional = true},
                                              {.path = "error", .heading = "ERROR", .optional = true},
                                              {0}},
    .next = &members_form,
};

static json_t *status_json(const char *endpoint, const struct tenure_status *s, const struct tenure_error *err)
{
    char id[32];
    json_t *o = json_object();
    json_object_set_new(o, "endpoint", json_string(endpoint));
    if (!s) {
        json_object_set_new(o, "error", json_string(err->text));
        return o;
    }
    snprintf(id, sizeof id, "%" PRIx64, s->member_id);
    json_object_set_new(o, "member", json_string(id));
    json_object_set_new(o, "version", json_string(s->version));
    json_object_set_new(o, "revision", json_integer(s->revision));
    json_object_set_new(o, "leader", json_boolean(s->leader == s->member_id));
    json_object_set_new(o, "learner", json_boolean(s->is_learner));
    json_object_set_new(o, "db_size", json_integer(s->db_size));
    json_object_set_new(o, "raft_term", json_integer((json_int_t)s->raft_term));
    json_object_set_new(o, "raft_index", json_integer((json_int_t)s->raft_index));
    json_t *errors = json_array();
    for (size_t i = 0; i < s->n_errors; i++)
        json_array_append_new(errors, json_string(s->errors[i]));
    json_object_set_new(o, "errors", errors);
    return o;
}

static void status_text(const char *endpoint, const struct tenure_status *s, const struct tenure_error *err)
{
    if (!s) {
        printf("%s  down: %s\n", endpoint, err->text);
        return;
    }
    printf("%s  up, version %s, revision %" PRId64 ", %s, member %" PRIx64 ", %.1f MB\n", endpoint, s->version,
           s->revision,
           s->is_learner               ? "learner"
           : s->leader == s->member_id ? "leader"
                                       : "follower",
           s->member_id, (double)s->db_size / 1e6);
    for (size_t i = 0; i < s->n_errors; i++)
        printf("  alarm: %s\n", s->errors[i]);
}

static int print_members(tenure_client *c, const struct global_options *g, json_t *into)
{
    struct tenure_error err = {0};
    struct tenure_member_list *r = NULL;
    if (tenure_member_list(c, false, g->call_timeout_ms, &r, &err) < 0)
        return connect_failed("status", g, &err);
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_member *m = &r->members[i];
        char id[32];
        snprintf(id, sizeof id, "%" PRIx64, m->id);
        json_t *o = json_object(), *urls = json_array();
        json_object_set_new(o, "member", json_string(id));
        json_object_set_new(o, "name", json_string(m->name));
        json_object_set_new(o, "learner", json_boolean(m->is_learner));
        for (size_t u = 0; u < m->n_client_urls; u++)
            json_array_append_new(urls, json_string(m->client_urls[u]));
        json_object_set_new(o, "client_urls", urls);
        json_array_append_new(list, o);
        if (!into)
            printf("member %s  %s%s  %s\n", id, m->name, m->is_learner ? " (learner)" : "",
                   m->n_client_urls ? m->client_urls[0] : "");
    }
    if (into)
        json_object_set(into, "members", list);
    json_decref(list);
    tenure_member_list_free(r);
    return EXIT_OK;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        fprintf(stderr, "tenure status: takes no words; name servers by --endpoints\n");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    int code = EXIT_OK;
    json_t *all = !output_is_text(g) ? json_object() : NULL, *list = json_array();
    for (size_t i = 0; i < tenure_endpoints(c); i++) {
        struct tenure_error err = {0};
        struct tenure_status *s = NULL;
        if (tenure_status(c, i, g->call_timeout_ms, &s, &err) < 0)
            code = EXIT_UNAVAILABLE;
        if (all)
            json_array_append_new(list, status_json(tenure_endpoint(c, i), s, &err));
        else
            status_text(tenure_endpoint(c, i), s, &err);
        tenure_status_free(s);
    }
    if (all)
        json_object_set(all, "endpoints", list);
    json_decref(list);
    if (members && code == EXIT_OK)
        code = print_members(c, g, all);
    if (all)
        output_print(g, &form, all);
    tenure_close(c);
    return code;
}

const struct command command_status = {
    .name = "status",
    .group = "Servers",
    .summary = "ask every endpoint how it is",
    .synopsis = "[--members]",
    .description = "Prints a line for each endpoint: version, revision, role, size, alarms. Each is asked by itself.",
    .examples = "tenure status --endpoints http://10.0.0.1:2379,http://10.0.0.2:2379\n"
                "tenure status --members -o json",
    .options = options,
    .run = run,
};
