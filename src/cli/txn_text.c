/* Reads the lines of a transaction. */
#include "cli/txn_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

/* ---- words ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_number(const char *p, int digits, unsigned *ret)
{
    *ret = 0;
    for (int i = 0; i < digits; i++) {
        int d = hex_digit(p[i]); /* also ends at the line's end */
        if (d < 0)
            return false;
        *ret = *ret * 16 + (unsigned)d;
    }
    return true;
}

/* A character of the basic plane: what \u can name. */
static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* One escape, from behind its backslash; NULL = there is no such. What it means is never longer than what it is written as. */
static const char *unescape(const char *p, char **to)
{
    static const char names[] = "abfnrtv\\\"'", means[] = "\a\b\f\n\r\t\v\\\"'";
    const char *at = *p ? strchr(names, *p) : NULL;
    unsigned c;
    if (at) {
        *(*to)++ = means[at - names];
        return p + 1;
    }
    if (*p == 'x' && hex_number(p + 1, 2, &c)) {
        *(*to)++ = (char)c;
        return p + 3;
    }
    if (*p == 'u' && hex_number(p + 1, 4, &c) && (c < 0xd800 || c > 0xdfff)) {
        *to = put_utf8(*to, c);
        return p + 5;
    }
    return NULL;
}

/* From an opening quote to behind the closing one; the word is written from *to on. */
static char *quoted(char *p, char **to, const char **ret_why)
{
    char quote = *p++;
    while (*p && *p != quote) {
        if (quote == '"' && *p == '\\') {
            p = (char *)unescape(p + 1, to);
            if (!p) {
                *ret_why = "an escape in double quotes that is none of \\n \\t \\\\ \\\" \\xHH \\uHHHH …";
                return NULL;
            }
        } else {
            *(*to)++ = *p++;
        }
    }
    if (!*p) {
        *ret_why = "a quote that does not end";
        return NULL;
    }
    return p + 1;
}

int txn_words(char *line, char *ret[TXN_WORDS_MAX + 1], size_t ret_len[TXN_WORDS_MAX], const char **ret_why)
{
    int n = 0;
    char *p = line;
    for (;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p)
            break;
        if (n == TXN_WORDS_MAX) {
            *ret_why = "more than 32 words";
            return -1;
        }
        char *to = p;
        ret[n] = p;
        while (p && *p && !isspace((unsigned char)*p)) {
            if (*p == '"' || *p == '\'')
                p = quoted(p, &to, ret_why);
            else
                *to++ = *p++;
        }
        if (!p)
            return -1;
        bool at_end = !*p;
        if (ret_len)
            ret_len[n] = (size_t)(to - ret[n]);
        n++;
        *to = 0; /* never behind p: a word is not longer than what it was written as */
        p += !at_end;
    }
    ret[n] = NULL;
    return n;
}

/* ---- compares ---- */

static const struct target_name {
    const char *name;
    enum tenure_target target;
} target_names[] = {
    {"version", TENURE_TARGET_VERSION}, {"ver", TENURE_TARGET_VERSION}, {"create", TENURE_TARGET_CREATE},
    {"c", TENURE_TARGET_CREATE},        {"mod", TENURE_TARGET_MOD},     {"m", TENURE_TARGET_MOD},
    {"value", TENURE_TARGET_VALUE},     {"val", TENURE_TARGET_VALUE},   {"lease", TENURE_TARGET_LEASE},
};

static bool find_target(const char *name, enum tenure_target *ret)
{
    for (size_t i = 0; i < sizeof target_names / sizeof target_names[0]; i++) {
        if (strcmp(target_names[i].name, name) == 0) {
            *ret = target_names[i].target;
            return true;
        }
    }
    return false;
}

static bool find_operator(const char *name, enum tenure_cmp *ret)
{
    static const char *const names[] = {"=", ">", "<", "!="}; /* by enum tenure_cmp */
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum tenure_cmp)i;
            return true;
        }
    }
    return false;
}

/* The bracket that closes the key, which may be quoted and hold brackets itself. */
static char *closing(char *p)
{
    char quote = 0;
    for (; *p; p++) {
        if (quote && *p == '\\' && quote == '"' && p[1])
            p++;
        else if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if (*p == ')')
            return p;
    }
    return NULL;
}

static bool number(const struct tenure_compare *c, const char *word, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = c->target == TENURE_TARGET_LEASE ? (int64_t)strtoull(word, &end, 16) : strtoll(word, &end, 10);
    return end != word && *end == 0 && errno == 0;
}

bool txn_compare(char *line, struct tenure_compare *ret, const char **ret_why)
{
    char *word[TXN_WORDS_MAX + 1], *key[TXN_WORDS_MAX + 1];
    size_t len[TXN_WORDS_MAX], key_len[TXN_WORDS_MAX];
    *ret = (struct tenure_compare){.size = sizeof *ret};
    line += strspn(line, " \t");
    char *open = strchr(line, '('), *close = open ? closing(open + 1) : NULL;
    if (!close) {
        *ret_why = "expected a compare such as mod(\"key\") = \"5\"";
        return false;
    }
    *open = *close = 0;
    if (!find_target(line, &ret->target)) {
        *ret_why = "expected version, create, mod, lease or value before the bracket";
        return false;
    }
    int keys = txn_words(open + 1, key, key_len, ret_why);
    int words = keys < 0 ? -1 : txn_words(close + 1, word, len, ret_why);
    if (words < 0)
        return false;
    if (keys != 1 || words != 2 || !find_operator(word[0], &ret->cmp)) {
        *ret_why = "expected one key in the brackets, then = != < or >, then what it is compared with";
        return false;
    }
    ret->key = (struct tenure_bytes){key[0], key_len[0]};
    if (ret->target == TENURE_TARGET_VALUE) {
        ret->value = (struct tenure_bytes){word[1], len[1]};
    } else if (!number(ret, word[1], &ret->number)) {
        *ret_why = ret->target == TENURE_TARGET_LEASE ? "expected a lease id in hexadecimal" : "expected a number";
        return false;
    }
    return true;
}

