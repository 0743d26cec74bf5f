/* tenure service: the registry from the shell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/service.h"

static struct service_flags opt = {.interval_ms = -1, .timeout_ms = -1, .drain_ms = -1};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"id", 0, OPTION_STRING, "ID", "register, run: the instance's name (default ADDRESS:PORT)", &opt.id},
        {"address", 0, OPTION_STRING, "A", "register, run: where it is (default: this host's first address)",
         &opt.address},
        {"port", 'p', OPTION_INT, "P", "register, run: its port", &opt.port},
        {"tag", 0, OPTION_LIST, "TAG", "register, run: a tag, as often as wanted; list, watch, pick: only with it",
         &opt.tags},
        {"meta", 0, OPTION_LIST, "NAME=VALUE", "register, run: more about it, as often as wanted", &opt.meta},
        {"weight", 0, OPTION_INT, "N", "register, run, edit: its share, 1 to 65535 (default 1)", &opt.weight},
        {"zone", 0, OPTION_STRING, "ZONE",
         "register, run: where it is; list, watch: only there; pick: there if one serves", &opt.zone},
        {"version", 0, OPTION_STRING, "V", "register, run: of the program; list, watch, pick: only that one",
         &opt.version},
        {"ttl", 0, OPTION_SECONDS, "TIME", "register, run: it is gone so long after its death (default 10s)",
         &opt.ttl_s},
        {"conflict", 0, OPTION_STRING, "WORD", "register, run: when one of that name lives: refuse, take-over or wait",
         &opt.conflict},
        {"grpc", 0, OPTION_STRING, "PREFIX", "register, run: in Go's layout as well; '' is where Go's usually are",
         &opt.grpc},
        {"check", 0, OPTION_STRING, "CHECK", "register, run: tcp, http:/PATH or cmd:WORDS: whether it is well",
         &opt.check},
        {"interval", 0, OPTION_DURATION, "TIME", "from one check to the next (default 5s)", &opt.interval_ms},
        {"timeout", 0, OPTION_DURATION, "TIME", "of a check (default 2s); of --wait (default: without end)",
         &opt.timeout_ms},
        {"fails", 0, OPTION_INT, "N", "so many failed checks in a row make it critical (default 3)", &opt.fails},
        {"drain", 0, OPTION_DURATION, "TIME", "told to end: drain so long before the command is (default 0)",
         &opt.drain_ms},
        {"serving", 0, OPTION_FLAG, NULL, "list, watch: only those that may be given something new", &opt.serving},
        {"policy", 0, OPTION_STRING, "WORD", "pick: random (default), weighted, round-robin, least-used or consistent",
         &opt.policy},
        {"by", 0, OPTION_STRING, "TEXT", "pick: the same instance for the same text", &opt.by},
        {"any", 0, OPTION_FLAG, NULL, "pick: when none serves, also one that does not", &opt.any},
        {"count", 'n', OPTION_INT, "N", "watch: stop after N changes", &opt.count},
        {"wait", 0, OPTION_FLAG, NULL, "drain, deregister: until the instance has gone", &opt.wait},
        {"maintenance", 0, OPTION_STRING, "on|off", "edit: taken out, or back in", &opt.maintenance},
        {"region", 0, OPTION_STRING, "WHICH",
         "list, watch, pick: all, nearest, or names of regions; drain and so on: the one it is in", &opt.region},
        {"prefix", 0, OPTION_STRING, "PREFIX", "before the service's name in the keys (default /services/)",
         &opt.prefix},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* ---- the operator's part ---- */

static int failed(const struct global_options *g, const struct tenure_error *err)
{
    return connect_failed("service", g, err);
}

/* Where the instance is: the cluster at hand, or with --region that of another region. NULL with *ret_code set. */
static tenure_client *open_there(const struct global_options *g, int *ret_code)
{
    struct tenure_error err = {0};
    struct tenure_options options;
    tenure_client *here = connect_open("service", g);
    *ret_code = here ? EXIT_OK : connect_code();
    if (!here || !opt.region)
        return here;
    connect_options(g, &options);
    tenure_client *there = tenure_region_open(here, opt.region, &options, &err);
    if (!there)
        *ret_code = failed(g, &err);
    tenure_close(here);
    return there;
}

