#include "cli/conf_secret.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/conf_text.h"
#include "cli/password.h"

#define TYPED_MAX 256

static int keep(const char *text, size_t len, struct conf_secret *ret)
{
    ret->text = malloc(len + 1);
    if (!ret->text) {
        fprintf(stderr, "tenure config: out of memory\n");
        return EXIT_FAILED;
    }
    memcpy(ret->text, text, len);
    ret->text[len] = 0;
    ret->len = len;
    return EXIT_OK;
}

static int ask(const char *key, struct conf_secret *ret)
{
    char prompt[128], typed[TYPED_MAX];
    snprintf(prompt, sizeof prompt, "value of %.80s", key);
    int code = password_read(prompt, true, typed, sizeof typed) ? keep(typed, strlen(typed), ret) : EXIT_USAGE;
    explicit_bzero(typed, sizeof typed);
    return code;
}

static int take_word(char *word, struct conf_secret *ret)
{
    static bool warned;
    int code = keep(word, strlen(word), ret);
    explicit_bzero(word, strlen(word));
    if (!warned)
        fprintf(stderr,
                "tenure config: a secret that is typed as a word stays in the shell's history: without a VALUE it is "
                "asked for, '-' is standard input, '@FILE' a file\n");
    warned = true;
    return code;
}

int conf_secret_take(const char *key, char *word, struct conf_secret *ret)
{
    *ret = (struct conf_secret){0};
    if (!word && isatty(STDIN_FILENO))
        return ask(key, ret);
    bool is_input = !word || strcmp(word, "-") == 0;
    if (!is_input && word[0] != '@')
        return take_word(word, ret);
    ret->text = conf_file_text(is_input ? "-" : word + 1, &ret->len);
    return ret->text ? EXIT_OK : EXIT_USAGE;
}

void conf_secret_fini(struct conf_secret *s)
{
    if (s->text)
        explicit_bzero(s->text, s->len);
    free(s->text);
    *s = (struct conf_secret){0};
}
