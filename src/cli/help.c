/* Writes `--help` and the man pages from the command table, so that neither can say what the other does not. */
#include "cli/help.h"

#include <string.h>

#include "cli/exits.h"

#define USAGE_WIDTH 120
#define ABOUT       "leader election and locks on the etcd v3 API, and a server of it"

static void option_left(char *out, size_t size, const struct option_spec *o)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(out, size, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

static void option_lines(FILE *to, const struct option_spec *t)
{
    char left[80];
    for (; t && t->name; t++) {
        option_left(left, sizeof left, t);
        if (strlen(left) > 28)
            fprintf(to, "  %s\n  %-28s  %s\n", left, "", t->help);
        else
            fprintf(to, "  %-28s  %s\n", left, t->help);
    }
}

/* Each line of a block, indented. */
static void block(FILE *to, const char *text, const char *indent)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(to, "%s%.*s\n", n ? indent : "", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static bool is_first_of_group(const struct command *const *c)
{
    for (const struct command *const *before = commands; before < c; before++)
        if (strcmp((*before)->group, (*c)->group) == 0)
            return false;
    return true;
}

/* From its first command on. */
static void group_lines(FILE *to, const struct command *const *c)
{
    const char *group = (*c)->group;
    fprintf(to, "\n%s\n", group);
    for (; *c; c++)
        if (strcmp((*c)->group, group) == 0)
            fprintf(to, "  %-10s  %s\n", (*c)->name, (*c)->summary);
}

void help_overview(FILE *to)
{
    fputs("tenure - " ABOUT "\n\n"
          "usage: tenure COMMAND [OPTIONS] [ARGUMENTS]\n",
          to);
    for (const struct command *const *c = commands; *c; c++)
        if (is_first_of_group(c))
            group_lines(to, c);
    fputs("\nServers: --endpoints or TENURE_ENDPOINTS, comma-separated; default http://127.0.0.1:2379.\n"
          "Users: --user or TENURE_USER and TENURE_PASSWORD, or TENURE_AUTH_TOKEN.\n"
          "`tenure COMMAND --help` says more.\n",
          to);
}

/* `lock` and `elect` have codes that keep out of a command's way, `serve` its own. */
static bool has_common_exits(const struct command *c)
{
    return !c->stop_at_words && !c->no_globals;
}

static void common_exits(FILE *to)
{
    for (const struct exit_row *r = exit_rows; r < exit_rows + EXITS_COMMON; r++)
        fprintf(to, "  %s  %s\n", r->code, r->text);
}

void help_exits(FILE *to)
{
    fputs("What the commands exit with, unless their own help says otherwise:\n\n", to);
    for (const struct exit_row *r = exit_rows; r->code; r++)
        fprintf(to, "  %-7s  %s\n", r->code, r->text);
}

/* "usage: tenure NAME A | B | …", broken behind a bar where it gets longer than a line. */
static void usage_lines(FILE *to, const struct command *c)
{
    int indent = fprintf(to, "usage: tenure %s ", c->name);
    size_t room = USAGE_WIDTH - (size_t)indent, used = 0;
    for (const char *p = c->synopsis; *p;) {
        const char *bar = strstr(p, " | ");
        size_t len = bar ? (size_t)(bar - p) + 2 : strlen(p);
        if (used > 0 && used + len > room) {
            fprintf(to, "\n%*s", indent, "");
            used = 0;
        }
        fprintf(to, "%s%.*s", used ? " " : "", (int)len, p);
        used += len + 1;
        p += len + (bar ? 1 : 0);
    }
    fputs("\n\n", to);
}

void help_command(FILE *to, const struct command *c)
{
    struct global_options g;
    fprintf(to, "tenure %s - %s\n\n", c->name, c->summary);
    usage_lines(to, c);
    block(to, c->description, "");
    if (c->options) {
        fputs("\nOptions\n", to);
        option_lines(to, c->options());
    }
    fputs(c->no_globals ? "\nCommon options\n  -h, --help                    this text\n" : "\nCommon options\n", to);
    if (!c->no_globals)
        option_lines(to, global_option_table(&g));
    fputs("\nExit codes\n", to);
    if (has_common_exits(c))
        common_exits(to);
    if (c->exits)
        block(to, c->exits, "  ");
    if (c->examples) {
        fputs("\nExamples\n", to);
        block(to, c->examples, "  ");
    }
}

/* ---- roff ---- */

/* Text of one line with what roff would read as its own escaped. */
static void roff(FILE *to, const char *s, size_t n)
{
    if (n && (s[0] == '.' || s[0] == '\''))
        fputs("\\&", to);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\')
            fputs("\\e", to);
        else if (s[i] == '-')
            fputs("\\-", to);
        else
            fputc(s[i], to);
    }
}

/* Whether it stands in columns, which roff would run together. */
static bool in_columns(const char *line, size_t n)
{
    return memmem(line, n, "   ", 3) != NULL;
}

static void roff_paragraphs(FILE *to, const char *text)
{
    bool columns = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (in_columns(text, n) != columns) {
            columns = !columns;
            fputs(columns ? ".nf\n" : ".fi\n", to);
        }
        if (n == 0)
            fputs(".PP", to);
        roff(to, text, n);
        fputc('\n', to);
        text += n + (text[n] == '\n');
    }
    if (columns)
        fputs(".fi\n", to);
}