static int edit_one(const struct global_options *g, const char *name, const char *id,
                    const struct tenure_instance_edit *e)
{
    struct tenure_error err = {0};
    int code;
    tenure_client *c = open_there(g, &code);
    if (c && tenure_instance_edit(c, name, id, e, &err) < 0)
        code = failed(g, &err);
    if (code == EXIT_OK && opt.wait)
        code = service_await_gone(c, g, &opt, name, id);
    tenure_close(c);
    return code;
}

static int drain(const struct global_options *g, const char *name, const char *id)
{
    struct tenure_instance_edit e = {.size = sizeof e, .prefix = opt.prefix, .draining = TENURE_SET};
    return edit_one(g, name, id, &e);
}

static int undrain(const struct global_options *g, const char *name, const char *id)
{
    struct tenure_instance_edit e = {.size = sizeof e, .prefix = opt.prefix, .draining = TENURE_CLEAR};
    opt.wait = false;
    return edit_one(g, name, id, &e);
}

static int edit(const struct global_options *g, const char *name, const char *id)
{
    struct tenure_instance_edit e = {.size = sizeof e, .prefix = opt.prefix, .weight = (int32_t)opt.weight};
    bool on = opt.maintenance && strcmp(opt.maintenance, "on") == 0;
    if ((opt.maintenance && !on && strcmp(opt.maintenance, "off") != 0) || (!opt.maintenance && !opt.weight) ||
        opt.weight < 0 || opt.weight > 65535) {
        fprintf(stderr, "tenure service edit: expected --maintenance on or off, or --weight 1 to 65535\n");
        return EXIT_USAGE;
    }
    e.maintenance = !opt.maintenance ? TENURE_KEEP : on ? TENURE_SET : TENURE_CLEAR;
    opt.wait = false;
    return edit_one(g, name, id, &e);
}

static int deregister(const struct global_options *g, const char *name, const char *id)
{
    struct tenure_error err = {0};
    int code;
    tenure_client *c = open_there(g, &code);
    if (c && tenure_deregister(c, opt.prefix, name, id, &err) < 0)
        code = failed(g, &err);
    if (code == EXIT_OK && opt.wait)
        code = service_await_gone(c, g, &opt, name, id);
    tenure_close(c);
    return code;
}

/* ---- the way to all ---- */

static int usage(void)
{
    fprintf(stderr,
            "tenure service: expected register NAME, run NAME -- COMMAND, list [NAME], watch [NAME], pick NAME, or "
            "drain, undrain, edit or deregister with NAME and ID\n"
            "try: tenure service --help\n");
    return EXIT_USAGE;
}

static int run_command(const struct global_options *g, int argc, char **argv)
{
    if (argc < 3)
        return usage(), EXIT_LOCK_FAILED; /* lower ones may be the command's */
    return service_run(g, &opt, argv[1], argv + 2);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*action)(const struct global_options *g, const char *name, const char *id);
    } edits[] = {{"drain", drain}, {"undrain", undrain}, {"edit", edit}, {"deregister", deregister}};
    const char *action = argc > 0 ? argv[0] : "", *name = argc > 1 ? argv[1] : NULL;
    (void)self;
    if (strchr(g->output, '{') && strcmp(action, "pick") != 0) {
        fprintf(stderr, "tenure service: option --output: '%s' is for pick; here text, json, jsonl or table\n",
                g->output);
        return EXIT_USAGE;
    }
    if (opt.region && (strcmp(action, "run") == 0 || strcmp(action, "register") == 0)) {
        fprintf(stderr,
                "tenure service: option --region: an instance is registered in its own region; ask another one by "
                "--endpoints\n");
        return strcmp(action, "run") == 0 ? EXIT_LOCK_FAILED : EXIT_USAGE;
    }
    if (strcmp(action, "run") == 0)
        return run_command(g, argc, argv);
    if (strcmp(action, "register") == 0 && argc == 2)
        return service_run(g, &opt, name, NULL);
    if (strcmp(action, "list") == 0 && argc <= 2)
        return service_list(g, &opt, name);
    if (strcmp(action, "watch") == 0 && argc <= 2)
        return service_watch(g, &opt, name);
    if (strcmp(action, "pick") == 0 && argc == 2)
        return service_pick(g, &opt, name);
    for (size_t i = 0; argc == 3 && i < sizeof edits / sizeof edits[0]; i++)
        if (strcmp(action, edits[i].name) == 0)
            return edits[i].action(g, name, argv[2]);
    return usage();
}

