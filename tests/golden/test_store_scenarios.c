/* Plays scenarios from a text file on the store engine with a clock and a log of the test's own:
 *
 *     SCENARIO a sentence          a fresh store, the clock at 0
 *     STEP <command>               see `commands` below
 *     EXPECT <line>                one for each line that the step answers; none for a step that answers nothing
 *
 * Blank lines and lines that begin with # are skipped. A range is KEY, KEY END or "KEY ..", all keys from KEY on. With
 * TENURE_GOLDEN_PRINT set the file is printed as it is played, with what the store answers. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tenure/error.h"

enum { WORDS_MAX = 96, NAMES_MAX = 16, SCENARIOS_MAX = 200, OPS_MAX = 16 };

struct named {
    char name[16];
    struct store_watcher *watcher;
};

struct play {
    struct world w;
    struct named watchers[NAMES_MAX];
    struct buf out; /* lines of the step */
    char *words[WORDS_MAX];
    size_t n_words, at; /* the next word to read */
};

struct scenario {
    char *name, *text; /* the lines behind the name, up to the next scenario */
    const char *file;
    int line; /* of the name */
};

static void say(struct play *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct play *p, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    buf_printf(&p->out, "%s", line);
}

static bool failed(struct play *p, enum etcd_error e)
{
    if (e)
        say(p, "error: %s\n", etcd_error_text(e));
    return e != ETCD_OK;
}

/* ---- words ---- */

static const char *peek(const struct play *p)
{
    return p->at < p->n_words ? p->words[p->at] : "";
}

static const char *next(struct play *p)
{
    const char *word = peek(p);
    p->at += p->at < p->n_words;
    return word;
}

static bool has(struct play *p, const char *flag)
{
    for (size_t i = p->at; i < p->n_words; i++) {
        if (strcmp(p->words[i], flag) == 0)
            return true;
    }
    return false;
}

static int64_t option(struct play *p, const char *name, int64_t otherwise)
{
    size_t len = strlen(name);
    for (size_t i = p->at; i < p->n_words; i++) {
        if (strncmp(p->words[i], name, len) == 0 && p->words[i][len] == '=')
            return strtoll(p->words[i] + len + 1, NULL, 10);
    }
    return otherwise;
}

static bool is_option(const char *word)
{
    static const char *const flags[] = {"prev",         "keys_only",    "count_only", "no_put", "no_delete",
                                        "ignore_value", "ignore_lease", "asc",        "desc"};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(word, flags[i]) == 0)
            return true;
    }
    return strchr(word, '=') != NULL;
}

static struct key_range next_range(struct play *p)
{
    const char *key = next(p), *end = peek(p);
    if (strcmp(end, "..") == 0) {
        next(p);
        return range_of(key, WORLD_FROM);
    }
    if (*end == 0 || is_option(end))
        return range_of(key, NULL);
    next(p);
    return range_of(key, end);
}

/* ---- KV ---- */

static void say_kv(struct play *p, const char *indent, const struct kv *kv)
{
    say(p, "%s%.*s=%.*s create=%lld mod=%lld version=%lld", indent, (int)kv->key.len, (const char *)kv->key.data,
        (int)kv->value.len, (const char *)kv->value.data, (long long)kv->create_revision, (long long)kv->mod_revision,
        (long long)kv->version);
    if (kv->lease)
        say(p, " lease=%lld", (long long)kv->lease);
    say(p, "\n");
}

static struct put_req next_put(struct play *p)
{
    struct put_req req = {.key = bytes_str(next(p))};
    req.ignore_value = has(p, "ignore_value");
    if (!is_option(peek(p)))
        req.value = bytes_str(next(p));
    req.lease = option(p, "lease", 0);
    req.prev_kv = has(p, "prev");
    req.ignore_lease = has(p, "ignore_lease");
    return req;
}

static void say_put(struct play *p, const char *indent, const struct put_resp *r)
{
    say(p, "%sput at %lld\n", indent, (long long)r->revision);
    if (r->has_prev_kv)
        say_kv(p, "  was ", &r->prev_kv);
}

static void cmd_put(struct play *p)
{
    struct put_req req = next_put(p);
    struct put_resp resp;
    if (!failed(p, store_put(p->w.s, &req, &p->w.a, &resp, &p->w.seq)))
        say_put(p, "", &resp);
}

static struct delete_req next_delete(struct play *p)
{
    return (struct delete_req){.range = next_range(p), .prev_kv = has(p, "prev")};
}