static void roff_example(FILE *to, const char *text)
{
    fputs(".nf\n", to);
    while (*text) {
        size_t n = strcspn(text, "\n");
        roff(to, text, n);
        fputc('\n', to);
        text += n + (text[n] == '\n');
    }
    fputs(".fi\n", to);
}

static void roff_options(FILE *to, const struct option_spec *t)
{
    for (; t && t->name; t++) {
        fputs(".TP\n\\fB", to);
        if (t->letter)
            fprintf(to, "\\-%c\\fR, \\fB", t->letter);
        fputs("\\-\\-", to);
        roff(to, t->name, strlen(t->name));
        fprintf(to, "\\fR%s", t->arg ? " \\fI" : "");
        if (t->arg)
            fprintf(to, "%s\\fR", t->arg);
        fputc('\n', to);
        roff(to, t->help, strlen(t->help));
        fputc('\n', to);
    }
}

static void roff_common_exits(FILE *to)
{
    fputs(".nf\n", to);
    for (const struct exit_row *r = exit_rows; r < exit_rows + EXITS_COMMON; r++) {
        fprintf(to, "%s  ", r->code);
        roff(to, r->text, strlen(r->text));
        fputc('\n', to);
    }
    fputs(".fi\n", to);
}

static void man_overview(FILE *to)
{
    fputs(".TH TENURE 1 \"\" \"tenure " TENURE_VERSION "\" \"User commands\"\n.SH NAME\ntenure \\- " ABOUT
          "\n.SH SYNOPSIS\n\\fBtenure\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] "
          "[\\fIARGUMENTS\\fR]\n.SH COMMANDS\n",
          to);
    for (const struct command *const *c = commands; *c; c++)
        fprintf(to, ".TP\n\\fBtenure\\-%s\\fR(1)\n%s\n", (*c)->name, (*c)->summary);
    fputs(
        ".SH ENVIRONMENT\n.TP\nTENURE_ENDPOINTS\nServers to talk to, comma-separated; default http://127.0.0.1:2379.\n",
        to);
    fputs(".SH EXIT STATUS\n", to);
    for (const struct exit_row *r = exit_rows; r->code; r++) {
        fprintf(to, ".TP\n%s\n", r->code);
        roff(to, r->text, strlen(r->text));
        fputc('\n', to);
    }
}

void help_man(FILE *to, const struct command *c)
{
    struct global_options g;
    if (!c) {
        man_overview(to);
        return;
    }
    fprintf(to, ".TH TENURE\\-%s 1 \"\" \"tenure %s\" \"User commands\"\n.SH NAME\ntenure\\-%s \\- %s\n.SH SYNOPSIS\n",
            c->name, TENURE_VERSION, c->name, c->summary);
    fprintf(to, "\\fBtenure %s\\fR ", c->name);
    roff(to, c->synopsis, strlen(c->synopsis));
    fputs("\n.SH DESCRIPTION\n", to);
    roff_paragraphs(to, c->description);
    fputs(".SH OPTIONS\n", to);
    if (c->options)
        roff_options(to, c->options());
    if (!c->no_globals)
        roff_options(to, global_option_table(&g));
    fputs(".SH EXIT STATUS\n", to);
    if (has_common_exits(c))
        roff_common_exits(to);
    if (c->exits)
        roff_example(to, c->exits);
    if (c->examples) {
        fputs(".SH EXAMPLES\n", to);
        roff_example(to, c->examples);
    }
    fputs(".SH SEE ALSO\n\\fBtenure\\fR(1)\n", to);
}
