/* tenure completion: scripts for shells, written from the command table like `--help` and the man pages. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"

#define WORDS_MAX 512

/* ---- what the table says ---- */

/* The actions of a command, from its synopsis: "grant TTL | revoke ID | list" is "grant revoke list". Empty where its first word is
 * no fixed one. */
static void actions_of(const struct command *c, char *out)
{
    size_t n = 0;
    out[0] = 0;
    for (const char *p = c->synopsis; p && islower((unsigned char)*p);) {
        size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz-");
        if (n + len + 2 > WORDS_MAX)
            break;
        n += (size_t)snprintf(out + n, WORDS_MAX - n, "%s%.*s", n ? " " : "", (int)len, p);
        p = strstr(p, " | ");
        p = p ? p + 3 : NULL;
    }
}

enum value_kind { VALUE_OTHER, VALUE_FILE, VALUE_DIR, VALUE_FORMAT };

static enum value_kind value_of(const struct option_spec *o)
{
    return !o->arg                         ? VALUE_OTHER
           : strcmp(o->arg, "FILE") == 0   ? VALUE_FILE
           : strcmp(o->arg, "DIR") == 0    ? VALUE_DIR
           : strcmp(o->arg, "FORMAT") == 0 ? VALUE_FORMAT
                                           : VALUE_OTHER;
}

/* The two tables of a command's options, one after the other; either may be NULL. */
static void for_each_option(const struct command *c, void (*each)(const struct option_spec *o, void *user), void *user)
{
    static struct global_options g;
    const struct option_spec *tables[] = {c && c->options ? c->options() : NULL,
                                          c && c->no_globals ? NULL : global_option_table(&g)};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_spec *o = tables[t]; o && o->name; o++)
            each(o, user);
}

/* Text within single quotes of the shell; `escaped` are characters that mean something to what reads it there. */
static void quoted(const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            printf("%s%c", strchr(escaped, *text) ? "\\" : "", *text);
    }
}

/* ---- bash ---- */

static void bash_option(const struct option_spec *o, void *user)
{
    (void)user;
    printf(" --%s", o->name);
    if (o->letter)
        printf(" -%c", o->letter);
}

/* As a pattern of `case`, for options with a value. */
static void bash_valued(const struct option_spec *o, void *user)
{
    bool *first = user;
    if (!o->arg)
        return;
    printf("%s--%s", *first ? "" : "|", o->name);
    if (o->letter)
        printf("|-%c", o->letter);
    *first = false;
}

static void bash_command(const struct command *c)
{
    char actions[WORDS_MAX];
    bool first = true;
    actions_of(c, actions);
    printf("    %s)\n        actions='%s' runs=%s\n        options='", c->name, actions, c->stop_at_words ? "yes" : "");
    for_each_option(c, bash_option, NULL);
    printf("'\n        case $1 in ");
    for_each_option(c, bash_valued, &first);
    printf("%s) valued=yes ;; esac\n        ;;\n", first ? "''" : "");
}