static void say_delete(struct play *p, const char *indent, const struct delete_resp *r)
{
    say(p, "%sdeleted %lld at %lld\n", indent, (long long)r->deleted, (long long)r->revision);
    for (size_t i = 0; i < r->n_prev_kvs; i++)
        say_kv(p, "  was ", &r->prev_kvs[i]);
}

static void cmd_del(struct play *p)
{
    struct delete_req req = next_delete(p);
    struct delete_resp resp;
    if (!failed(p, store_delete(p->w.s, &req, &p->w.a, &resp, &p->w.seq)))
        say_delete(p, "", &resp);
}

static struct range_req next_get(struct play *p)
{
    struct range_req req = {.range = next_range(p)};
    req.limit = option(p, "limit", 0);
    req.revision = option(p, "rev", 0);
    req.sort_target = (int32_t)option(p, "by", 0);
    req.sort_order = has(p, "desc") ? SORT_DESCEND : has(p, "asc") ? SORT_ASCEND : SORT_NONE;
    req.keys_only = has(p, "keys_only");
    req.count_only = has(p, "count_only");
    req.min_mod_revision = option(p, "min_mod", 0);
    req.max_mod_revision = option(p, "max_mod", 0);
    req.min_create_revision = option(p, "min_create", 0);
    req.max_create_revision = option(p, "max_create", 0);
    return req;
}

static void say_get(struct play *p, const char *indent, const struct range_resp *r)
{
    say(p, "%s%lld found at %lld%s\n", indent, (long long)r->count, (long long)r->revision, r->more ? ", more" : "");
    for (size_t i = 0; i < r->n_kvs; i++)
        say_kv(p, "  ", &r->kvs[i]);
}

static void cmd_get(struct play *p)
{
    struct range_req req = next_get(p);
    struct range_resp resp;
    if (!failed(p, store_range(p->w.s, &req, &p->w.a, &resp)))
        say_get(p, "", &resp);
}

static void cmd_compact(struct play *p)
{
    struct compact_req req = {.revision = strtoll(next(p), NULL, 10)};
    struct compact_resp resp;
    if (!failed(p, store_compact(p->w.s, &req, &resp, &p->w.seq)))
        say(p, "compacting at %lld\n", (long long)resp.revision);
}

/* ---- txn: "if mod(a)=3 value(b)=x then put a 1 ; get a else del b" ---- */

static struct compare parse_compare(char *word)
{
    static const char *const targets[] = {"version", "create", "mod", "value", "lease"};
    struct compare c = {.target = 99};
    char *open = strchr(word, '('), *close = strchr(word, ')');
    assert_non_null(open);
    assert_non_null(close);
    *open = *close = 0;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        c.target = strcmp(word, targets[i]) == 0 ? (int32_t)i : c.target;
    const char *operator= close + 1;
    c.result = *operator== '='    ? COMPARE_EQUAL
               : * operator== '>' ? COMPARE_GREATER
               : * operator== '<' ? COMPARE_LESS
                                  : COMPARE_NOT_EQUAL;
    c.range = range_of(open + 1, NULL);
    c.number = strtoll(operator+ 1, NULL, 10);
    c.value = bytes_str(operator+ 1);
    return c;
}

static struct request_op parse_op(struct play *p)
{
    const char *kind = next(p);
    if (strcmp(kind, "put") == 0)
        return (struct request_op){.kind = OP_PUT, .put = next_put(p)};
    if (strcmp(kind, "del") == 0)
        return (struct request_op){.kind = OP_DELETE, .del = next_delete(p)};
    assert_string_equal(kind, "get");
    return (struct request_op){.kind = OP_RANGE, .range = next_get(p)};
}

/* The words up to the next ';' or "else" are one operation. */
static size_t parse_ops(struct play *p, struct request_op *ops)
{
    size_t n = 0, all = p->n_words;
    while (p->at < all && strcmp(peek(p), "else") != 0) {
        size_t end = p->at;
        while (end < all && strcmp(p->words[end], ";") != 0 && strcmp(p->words[end], "else") != 0)
            end++;
        p->n_words = end;
        assert_true(n < OPS_MAX);
        ops[n++] = parse_op(p);
        p->n_words = all;
        p->at = end + (end < all && strcmp(p->words[end], ";") == 0);
    }
    return n;
}

static void say_op(struct play *p, const struct response_op *op)
{
    if (op->kind == OP_PUT)
        say_put(p, "- ", &op->put);
    else if (op->kind == OP_DELETE)
        say_delete(p, "- ", &op->del);
    else
        say_get(p, "- ", &op->range);
}

