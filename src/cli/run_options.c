#include "cli/run_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/page.h"

#define TTL_MAX_S 9000000 /* about a hundred days; what needs longer is no lease */

static bool complain(const char *command, const char *what)
{
    fprintf(stderr, "tenure %s: %s\ntry: tenure %s --help\n", command, what, command);
    return false;
}

bool run_options_fill(struct run_options *o, const struct run_flags *flags, int argc, char **argv)
{
    if (argc < 1 || !argv[0][0])
        return complain(o->command, "expected a NAME, and behind it the command to run, if any");
    if (flags->ttl_s < 1 || flags->ttl_s > TTL_MAX_S)
        return complain(o->command, "option --ttl: expected 1s to 9000000s");
    if (flags->grace_ms * 2 > flags->ttl_s * 1000)
        return complain(o->command, "option --grace: expected at most half of the TTL");
    o->argv = argc > 1 ? argv + 1 : NULL;
    o->grace_ms = flags->grace_ms < 0 ? page_grace_ms(flags->ttl_s) : flags->grace_ms;
    o->claim.name = argv[0];
    o->claim.whole_key = flags->whole_key;
    o->claim.ttl_s = flags->ttl_s;
    o->claim.timeout_ms = flags->timeout_ms;
    o->claim.purpose = flags->purpose;
    o->claim.region = flags->region;
    return true;
}

/* Whether cutting in front of p would cut a UTF-8 sequence. */
static bool inside_character(const char *p)
{
    return ((unsigned char)*p & 0xc0) == 0x80;
}

const char *run_purpose(char **argv, char *out)
{
    size_t n = 0;
    for (char **word = argv; *word && n < RUN_PURPOSE_MAX - 1; word++) {
        size_t len = strlen(*word), room = RUN_PURPOSE_MAX - 1 - n;
        if (word != argv) {
            out[n++] = ' ';
            room--;
        }
        if (len > room)
            for (len = room; len > 0 && inside_character(*word + len); len--)
                ;
        memcpy(out + n, *word, len);
        n += len;
    }
    out[n] = 0;
    return out;
}
