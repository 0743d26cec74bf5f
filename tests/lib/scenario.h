/* Plays scenarios from a text file, each one test:
 *
 *     SCENARIO a sentence          begin()
 *     STEP <words>                 step(words) answers lines
 *     EXPECT <line>                one for each of these lines; none for a step that answers nothing
 *
 * Blank lines and lines that begin with # are skipped. With TENURE_GOLDEN_PRINT set nothing is compared: the file is
 * printed as it is played, comments included, with what the steps answer. */
#ifndef TESTS_LIB_SCENARIO_H
#define TESTS_LIB_SCENARIO_H

struct scenario_play {
    void (*begin)(void);
    const char *(*step)(const char *words); /* lines, each with its newline; valid until the next step */
    void (*end)(void);
};

/* For main: the one argument is the file. */
int scenario_main(int argc, char **argv, const struct scenario_play *play);

#endif