static void bash(void)
{
    fputs("# bash completion for tenure: source it, or put it into /usr/share/bash-completion/completions/tenure\n"
          "\n"
          "# What the command $2 takes; whether the option $1 has a value.\n"
          "_tenure_table() {\n"
          "    actions= options= runs= valued=\n"
          "    case $2 in\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++)
        bash_command(*c);
    fputs("    *)\n        options='", stdout);
    for_each_option(NULL, bash_option, NULL);
    fputs("'\n        case $1 in ", stdout);
    bool first = true;
    for_each_option(NULL, bash_valued, &first);
    fputs(") valued=yes ;; esac\n        ;;\n    esac\n}\n"
          "\n"
          "_tenure() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word= i n=0\n"
          "    local actions options runs valued\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        word=${COMP_WORDS[i]}\n"
          "        _tenure_table \"$word\" \"$command\"\n"
          "        if [[ $word == -- ]]; then n=99; ((i++)); break\n"
          "        elif [[ $word == -* ]]; then [[ $valued ]] && ((i++))\n"
          "        elif [[ ! $command ]]; then command=$word; _tenure_table '' \"$command\"\n"
          "        else ((n++)); [[ $runs ]] && { ((i++)); break; }\n"
          "        fi\n"
          "    done\n"
          "    _tenure_table \"$prev\" \"$command\"\n"
          "    if [[ $runs && $n -gt 0 ]]; then\n"
          "        if ((i >= COMP_CWORD)) || [[ ${COMP_WORDS[i]} == -- && $((i + 1)) -ge COMP_CWORD ]]; then\n"
          "            COMPREPLY=($(compgen -c -- \"$cur\"))\n"
          "        else\n"
          "            COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "        fi\n"
          "    elif [[ $valued ]]; then\n"
          "        case $prev in\n"
          "        --output|-o) COMPREPLY=($(compgen -W '" OUTPUT_FORMATS "' -- \"$cur\")) ;;\n"
          "        *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
          "        esac\n"
          "    elif [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
          "    elif [[ ! $command ]]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    for (const struct command *const *c = commands; *c; c++)
        printf("%s%s", c == commands ? "" : " ", (*c)->name);
    fputs("' -- \"$cur\"))\n"
          "    elif [[ $actions && $n -eq 0 ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$actions\" -- \"$cur\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _tenure tenure\n",
          stdout);
}

/* ---- zsh ---- */

static void zsh_option(const struct option_spec *o, void *user)
{
    static const char *const completers[] = {" ", "_files", "_files -/", "(" OUTPUT_FORMATS ")"};
    (void)user;
    if (o->letter)
        printf(" \\\n        '(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
    else
        printf(" \\\n        '--%s[", o->name);
    quoted(o->help, "[]:\\");
    putchar(']');
    if (o->arg) {
        putchar(':');
        quoted(o->arg, ":\\");
        printf(":%s", completers[value_of(o)]);
    }
    putchar('\'');
}

static void zsh_command(const struct command *c)
{
    char actions[WORDS_MAX];
    actions_of(c, actions);
    printf("    %s)\n        _arguments -s%s", c->name, c->stop_at_words ? " -A '-*'" : "");
    for_each_option(c, zsh_option, NULL);
    if (c->stop_at_words)
        fputs(" \\\n        '1:name: ' '*::command:_tenure_run'", stdout);
    else if (actions[0])
        printf(" \\\n        '1:action:(%s)' '*:word:_files'", actions);
    else
        fputs(" \\\n        '*:word:_files'", stdout);
    fputs("\n        ;;\n", stdout);
}

static void zsh(void)
{
    fputs("#compdef tenure\n"
          "# zsh completion for tenure: put it as _tenure into a directory of $fpath\n"
          "\n"
          "# The command behind the name of a lock.\n"
          "_tenure_run() {\n"
          "    shift words; ((CURRENT--))\n"
          "    [[ $words[1] == -- ]] && ((CURRENT > 1)) && { shift words; ((CURRENT--)); }\n"
          "    if ((CURRENT == 1)); then _command_names -e; else _normal; fi\n"
          "}\n"
          "\n"
          "_tenure() {\n"
          "    local curcontext=$curcontext state line\n"
          "    local -a table\n"
          "    _arguments -C -s",
          stdout);
    for_each_option(NULL, zsh_option, NULL);
    fputs(" \\\n        '1: :->command' '*:: :->arguments'\n"
          "    if [[ $state == command ]]; then\n"
          "        table=(\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++) {
        printf("            '%s:", (*c)->name);
        quoted((*c)->summary, ":\\");
        fputs("'\n", stdout);
    }
    fputs("        )\n"
          "        _describe command table\n"
          "        return\n"
          "    fi\n"
          "    [[ $state == arguments ]] || return\n"
          "    case $words[1] in\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++)
        zsh_command(*c);
    fputs("    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _tenure ]]; then _tenure \"$@\"; else compdef _tenure tenure; fi\n",
          stdout);
}

/* ---- fish ---- */

static void fish_option(const struct option_spec *o, void *user)
{
    static const char *const completers[] = {" -x", " -r -F", " -x -a '(__fish_complete_directories)'",
                                             " -x -a '" OUTPUT_FORMATS "'"};
    const struct command *c = user;
    fputs("complete -c tenure", stdout);
    if (c)
        printf(" -n '__tenure_in %s'", c->name);
    else
        fputs(" -n 'not __tenure_command'", stdout);
    printf(" -l %s", o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    fputs(o->arg ? completers[value_of(o)] : "", stdout);
    fputs(" -d '", stdout);
    for (const char *p = o->help; *p; p++)
        printf("%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
    fputs("'\n", stdout);
}

static void fish_command(const struct command *c)
{
    char actions[WORDS_MAX];
    actions_of(c, actions);
    printf("complete -c tenure -n 'not __tenure_command' -a %s -d '", c->name);
    for (const char *p = c->summary; *p; p++)
        printf("%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
    fputs("'\n", stdout);
    for_each_option(c, fish_option, (void *)c);
    if (c->stop_at_words)
        printf("complete -c tenure -n '__tenure_in %s; and __tenure_words 1' -x -a '(__fish_complete_subcommand "
               "--fcs-skip=3)'\n",
               c->name);
    else if (actions[0])
        printf("complete -c tenure -n '__tenure_in %s; and not __tenure_words 1' -a '%s'\n", c->name, actions);
    if (!c->stop_at_words)
        printf("complete -c tenure -n '__tenure_in %s%s' -F\n", c->name, actions[0] ? "; and __tenure_words 1" : "");
}

static void fish(void)
{
    fputs(
        "# fish completion for tenure: put it as tenure.fish into ~/.config/fish/completions\n"
        "\n"
        "# The words so far that are neither options nor their values: the command first. Options with values end in '='\n"
        "# or take the next word.\n"
        "function __tenure_plain\n"
        "    set -l skip 0\n"
        "    for word in (commandline -opc)[2..-1]\n"
        "        if test $skip = 1\n"
        "            set skip 0\n"
        "        else if contains -- $word",
        stdout);
    for (const struct command *const *c = commands; *c; c++)
        for (const struct option_spec *o = (*c)->options ? (*c)->options() : NULL; o && o->name; o++)
            if (o->arg)
                printf(" --%s", o->name);
    static struct global_options g;
    for (const struct option_spec *o = global_option_table(&g); o->name; o++) {
        if (o->arg)
            printf(" --%s", o->name);
        if (o->arg && o->letter)
            printf(" -%c", o->letter);
    }
    fputs("\n"
          "            set skip 1\n"
          "        else if not string match -q -- '-*' $word\n"
          "            echo $word\n"
          "        end\n"
          "    end\n"
          "end\n"
          "function __tenure_command\n"
          "    set -l plain (__tenure_plain)\n"
          "    test (count $plain) -gt 0\n"
          "end\n"
          "function __tenure_in\n"
          "    set -l plain (__tenure_plain)\n"
          "    test (count $plain) -gt 0; and test $plain[1] = $argv[1]\n"
          "end\n"
          "# Whether there are so many words behind the command.\n"
          "function __tenure_words\n"
          "    set -l plain (__tenure_plain)\n"
          "    test (count $plain) -gt $argv[1]\n"
          "end\n"
          "complete -c tenure -f\n",
          stdout);
    for_each_option(NULL, fish_option, NULL);
    for (const struct command *const *c = commands; *c; c++)
        fish_command(*c);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    (void)self, (void)g;
    for (size_t i = 0; argc == 1 && i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(argv[0], shells[i].name) == 0) {
            shells[i].print();
            return EXIT_OK;
        }
    }
    fprintf(stderr, "tenure completion: expected bash, zsh or fish\ntry: tenure completion --help\n");
    return EXIT_USAGE;
}

const struct command command_completion = {
    .name = "completion",
    .group = "Servers",
    .summary = "a script that completes commands and options in a shell",
    .synopsis = "bash | zsh | fish",
    .description =
        "Prints it; the shell is to read it. Installing Tenure puts all three where their shells look for them.",
    .examples = "source <(tenure completion bash)                            # this shell only\n"
                "tenure completion zsh > \"${fpath[1]}/_tenure\"\n"
                "tenure completion fish > ~/.config/fish/completions/tenure.fish",
    .run = run,
    .no_globals = true,
};