/* ---- operations ---- */

static struct {
    bool prefix, from_key, keys_only, count_only, prev_kv, ignore_value, ignore_lease;
    int64_t limit, revision, lease;
} opt;

static const struct option_spec get_options[] = {
    {"prefix", 0, OPTION_FLAG, NULL, NULL, &opt.prefix},
    {"from-key", 0, OPTION_FLAG, NULL, NULL, &opt.from_key},
    {"keys-only", 0, OPTION_FLAG, NULL, NULL, &opt.keys_only},
    {"count-only", 0, OPTION_FLAG, NULL, NULL, &opt.count_only},
    {"limit", 0, OPTION_INT, "N", NULL, &opt.limit},
    {"rev", 0, OPTION_INT, "REVISION", NULL, &opt.revision},
    {NULL, 0, 0, NULL, NULL, NULL},
};
static const struct option_spec del_options[] = {
    {"prefix", 0, OPTION_FLAG, NULL, NULL, &opt.prefix},
    {"from-key", 0, OPTION_FLAG, NULL, NULL, &opt.from_key},
    {"prev-kv", 0, OPTION_FLAG, NULL, NULL, &opt.prev_kv},
    {NULL, 0, 0, NULL, NULL, NULL},
};
static const struct option_spec put_options[] = {
    {"lease", 0, OPTION_HEX, "ID", NULL, &opt.lease},
    {"prev-kv", 0, OPTION_FLAG, NULL, NULL, &opt.prev_kv},
    {"ignore-value", 0, OPTION_FLAG, NULL, NULL, &opt.ignore_value},
    {"ignore-lease", 0, OPTION_FLAG, NULL, NULL, &opt.ignore_lease},
    {NULL, 0, 0, NULL, NULL, NULL},
};

/* The word's length; it may hold zero bytes, and options_parse has moved the words. */
static struct tenure_bytes as_bytes(const char *word, char *const *all, const size_t *len, int n)
{
    for (int i = 0; i < n; i++)
        if (all[i] == word)
            return (struct tenure_bytes){word, len[i]};
    return tenure_str(word);
}

static void add_get(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes end)
{
    struct tenure_get_options o = {.size = sizeof o,
                                   .prefix = opt.prefix,
                                   .from_key = opt.from_key,
                                   .range_end = end,
                                   .keys_only = opt.keys_only,
                                   .count_only = opt.count_only,
                                   .limit = opt.limit,
                                   .revision = opt.revision};
    (success ? tenure_then_get : tenure_else_get)(t, key, &o);
}

static void add_del(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes end)
{
    struct tenure_delete_options o = {
        .size = sizeof o, .prefix = opt.prefix, .from_key = opt.from_key, .range_end = end, .prev_kv = opt.prev_kv};
    (success ? tenure_then_delete : tenure_else_delete)(t, key, &o);
}

static void add_put(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes value)
{
    struct tenure_put_options o = {.size = sizeof o,
                                   .lease = opt.lease,
                                   .prev_kv = opt.prev_kv,
                                   .ignore_value = opt.ignore_value,
                                   .ignore_lease = opt.ignore_lease};
    (success ? tenure_then_put_with : tenure_else_put_with)(t, key, value, &o);
}

bool txn_operation(char *line, tenure_txn *t, bool success, const char **ret_why)
{
    static const struct {
        const char *name;
        const struct option_spec *options;
        void (*add)(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes second);
        const char *expected;
    } kinds[] = {{"get", get_options, add_get, "expected get KEY, or get KEY RANGE_END"},
                 {"put", put_options, add_put, "expected put KEY VALUE"},
                 {"del", del_options, add_del, "expected del KEY, or del KEY RANGE_END"}};
    char *word[TXN_WORDS_MAX + 1], *argv[TXN_WORDS_MAX + 1];
    size_t len[TXN_WORDS_MAX];
    *ret_why = NULL;
    int n = txn_words(line, word, len, ret_why), words = 0;
    if (n < 0)
        return false;
    memset(&opt, 0, sizeof opt);
    memcpy(argv, word, sizeof argv);
    for (size_t i = 0; n > 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(argv[0], kinds[i].name) != 0)
            continue;
        if (!options_parse("tenure txn", kinds[i].options, NULL, false, n - 1, argv + 1, &words))
            return false;
        bool is_put = kinds[i].add == add_put;
        int least = is_put && !opt.ignore_value ? 2 : 1, most = is_put && opt.ignore_value ? 1 : 2;
        if (words < least || words > most) {
            *ret_why = kinds[i].expected;
            return false;
        }
        struct tenure_bytes none = {NULL, 0};
        kinds[i].add(t, success, as_bytes(argv[1], word, len, n), words > 1 ? as_bytes(argv[2], word, len, n) : none);
        return true;
    }
    *ret_why = "expected get, put or del";
    return false;
}
