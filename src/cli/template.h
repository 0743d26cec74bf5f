/* Templates of `tenure config render`: the language of mustache (the specification's interpolation, sections, inverted
 * sections, comments, partials and set delimiters, without lambdas) over JSON values, and what configuration files need on top:
 *
 *   {{db/url}}, {{db.url}}    a path into the data, by slashes or dots; {{./url}} looks in the innermost section alone
 *   {{port:-8080}}            a value to take when there is none, or an empty one, as in a shell
 *   {{#hosts.*}} {{*}}={{.}} {{/hosts.*}}
 *                             once for each entry of an object, whose name is {{*}} (mustach's extension)
 *
 * A value that is missing is an error, unless a default is given or the mustache's own rule is asked for (lenient). Strings are
 * what a configuration store has, so "", "false", "no", "off" and "0" count as false in a section, and a string that holds a
 * JSON object or array is looked into.
 *
 * Pure. Everything is bounded: depth of sections and partials, work, output by the buffer's own bound. */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"

#define TEMPLATE_DEPTH_MAX 64                /* of sections and partials in one another */
#define TEMPLATE_WORK_MAX  ((size_t)1 << 22) /* tokens walked, and bytes of partials read by 16 */

enum template_escape {
    TEMPLATE_PLAIN, /* {{x}} as it is */
    TEMPLATE_HTML,  /* as the mustache has it; {{{x}}} and {{&x}} are always plain */
    TEMPLATE_JSON,  /* within double quotes of JSON (or YAML) */
    TEMPLATE_SHELL, /* within single quotes of a shell */
};

struct template_options {
    const char *name; /* of the file, for messages */
    enum template_escape escape;
    bool lenient; /* what is missing is empty */
    /* The text of a partial, appended to ret. NULL: there are none. */
    int (*load)(void *user, const char *partial, struct buf *ret, struct tenure_error *err);
    void *user;
};

/* Renders into out (appends). TENURE_EINVALID: the template is wrong; TENURE_ENOTFOUND: a value or partial is missing;
 * TENURE_ELIMIT: too deep, or without an end; TENURE_ETOOLARGE, TENURE_ENOMEM. The text names file and line. After a failure out holds the beginning. */
int template_render(bytes text, json_t *data, const struct template_options *o, struct buf *out,
                    struct tenure_error *err) MUST_USE;

/* ---- the parts, for template_render alone ---- */

enum template_kind { TAG_TEXT, TAG_VALUE, TAG_SECTION, TAG_INVERTED, TAG_END, TAG_PARTIAL };

struct template_token {
    enum template_kind kind;
    bytes text; /* of TAG_TEXT; else the name */
    bytes fallback;
    bytes indent; /* of a partial that has a line of its own */
    bool has_fallback, plain;
    size_t line;
    size_t end; /* of a section: the token that ends it */
};

struct template_tokens {
    struct template_token *all;
    size_t n, cap;
};

/* Borrows text. name: for messages. */
int template_parse(bytes text, const char *name, struct template_tokens *ret, struct tenure_error *err) MUST_USE;
void template_tokens_fini(struct template_tokens *t); /* of a zeroed one as well */

#endif