static void cmd_txn(struct play *p)
{
    struct compare compares[OPS_MAX];
    struct request_op yes[OPS_MAX], no[OPS_MAX];
    struct txn_req t = {.compares = compares, .success = yes, .failure = no};
    struct txn_resp resp;
    if (strcmp(peek(p), "if") == 0)
        next(p);
    while (p->at < p->n_words && strcmp(peek(p), "then") != 0)
        compares[t.n_compares++] = parse_compare((char *)next(p));
    next(p);
    t.n_success = parse_ops(p, yes);
    next(p);
    t.n_failure = parse_ops(p, no);
    if (failed(p, store_txn(p->w.s, &t, &p->w.a, &resp, &p->w.seq)))
        return;
    say(p, "%s at %lld\n", resp.succeeded ? "then" : "else", (long long)resp.revision);
    for (size_t i = 0; i < resp.n_responses; i++)
        say_op(p, &resp.responses[i]);
}

/* ---- leases and time ---- */

static void cmd_grant(struct play *p)
{
    struct lease_grant_req req = {.id = strtoll(next(p), NULL, 10)};
    struct lease_grant_resp resp;
    req.ttl_s = strtoll(next(p), NULL, 10);
    if (!failed(p, store_lease_grant(p->w.s, &req, p->w.now, &resp, &p->w.seq)))
        say(p, "lease %lld for %lld s\n", (long long)resp.id, (long long)resp.ttl_s);
}

static void cmd_revoke(struct play *p)
{
    struct lease_revoke_req req = {.id = strtoll(next(p), NULL, 10)};
    struct lease_revoke_resp resp;
    if (!failed(p, store_lease_revoke(p->w.s, &req, &resp, &p->w.seq)))
        say(p, "revoked at %lld\n", (long long)resp.revision);
}

static void cmd_renew(struct play *p)
{
    struct lease_keepalive_req req = {.id = strtoll(next(p), NULL, 10)};
    struct lease_keepalive_resp resp;
    tn_ms deadline;
    assert_int_equal(store_lease_keepalive(p->w.s, &req, p->w.now, &resp, &deadline, &p->w.seq), ETCD_OK);
    say(p, "ttl %lld, until %lld\n", (long long)resp.ttl_s, (long long)deadline);
}

static void cmd_ttl(struct play *p)
{
    struct lease_ttl_req req = {.id = strtoll(next(p), NULL, 10), .keys = true};
    struct lease_ttl_resp resp;
    if (failed(p, store_lease_ttl(p->w.s, &req, p->w.now, &p->w.a, &resp, &p->w.seq)))
        return;
    say(p, "ttl %lld of %lld:", (long long)resp.ttl_s, (long long)resp.granted_ttl_s);
    for (size_t i = 0; i < resp.n_keys; i++)
        say(p, " %.*s", (int)resp.keys[i].len, (const char *)resp.keys[i].data);
    say(p, "\n");
}

static void cmd_leases(struct play *p)
{
    struct lease_list_resp resp;
    if (failed(p, store_lease_list(p->w.s, &p->w.a, &resp, &p->w.seq)))
        return;
    say(p, "leases:");
    for (size_t i = 0; i < resp.n_ids; i++)
        say(p, " %lld", (long long)resp.ids[i]);
    say(p, "\n");
}

static void cmd_time(struct play *p)
{
    p->w.now += strtoll(next(p), NULL, 10);
}

static void cmd_shift(struct play *p)
{
    store_lease_shift(p->w.s, strtoll(next(p), NULL, 10));
}

static void cmd_expire(struct play *p)
{
    tn_lease ids[16];
    size_t n = store_lease_expire(p->w.s, p->w.now, ARRAY_LEN(ids), ids);
    say(p, "expired:");
    for (size_t i = 0; i < n; i++)
        say(p, " %lld", (long long)ids[i]);
    say(p, "\n");
}

/* ---- the log ---- */

static void cmd_commit(struct play *p)
{
    if (p->at < p->n_words)
        world_commit_some(&p->w, (size_t)strtoull(next(p), NULL, 10));
    else
        world_commit(&p->w);
}

static void cmd_rollback(struct play *p)
{
    store_rollback(p->w.s);
}

static void cmd_restart(struct play *p)
{
    memset(p->watchers, 0, sizeof p->watchers);
    world_restart(&p->w);
}

static void cmd_trim(struct play *p)
{
    size_t max = p->at < p->n_words ? (size_t)strtoull(next(p), NULL, 10) : 100;
    say(p, "trimmed %zu\n", world_trim(&p->w, max));
}

