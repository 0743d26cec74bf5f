/* See scenario.h. */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SCENARIOS_MAX = 200 };

struct scenario {
    const struct scenario_play *play;
    const char *file;
    char *name, *text; /* the lines behind the name, up to the next scenario */
    int line;          /* of the name */
};

static bool prints(void)
{
    return getenv("TENURE_GOLDEN_PRINT") != NULL;
}

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* Takes the next line that the last step answered; NULL when there is none. */
static char *next_answer(char **answers)
{
    char *line = *answers, *end = line ? strchr(line, '\n') : NULL;
    if (!end)
        return NULL;
    *end = 0;
    *answers = end + 1;
    return line;
}

static void expect(const struct scenario *s, int line, char **answers, const char *wanted)
{
    char *got = next_answer(answers);
    if (prints() || (got && wanted && strcmp(got, wanted) == 0) || (!got && !wanted))
        return;
    printf("%s:%d: expected: %s\n%s:%d:      got: %s\n", s->file, line, wanted ? wanted : "(nothing more)", s->file,
           line, got ? got : "(nothing more)");
    fail();
}

static void print_answers(char *answers)
{
    for (char *got; (got = next_answer(&answers));)
        printf("EXPECT %s\n", got);
}

static char *play_step(const struct scenario *s, const char *words)
{
    static char answers[1 << 16];
    snprintf(answers, sizeof answers, "%s", s->play->step(words));
    if (prints())
        print_answers(answers);
    return answers;
}

static void play(void **state)
{
    const struct scenario *s = *state;
    char *answers = NULL, *rest = s->text;
    int number = s->line;
    s->play->begin();
    if (prints())
        printf("SCENARIO %s\n", s->name);
    for (char *line; (line = strsep(&rest, "\n"));) {
        number++;
        if (begins(line, "EXPECT ")) {
            expect(s, number, &answers, line + 7);
            continue;
        }
        if (prints() && rest)
            printf("%s\n", line);
        if (begins(line, "STEP ")) {
            expect(s, number, &answers, NULL);
            answers = play_step(s, line + 5);
        } else if (line[0] && line[0] != '#') {
            fail_msg("%s:%d: what does it mean: %s", s->file, number, line);
        }
    }
    expect(s, number, &answers, NULL);
    s->play->end();
}

static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = calloc(1, 1 << 20);
    if (!f || !text) {
        fprintf(stderr, "%s cannot be read\n", name);
        exit(1);
    }
    if (fread(text, 1, (1 << 20) - 1, f) == 0)
        text[0] = 0;
    fclose(f);
    return text;
}

/* Cuts the text into scenarios; answers how many. */
static size_t split(const char *file, char *text, const struct scenario_play *play, struct scenario *scenarios)
{
    size_t n = 0;
    int number = 0;
    for (char *line = text, *end; line; line = end) {
        number++;
        end = strchr(line, '\n');
        if (begins(line, "SCENARIO ") && end && n < SCENARIOS_MAX) {
            if (n)
                line[-1] = 0;
            *end++ = 0;
            scenarios[n++] =
                (struct scenario){.play = play, .file = file, .name = line + 9, .text = end, .line = number};
        } else if (end) {
            end++;
        }
    }
    return n;
}

int scenario_main(int argc, char **argv, const struct scenario_play *how)
{
    static struct scenario scenarios[SCENARIOS_MAX];
    static struct CMUnitTest tests[SCENARIOS_MAX];
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 1;
    }
    const char *slash = strrchr(argv[1], '/');
    char *text = read_file(argv[1]);
    size_t n = split(slash ? slash + 1 : argv[1], text, how, scenarios);
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = scenarios[i].name, .test_func = play, .initial_state = &scenarios[i]};
    int rc = n ? _cmocka_run_group_tests(argv[1], tests, n, NULL, NULL) : 1;
    free(text);
    return rc;
}