const struct command command_service = {
    .name = "service",
    .group = "Recipes",
    .summary = "register services, find them, choose one",
    .synopsis = "register NAME | run NAME -- CMD | list | watch | pick NAME | drain NAME ID | undrain | edit | "
                "deregister",
    .description =
        "An instance of a service is a key /services/NAME/ID on a lease, its value JSON: address, port, tags and so on.\n"
        "\n"
        "`register` stays in the foreground and keeps the instance registered: over lost leases and restarts of the server it\n"
        "comes back under the same name. Told to end (TERM, INT) it takes it out and answers 0; killed with -9, the instance is\n"
        "gone at the end of the TTL. It prints NAME/ID and the endpoint once it stands.\n"
        "\n"
        "`run` does the same for as long as the command runs, which finds TENURE_SERVICE, TENURE_INSTANCE and TENURE_ENDPOINT in\n"
        "its environment. It runs also while no server answers. With --check it is registered when the check passes for the\n"
        "first time, and is critical, which nobody picks, after --fails failures in a row until it passes again: `tcp` connects\n"
        "to the port, `http:/PATH` wants a status below 400, `cmd:WORDS` an exit code of 0. TERM or INT drains it for --drain,\n"
        "then goes to the command; other signals go there at once. When the command ends the instance is taken out first.\n"
        "\n"
        "`list` shows all services, or the instances of one; `watch` prints who is here, then a line each change (came, changed,\n"
        "went); `pick` prints the endpoint of one that serves, or what -o says: text with {service}, {instance}, {address},\n"
        "{port}, {endpoint}, {zone}, {version}, {weight} and {region} in it. Critical, draining and leaving ones, those in\n"
        "maintenance and those whose value cannot be read are never picked.\n"
        "\n"
        "--region all asks the clusters of all regions (tenure help region) at the same time; NAME, or several with commas between,\n"
        "those alone. The nearest comes first: the own one, then by distance. pick takes one of the nearest region in which one\n"
        "serves; `nearest` lists, or watches, what is there. A region that does not answer within half of --call-timeout is named\n"
        "on standard error, and holds up nobody.\n"
        "\n"
        "`drain`, `undrain` and `edit` change somebody's instance, which keeps that through later changes and healings;\n"
        "`deregister` sends it away: it is not picked from then on, `register` ends with 1, the command of `run` goes on unregistered.\n"
        "With --wait, drain and deregister wait until the instance has gone.",
    .exits = "run: the command's own, 126 and 127 as of `tenure lock`\n"
             "121  the instance was taken over\n"
             "124  still there after --timeout\n"
             "125  refused: an instance of that name lives",
    .examples = "tenure service register billing --id b-1 --address 10.0.0.7 --port 8080 --tag blue --zone eu-1\n"
                "tenure service run billing --port 8080 --check http:/health --drain 10s -- ./billing\n"
                "curl \"http://$(tenure service pick billing --zone eu-1)/invoices\"\n"
                "tenure service pick billing --region all -o '{endpoint} in {region}'\n"
                "tenure service drain billing b-1 --wait --timeout 1m",
    .options = options,
    .run = run,
    .prints_templates = true,
    .starts_server = true,
    .runs = "run",
};
