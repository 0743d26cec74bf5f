/* tenure doctor: looks at everything that can be looked at without changing anything, and says what to do. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/doctor.h"
#include "cli/output.h"

static const char *const level_names[] = {[DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "bad"};
static const char *const colours[] = {[DOCTOR_OK] = "\033[32m", [DOCTOR_WARN] = "\033[33m", [DOCTOR_BAD] = "\033[31m"};

struct doctor_out {
    json_t *findings; /* NULL: text */
    bool coloured;
};

static void print(const struct doctor_out *out, enum doctor_level level, const char *about, const char *advice,
                  const char *text)
{
    printf("%s%-4s%s  %s: %s\n", out->coloured ? colours[level] : "", level_names[level],
           out->coloured ? "\033[0m" : "", about, text);
    if (advice)
        printf("      try: %s\n", advice);
    fflush(stdout); /* the next check may take its time */
}

void doctor_found(struct doctor *d, enum doctor_level level, const char *about, const char *advice, const char *format,
                  ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (level > d->worst)
        d->worst = level;
    if (!d->out->findings) {
        print(d->out, level, about, advice, text);
        return;
    }
    json_t *o = json_pack("{s:s,s:s,s:s}", "level", level_names[level], "about", about, "text", text);
    if (advice)
        json_object_set_new(o, "advice", json_string(advice));
    json_array_append_new(d->out->findings, o);
}

static const struct output_form form = {
    .lists = {"findings"},
    .columns = (const struct output_column[]){{.path = "level", .heading = "LEVEL"},
                                              {.path = "about", .heading = "ABOUT"},
                                              {.path = "text", .heading = "FOUND"},
                                              {.path = "advice", .heading = "TRY", .optional = true},
                                              {0}},
};

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)argv;
    struct doctor_out out = {.findings = !output_is_text(g) ? json_array() : NULL, .coloured = output_has_colours()};
    struct doctor d = {.g = g, .out = &out};
    if (argc > 0) {
        fprintf(stderr, "tenure doctor: takes no words; name servers by --endpoints\n");
        json_decref(out.findings);
        return connect_code();
    }
    d.client = connect_open(self->name, g);
    if (!d.client) {
        json_decref(out.findings);
        return connect_code();
    }
    doctor_clock(&d);
    doctor_certificates(&d);
    doctor_servers(&d);
    if (out.findings)
        output_print(g, &form, json_pack("{s:s,s:o}", "worst", level_names[d.worst], "findings", out.findings));
    tenure_close(d.client);
    return d.unavailable ? EXIT_UNAVAILABLE : d.worst == DOCTOR_BAD ? EXIT_FAILED : EXIT_OK;
}

const struct command command_doctor = {
    .name = "doctor",
    .group = "Servers",
    .summary = "look at servers, clock and certificates, and say what to do",
    .synopsis = "",
    .description =
        "Asks each endpoint by itself and prints a line for each thing that was looked at: ok, warn (it works, and will not\n"
        "for ever) or bad (it does not work), with what to do behind it:\n"
        "\n"
        "    the clock of this machine   whether it is kept right: certificates and tokens depend on it\n"
        "    certificates                the own one, the authority's, and those that the servers show: until when\n"
        "    each server                 whether it answers, how long a read takes, faults of its version (docs/etcd-faults.md),\n"
        "                                space, whether it is behind the others\n"
        "    the cluster                 one cluster or several, a leader, quorum, alarms, leases, and what a durable write takes\n"
        "\n"
        "Nothing is written but a lease of ten seconds, five times, which is revoked again.",
    .examples = "tenure doctor\n"
                "tenure doctor --endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 -o json",
    .exits = "0  nothing is bad\n"
             "1  something is\n"
             "3  no server answered",
    .run = run,
};