static void cmd_state(struct play *p)
{
    const struct store *s = p->w.s;
    say(p, "revision %lld/%lld, compacted %lld, row %lld/%lld, keys %lld, leases %lld\n", (long long)store_revision(s),
        (long long)store_revision_planned(s), (long long)store_compacted(s), (long long)store_seq(s),
        (long long)store_seq_planned(s), (long long)store_keys(s), (long long)store_leases(s));
}

static void cmd_auto_compact(struct play *p)
{
    say(p, "due %lld\n", (long long)store_auto_compact(p->w.s, p->w.now, strtoll(next(p), NULL, 10)));
}

/* ---- watches ---- */

static struct named *find_named(struct play *p, const char *name)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (p->watchers[i].watcher && strcmp(p->watchers[i].name, name) == 0)
            return &p->watchers[i];
    }
    fail_msg("no watcher %s", name);
    return NULL;
}

static struct named *free_name(struct play *p)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (!p->watchers[i].watcher)
            return &p->watchers[i];
    }
    fail_msg("too many watchers");
    return NULL;
}

static void cmd_watch(struct play *p)
{
    struct named *named = free_name(p);
    snprintf(named->name, sizeof named->name, "%s", next(p));
    struct watch_create_req req = {.range = next_range(p)};
    req.start_revision = option(p, "rev", 0);
    req.prev_kv = has(p, "prev");
    req.no_put = has(p, "no_put");
    req.no_delete = has(p, "no_delete");
    if (failed(p, store_watch_add(p->w.s, &req, named->name, &named->watcher)))
        named->watcher = NULL;
}

static void cmd_unwatch(struct play *p)
{
    struct named *named = find_named(p, next(p));
    store_watch_remove(p->w.s, named->watcher);
    named->watcher = NULL;
}

static void cmd_block(struct play *p)
{
    store_watch_block(p->w.s, find_named(p, next(p))->watcher, true);
}

static void cmd_unblock(struct play *p)
{
    store_watch_block(p->w.s, find_named(p, next(p))->watcher, false);
}

static void cmd_where(struct play *p)
{
    struct named *named = find_named(p, next(p));
    say(p, "at %lld, %s\n", (long long)store_watch_position(named->watcher),
        store_watch_synced(p->w.s, named->watcher) ? "synced" : "behind");
}

static void say_batch(struct play *p, const struct store_watch_batch *b)
{
    say(p, "%s%s", (const char *)b->user, b->compacted ? " ends: compacted" : b->synced ? ":" : " (more):");
    if (b->compacted)
        say(p, " %lld", (long long)b->compact_revision);
    for (size_t i = 0; i < b->n_events; i++) {
        const struct event *e = &b->events[i];
        say(p, " %s %.*s", e->type == EVENT_PUT ? "put" : "delete", (int)e->kv.key.len, (const char *)e->kv.key.data);
        if (e->type == EVENT_PUT)
            say(p, "=%.*s", (int)e->kv.value.len, (const char *)e->kv.value.data);
        say(p, "@%lld", (long long)e->kv.mod_revision);
        if (e->has_prev_kv)
            say(p, " (was %.*s)", (int)e->prev_kv.value.len, (const char *)e->prev_kv.value.data);
    }
    say(p, "\n");
}

static void cmd_events(struct play *p)
{
    struct store_watch_batch b;
    size_t max = (size_t)option(p, "max", 100);
    while (store_watch_next(p->w.s, max, &b))
        say_batch(p, &b);
}

/* ---- the file ---- */

static const struct {
    const char *name;
    void (*run)(struct play *p);
} commands[] = {
    {"put", cmd_put},
    {"del", cmd_del},
    {"get", cmd_get},
    {"compact", cmd_compact},
    {"txn", cmd_txn},
    {"grant", cmd_grant},
    {"revoke", cmd_revoke},
    {"renew", cmd_renew},
    {"ttl", cmd_ttl},
    {"leases", cmd_leases},
    {"time", cmd_time},
    {"shift", cmd_shift},
    {"expire", cmd_expire},
    {"commit", cmd_commit},
    {"rollback", cmd_rollback},
    {"restart", cmd_restart},
    {"trim", cmd_trim},
    {"state", cmd_state},
    {"auto_compact", cmd_auto_compact},
    {"watch", cmd_watch},
    {"unwatch", cmd_unwatch},
    {"block", cmd_block},
    {"unblock", cmd_unblock},
    {"where", cmd_where},
    {"events", cmd_events},
};

