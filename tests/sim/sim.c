/* The simulation from the command line:
 *
 *     sim [--seed N] [--count N] [--length SECONDS] [--trace] [--share|--jobs|--locks|--values|--calm]
 *         [--part memory|lines|keeper|copies|candidates] [--broken WHAT (any other word lists what there is)]
 *
 * Runs `count` seeds from `seed` on. Prints a line for each that fails, with the command that replays it, and a summary;
 * exits 1 when any failed (with --broken: when none did, for then the checkers are blind).
 */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define BROKEN(name, field)                                                                                            \
    {                                                                                                                  \
        name, offsetof(struct sim_broken, field)                                                                       \
    }
static const struct {
    const char *name;
    size_t at;
} breakages[] = {
    BROKEN("skip-verify", skip_verify),
    BROKEN("skip-gate", skip_gate),
    BROKEN("renew-from-receipt", renew_from_receipt),
    BROKEN("blind-retry", blind_retry),
    BROKEN("skip-rule", skip_rule),
    BROKEN("herd", herd),
    BROKEN("skip-absent", skip_absent),
    BROKEN("unmarked-put", unmarked_put),
    BROKEN("unguarded-take", unguarded_take),
    BROKEN("unfenced-open", unfenced_open),
    BROKEN("stm-unguarded", stm_unguarded),
    BROKEN("stm-unfenced", stm_unfenced),
    BROKEN("stm-newest", stm_newest),
    BROKEN("stm-guess", stm_guess),
    BROKEN("id-guess", id_guess),
    BROKEN("aged-from-receipt", aged_from_receipt),
    BROKEN("early-take", early_take),
    BROKEN("unmarked-hold", unmarked_hold),
    BROKEN("blind-pass", blind_pass),
    BROKEN("uncounted-arrival", uncounted_arrival),
    BROKEN("unguarded-presence", unguarded_presence),
    BROKEN("unhealed", unhealed),
    BROKEN("unguarded-claim", unguarded_claim),
    BROKEN("lost-claim", lost_claim),
    BROKEN("proud", proud),
    BROKEN("guess", guess),
    BROKEN("skip-delay", skip_delay),
    BROKEN("open-gate", open_gate),
    BROKEN("one-level", one_level),
    BROKEN("no-proof", no_proof),
    BROKEN("any-token", any_token),
    BROKEN("unguarded-write", unguarded_write),
    BROKEN("unordered", unordered),
    BROKEN("keep-parts", keep_parts),
    BROKEN("no-list", no_list),
    BROKEN("lease-token", lease_token),
    BROKEN("hold-on", hold_on),
    BROKEN("no-undo", no_undo),
    BROKEN("leave-all", leave_all),
    BROKEN("unguarded-takeover", unguarded_takeover),
    BROKEN("late-calls", late_calls),
    BROKEN("no-rest", no_rest),
    BROKEN("late-guardian", late_guardian),
};

static bool set_broken(struct sim_broken *b, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(breakages); i++)
        if (strcmp(name, breakages[i].name) == 0)
            return *(bool *)((char *)b + breakages[i].at) = true;
    fprintf(stderr, "sim: --broken: expected one of");
    for (size_t i = 0; i < ARRAY_LEN(breakages); i++)
        fprintf(stderr, " %s", breakages[i].name);
    fprintf(stderr, "\n");
    return false;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"seed", 1, 0, 's'},  {"count", 1, 0, 'n'},  {"length", 1, 0, 'l'},
                                          {"trace", 0, 0, 't'}, {"broken", 1, 0, 'b'}, {"share", 0, 0, 'S'},
                                          {"calm", 0, 0, 'c'},  {"jobs", 0, 0, 'j'},   {"part", 1, 0, 'p'},
                                          {"locks", 0, 0, 'k'}, {"values", 0, 0, 'v'}, {0, 0, 0, 0}};
    struct sim_config c = {.seed = 1};
    uint64_t count = 1, failures = 0;
    struct sim_result total = {0};
    const char *broken = NULL, *part = NULL;
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
        case 'p':
            part = optarg;
            if (part_named(part) < 0) {
                fprintf(stderr, "sim: --part: expected memory, lines, keeper, copies or candidates\n");
                return 2;
            }
            c.parts = 1u << part_named(part);
            break;
        case 'k':
            c.locks = true;
            break;
        case 'v':
            c.values = true;
            break;
        case 'c':
            c.share = c.calm = true;
            break;
        case 'b':
            broken = optarg;
            if (set_broken(&c.broken, broken))
                break;
            return 2;
        default:
            return 2;
        }
    for (uint64_t i = 0; i < count; i++, c.seed++) {
        struct sim_result r;
        sim_run(&c, &r);
        if (r.failed) {
            failures++;
            printf("seed %llu %s\n  replay: sim --seed %llu --trace%s%s%s%s%s\n", (unsigned long long)c.seed, r.text,
                   (unsigned long long)c.seed,
                   c.calm     ? " --calm"
                   : c.share  ? " --share"
                   : c.jobs   ? " --jobs"
                   : c.locks  ? " --locks"
                   : c.values ? " --values"
                              : "",
                   part ? " --part " : "", part ? part : "", broken ? " --broken " : "", broken ? broken : "");
        }
        total.events += r.events;
        total.calls += r.calls;
        total.acquisitions += r.acquisitions;
        total.revisions += r.revisions;
        total.looks += r.looks;
        total.exact += r.exact;
        total.resumed += r.resumed;
        total.refused += r.refused;
        total.gated += r.gated;
        total.resyncs += r.resyncs;
        total.exact_maybe += r.exact_maybe;
        for (int l = 0; l < 4; l++)
            total.anomalies[l] += r.anomalies[l];
    }
    printf(
        "%llu seeds, %llu failed; %llu events, %llu calls, %llu acquisitions, %llu looks, %llu revisions; "
        "%llu exact, %llu maybe; %llu resyncs; %llu resumed, %llu gated, %llu refused; anomalies %llu %llu %llu %llu\n",
        (unsigned long long)count, (unsigned long long)failures, (unsigned long long)total.events,
        (unsigned long long)total.calls, (unsigned long long)total.acquisitions, (unsigned long long)total.looks,
        (unsigned long long)total.revisions, (unsigned long long)total.exact, (unsigned long long)total.exact_maybe,
        (unsigned long long)total.resyncs, (unsigned long long)total.resumed, (unsigned long long)total.gated,
        (unsigned long long)total.refused, (unsigned long long)total.anomalies[0],
        (unsigned long long)total.anomalies[1], (unsigned long long)total.anomalies[2],
        (unsigned long long)total.anomalies[3]);
    return (failures > 0) != (broken != NULL);
}
