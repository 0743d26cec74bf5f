#include "cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/paths.h"

#define FILE_MAX_BYTES 65536
#define WORD_MAX       1024

struct words {
    const char *text, *at;
    char *word; /* WORD_MAX */
    bool bad;   /* an open quote, or a word that is too long */
};

/* ---- words ---- */

static void skip_blanks(struct words *w)
{
    for (;;) {
        w->at += strspn(w->at, " \t\r\n");
        if (*w->at != '#')
            return;
        w->at += strcspn(w->at, "\n");
    }
}

static bool add(struct words *w, size_t *len, char c)
{
    w->bad = *len + 1 >= WORD_MAX;
    if (!w->bad)
        w->word[(*len)++] = c;
    return !w->bad;
}

static bool quoted(struct words *w, size_t *len)
{
    for (w->at++; *w->at && *w->at != '"'; w->at++) {
        if (*w->at == '\\' && w->at[1])
            w->at++;
        if (!add(w, len, *w->at))
            return false;
    }
    w->bad = *w->at != '"';
    w->at += !w->bad;
    return !w->bad;
}

static bool next(struct words *w)
{
    size_t len = 0;
    skip_blanks(w);
    if (!*w->at || w->bad)
        return false;
    if (*w->at == '"') {
        if (!quoted(w, &len))
            return false;
    } else {
        while (*w->at && !strchr(" \t\r\n", *w->at))
            if (!add(w, &len, *w->at++))
                return false;
    }
    w->word[len] = 0;
    return true;
}

/* ---- which entry fits ---- */

static bool host_is(const char *url, size_t len, const char *machine)
{
    const char *end = url + len, *host = strstr(url, "://");
    host = host && host < end ? host + 3 : url;
    size_t with_port = (size_t)(end - host), wanted = strlen(machine);
    const char *colon = memrchr(host, ':', with_port), *bracket = memrchr(host, ']', with_port);
    size_t alone = colon && colon > bracket ? (size_t)(colon - host) : with_port;
    return (wanted == with_port && memcmp(host, machine, wanted) == 0) ||
           (wanted == alone && memcmp(host, machine, wanted) == 0);
}

static bool fits(const struct global_options *g, const char *machine)
{
    const char *url = g->endpoints ? g->endpoints : getenv("TENURE_ENDPOINTS");
    const char *srv = getenv("TENURE_DISCOVERY_SRV");
    if (g->context && strcmp(g->context, machine) == 0)
        return true;
    if (g->discovery_srv && strcmp(g->discovery_srv, machine) == 0)
        return true;
    if (!g->endpoints && (g->discovery_srv || ((!url || !*url) && srv && *srv)))
        return !g->discovery_srv && strcmp(srv, machine) == 0; /* by DNS: not those of this machine */
    if (!url || !*url)
        url = "http://127.0.0.1:2379";
    for (size_t len; *url; url += len + (url[len] == ',')) {
        len = strcspn(url, ",");
        if (host_is(url, len, machine))
            return true;
    }
    return false;
}

/* ---- the file ---- */

struct entry {
    bool fits, begun, has_password;
    int line; /* where it begins */
    char login[WORD_MAX], password[WORD_MAX];
};

static bool wrong(const char *who, const char *path, const char *why)
{
    fprintf(stderr, "%s: credentials in %s: %s\n", who, path, why);
    return false;
}

static int line_of(const struct words *w)
{
    int line = 1;
    for (const char *p = w->text; p < w->at; p++)
        line += *p == '\n';
    return line;
}

static bool wrong_at(const char *who, const char *path, int line, const char *why)
{
    fprintf(stderr, "%s: credentials in %s: line %d: %s\n", who, path, line, why);
    return false;
}

/* One without a password would be passed over, and nobody would know why who asks is not let in. */
static bool is_whole(const char *who, const char *path, const struct entry *e)
{
    return !e->begun || e->has_password || wrong_at(who, path, e->line, "this entry has no password");
}

static bool entry_counts(const struct entry *e, const char *user)
{
    return e->fits && e->password[0] && (user ? strcmp(user, e->login) == 0 : e->login[0] != 0);
}

/* The first that counts is left in e; e->fits is false when there is none. */
static bool search(const char *who, const char *path, const char *text, const struct global_options *g,
                   const char *user, struct entry *e)
{
    char word[WORD_MAX];
    struct words w = {.text = text, .at = text, .word = word};
    *e = (struct entry){.fits = false};
    while (next(&w)) {
        bool machine = strcmp(word, "machine") == 0, begins = machine || strcmp(word, "default") == 0;
        bool login = strcmp(word, "login") == 0, password = strcmp(word, "password") == 0;
        int line = line_of(&w);
        if (begins && !is_whole(who, path, e))
            return false;
        if (begins && entry_counts(e, user))
            return true;
        if (!begins && !login && !password)
            return wrong_at(who, path, line, "expected machine, default, login or password");
        if (begins)
            *e = (struct entry){.fits = !machine, .begun = true, .line = line};
        if ((machine || login || password) && !next(&w))
            return wrong_at(who, path, line, "a word is missing behind it, not ended, or longer than 1,023 bytes");
        if (machine)
            e->fits = fits(g, word);
        else if (login || password)
            memcpy(login ? e->login : e->password, word, strlen(word) + 1);
        e->has_password = e->has_password || (password && word[0]);
    }
    explicit_bzero(word, sizeof word);
    if (w.bad || *w.at)
        return wrong_at(who, path, line_of(&w), "a word is not ended, or longer than 1,023 bytes");
    if (!is_whole(who, path, e))
        return false;
    e->fits = entry_counts(e, user);
    return true;
}

/* -1: there is none, or (ret_ok false) it is no good. */
static int open_file(const char *who, const char *path, bool must_exist, bool *ret_ok)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_ok = true;
    if (fd < 0) {
        *ret_ok = !must_exist && (errno == ENOENT || errno == ENOTDIR);
        if (!*ret_ok)
            wrong(who, path, strerror(errno));
        return -1;
    }
    *ret_ok = false;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= FILE_MAX_BYTES)
        wrong(who, path, "not a file of less than 64 KiB");
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        wrong(who, path, "it belongs to somebody else");
    else if (st.st_mode & 077)
        fprintf(stderr, "%s: credentials in %s: others can read them (mode %04o)\ntry: chmod 600 %s\n", who, path,
                (unsigned)st.st_mode & 07777, path);
    else
        *ret_ok = true;
    if (*ret_ok)
        return fd;
    close(fd);
    return -1;
}

bool credentials_find(const char *who, struct global_options *g)
{
    static struct entry found; /* what g points into */
    static char text[FILE_MAX_BYTES];
    const char *named = getenv("TENURE_CREDENTIALS"), *user = g->user ? g->user : getenv("TENURE_USER");
    const char *given = getenv("TENURE_PASSWORD");
    char path[4096];
    bool ok, is_named = named && *named;
    if ((g->password && *g->password) || (given && *given) || (user && strchr(user, ':')))
        return true;
    if (is_named)
        snprintf(path, sizeof path, "%s", named);
    else if (!paths_config("credentials", path, sizeof path))
        return true;
    int fd = open_file(who, path, is_named, &ok);
    if (fd < 0)
        return ok;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    ok = n >= 0 ? search(who, path, text, g, user && *user ? user : NULL, &found) : wrong(who, path, strerror(errno));
    explicit_bzero(text, sizeof text);
    if (ok && found.fits) {
        g->user = found.login;
        g->password = found.password;
    }
    return ok;
}
