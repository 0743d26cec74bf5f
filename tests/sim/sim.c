/* The simulation from the command line:
 *
 *     sim [--seed N] [--count N] [--length SECONDS] [--trace] [--share] [--jobs] [--calm]
 *         [--broken skip-verify|skip-gate|renew-from-receipt|blind-retry|skip-rule|herd|skip-absent|
 *                   unmarked-put|unguarded-take|unfenced-open]
 *
 * Runs `count` seeds from `seed` on. Prints a line for each that fails, with the command that replays it, and a summary;
 * exits 1 when any failed (with --broken: when none did, for then the checkers are blind).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static bool set_broken(struct sim_broken *b, const char *name)
{
    b->skip_verify = strcmp(name, "skip-verify") == 0;
    b->skip_gate = strcmp(name, "skip-gate") == 0;
    b->renew_from_receipt = strcmp(name, "renew-from-receipt") == 0;
    b->skip_absent = strcmp(name, "skip-absent") == 0;
    b->blind_retry = strcmp(name, "blind-retry") == 0;
    b->skip_rule = strcmp(name, "skip-rule") == 0;
    b->herd = strcmp(name, "herd") == 0;
    b->unmarked_put = strcmp(name, "unmarked-put") == 0;
    b->unguarded_take = strcmp(name, "unguarded-take") == 0;
    b->unfenced_open = strcmp(name, "unfenced-open") == 0;
    return b->skip_verify || b->skip_gate || b->renew_from_receipt || b->blind_retry || b->skip_rule || b->herd ||
           b->skip_absent || b->unmarked_put || b->unguarded_take || b->unfenced_open;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"seed", 1, 0, 's'},  {"count", 1, 0, 'n'},  {"length", 1, 0, 'l'},
                                          {"trace", 0, 0, 't'}, {"broken", 1, 0, 'b'}, {"share", 0, 0, 'S'},
                                          {"calm", 0, 0, 'c'},  {"jobs", 0, 0, 'j'},   {0, 0, 0, 0}};
    struct sim_config c = {.seed = 1};
    uint64_t count = 1, failures = 0;
    struct sim_result total = {0};
    const char *broken = NULL;
    int o;
    while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (o) {
        case 's':
            c.seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            count = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            c.length_ms = atoll(optarg) * 1000;
            break;
        case 't':
            c.trace = true;
            break;
        case 'S':
            c.share = true;
            break;
        case 'j':
            c.jobs = true;
            break;
        case 'c':
            c.share = c.calm = true;
            break;
        case 'b':
            broken = optarg;
            if (set_broken(&c.broken, broken))
                break;
            fprintf(stderr,
                    "sim: --broken: expected skip-verify, skip-gate, renew-from-receipt, blind-retry, skip-rule, "
                    "herd, skip-absent, unmarked-put, unguarded-take or unfenced-open\n");
            return 2;
        default:
            return 2;
        }
    for (uint64_t i = 0; i < count; i++, c.seed++) {
        struct sim_result r;
        sim_run(&c, &r);
        if (r.failed) {
            failures++;
            printf("seed %llu %s\n  replay: sim --seed %llu --trace%s%s%s\n", (unsigned long long)c.seed, r.text,
                   (unsigned long long)c.seed,
                   c.calm    ? " --calm"
                   : c.share ? " --share"
                   : c.jobs  ? " --jobs"
                             : "",
                   broken ? " --broken " : "", broken ? broken : "");
        }
        total.events += r.events;
        total.calls += r.calls;
        total.acquisitions += r.acquisitions;
        total.revisions += r.revisions;
        total.looks += r.looks;
        total.exact += r.exact;
        total.resyncs += r.resyncs;
        total.exact_maybe += r.exact_maybe;
    }
    printf("%llu seeds, %llu failed; %llu events, %llu calls, %llu acquisitions, %llu looks, %llu revisions; "
           "%llu exact, %llu maybe; %llu resyncs\n",
           (unsigned long long)count, (unsigned long long)failures, (unsigned long long)total.events,
           (unsigned long long)total.calls, (unsigned long long)total.acquisitions, (unsigned long long)total.looks,
           (unsigned long long)total.revisions, (unsigned long long)total.exact, (unsigned long long)total.exact_maybe,
           (unsigned long long)total.resyncs);
    return (failures > 0) != (broken != NULL);
}
