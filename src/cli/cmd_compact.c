/* tenure compact: drops history. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static bool physical;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"physical", 0, OPTION_FLAG, NULL, "wait until the space is free for new data", &physical},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static bool parse_revision(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return end != text && *end == 0 && errno == 0 && *ret > 0;
}

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "compact_revision", .heading = "COMPACTED", .kind = OUTPUT_NUMBER},
                                       {0}},
};

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    int64_t revision;
    if (argc != 1 || !parse_revision(argv[0], &revision)) {
        fprintf(stderr, "tenure compact: expected REVISION, a number from 1 on%s%s%s\ntry: tenure compact --help\n",
                argc == 1 ? ", got '" : "", argc == 1 ? argv[0] : "", argc == 1 ? "'" : "");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    int code = tenure_compact(c, revision, physical, g->call_timeout_ms, &err) < 0 ? connect_failed(self->name, g, &err)
                                                                                   : EXIT_OK;
    if (code == EXIT_OK && !output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "compact_revision", json_integer(revision));
        output_print(g, &form, o);
    } else if (code == EXIT_OK) {
        printf("compacted revision %" PRId64 "\n", revision);
    }
    tenure_close(c);
    return code;
}

const struct command command_compact = {
    .name = "compact",
    .group = "Keys and values",
    .summary = "drop the history below a revision",
    .synopsis = "[--physical] REVISION",
    .description =
        "Drops what keys held before REVISION; what they hold now stays. Reads and watches of older revisions answer\n"
        "\"compacted\" from then on. The newest revision is what `tenure status` and every read in JSON tell.\n\n"
        "It cannot be undone.",
    .examples = "tenure compact 90344\n"
                "tenure compact --physical 90344 --call-timeout 5m",
    .options = options,
    .run = run,
};