static void run_step(struct play *p, const char *where, char *line)
{
    char *save = NULL;
    p->n_words = p->at = 0;
    for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(p->n_words < WORDS_MAX);
        p->words[p->n_words++] = word;
    }
    buf_reset(&p->out);
    const char *name = next(p);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(p);
            return;
        }
    }
    fail_msg("%s: there is no command \"%s\"", where, name);
}

/* Takes the next line that was answered. */
static void expect_line(struct play *p, const char *where, const char *want)
{
    size_t len = 0;
    while (len < p->out.len && p->out.data[len] != '\n')
        len++;
    if (p->out.len == 0)
        fail_msg("%s: \"%s\" was expected, nothing more came", where, want);
    if (strlen(want) != len || memcmp(p->out.data, want, len) != 0)
        fail_msg("%s: \"%s\" was expected, \"%.*s\" came", where, want, (int)len, (const char *)p->out.data);
    buf_consume(&p->out, len + 1);
}

static void expect_no_line(struct play *p, const char *where)
{
    if (p->out.len > 0)
        fail_msg("%s: before this line \"%.*s\" came", where, (int)p->out.len - 1, (const char *)p->out.data);
}

static void print_answer(struct play *p)
{
    char *save = NULL;
    buf_append_byte(&p->out, 0);
    for (char *line = strtok_r((char *)p->out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        printf("EXPECT %s\n", line);
    buf_reset(&p->out);
}

static void play_line(struct play *p, const char *where, char *line)
{
    bool print = getenv("TENURE_GOLDEN_PRINT") != NULL;
    bool is_expect = strncmp(line, "EXPECT ", 7) == 0;
    if (print && !is_expect)
        printf("%s\n", line);
    if (*line == 0 || *line == '#')
        return;
    if (is_expect && !print) {
        expect_line(p, where, line + 7);
    } else if (!is_expect) {
        expect_no_line(p, where);
        if (strncmp(line, "STEP ", 5) != 0)
            fail_msg("%s: \"%s\" is neither STEP nor EXPECT", where, line);
        run_step(p, where, line + 5);
        if (print)
            print_answer(p);
    }
}

static void scenario_play(void **state)
{
    struct scenario *sc = *state;
    struct play p = {0};
    char where[256];
    int number = sc->line;
    world_open(&p.w, NULL);
    p.w.now = 0;
    buf_init(&p.out);
    if (getenv("TENURE_GOLDEN_PRINT"))
        printf("SCENARIO %s\n", sc->name);
    for (char *line = sc->text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        snprintf(where, sizeof where, "%s:%d", sc->file, ++number);
        /* words are borrowed by requests until the step is over; names of watchers are copied */
        play_line(&p, where, line);
    }
    expect_no_line(&p, "the end");
    buf_fini(&p.out);
    world_close(&p.w);
}

static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    if (!f) {
        fprintf(stderr, "%s cannot be read\n", name);
        exit(1);
    }
    struct buf b;
    buf_init(&b);
    for (int c; (c = fgetc(f)) != EOF;)
        buf_append_byte(&b, (uint8_t)c);
    buf_append_byte(&b, 0);
    fclose(f);
    return (char *)b.data;
}

/* Cuts the text into scenarios; answers how many. */
static size_t split(const char *file, char *text, struct scenario *scenarios)
{
    size_t n = 0;
    int number = 0;
    for (char *line = text, *end; line; line = end) {
        number++;
        end = strchr(line, '\n');
        if (strncmp(line, "SCENARIO ", 9) == 0 && end && n < SCENARIOS_MAX) {
            if (n)
                line[-1] = 0;
            *end++ = 0;
            scenarios[n++] = (struct scenario){.name = line + 9, .text = end, .file = file, .line = number};
        } else if (end) {
            end++;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct scenario scenarios[SCENARIOS_MAX];
    static struct CMUnitTest tests[SCENARIOS_MAX];
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 1;
    }
    const char *slash = strrchr(argv[1], '/');
    char *text = read_file(argv[1]);
    size_t n = split(slash ? slash + 1 : argv[1], text, scenarios);
    for (size_t i = 0; i < n; i++)
        tests[i] =
            (struct CMUnitTest){.name = scenarios[i].name, .test_func = scenario_play, .initial_state = &scenarios[i]};
    int rc = n ? _cmocka_run_group_tests(argv[1], tests, n, NULL, NULL) : 1;
    free(text);
    return rc;
}
