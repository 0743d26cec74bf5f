/* tenure alarm list|disarm. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

/* etcd's own words. */
static const char *type_name(enum tenure_alarm_type type)
{
    return type == TENURE_ALARM_NOSPACE ? "NOSPACE" : type == TENURE_ALARM_CORRUPT ? "CORRUPT" : "NONE";
}

static json_t *alarm_json(const struct tenure_alarm *a)
{
    char id[32];
    json_t *o = json_object();
    snprintf(id, sizeof id, "%" PRIx64, a->member_id);
    json_object_set_new(o, "member", json_string(id));
    json_object_set_new(o, "alarm", json_string(type_name(a->type)));
    return o;
}

static const struct output_form form = {
    .lists = {"alarms"},
    .columns = (const struct output_column[]){{.path = "member", .heading = "MEMBER"},
                                              {.path = "alarm", .heading = "ALARM"},
                                              {0}},
};

static void print(const struct global_options *g, const struct tenure_alarm *alarms, size_t n)
{
    if (!output_is_text(g)) {
        json_t *o = json_object(), *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, alarm_json(&alarms[i]));
        json_object_set_new(o, "alarms", list);
        output_print(g, &form, o);
        return;
    }
    for (size_t i = 0; i < n; i++)
        printf("member %" PRIx64 "  %s\n", alarms[i].member_id, type_name(alarms[i].type));
}

/* Each by itself: so an alarm that another one raises meanwhile is not ended unseen. */
static int disarm(tenure_client *c, const struct global_options *g, const struct tenure_alarm_list *raised)
{
    struct tenure_error err = {0};
    for (size_t i = 0; i < raised->n; i++)
        if (tenure_alarm_disarm(c, &raised->alarms[i], g->call_timeout_ms, NULL, &err) < 0)
            return connect_failed("alarm", g, &err);
    print(g, raised->alarms, raised->n);
    return EXIT_OK;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_alarm_list *raised = NULL;
    bool ends = argc == 1 && strcmp(argv[0], "disarm") == 0;
    if (argc != 1 || (!ends && strcmp(argv[0], "list") != 0)) {
        fprintf(stderr, "tenure alarm: expected list or disarm\ntry: tenure alarm --help\n");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    int code =
        tenure_alarm_list(c, g->call_timeout_ms, &raised, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
    if (code == EXIT_OK && ends)
        code = disarm(c, g, raised);
    else if (code == EXIT_OK)
        print(g, raised->alarms, raised->n);
    tenure_alarm_list_free(raised);
    tenure_close(c);
    return code;
}

const struct command command_alarm = {
    .name = "alarm",
    .group = "Servers",
    .summary = "list and end the alarms of servers",
    .synopsis = "list | disarm",
    .description =
        "NOSPACE: a server's data has reached its quota, and writes are refused until there is space and the alarm is\n"
        "disarmed. CORRUPT: members disagree about the data; find out which one is wrong before you disarm it.\n\n"
        "disarm ends all that are raised and prints them; none raised is no failure.",
    .examples = "tenure alarm list\n"
                "tenure alarm disarm",
    .run = run,
};
