/* tenure top: leaders, locks, leases and servers, live. One thread asks, which may take its time where servers are away; the other
 * one has the terminal, keys and signals, and shows what there is. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/top.h"
#include "io/loop.h"

#define TIMEOUT_MS  2000 /* of each call, unless --call-timeout says otherwise */
#define INTERVAL_MS 2000

static struct {
    int64_t interval_ms, count;
    bool once;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"interval", 0, OPTION_DURATION, "TIME", "from one look to the next (default 2s)", &opt.interval_ms},
        {"count", 'n', OPTION_INT, "N", "print N times, and end; no live view", &opt.count},
        {"once", 0, OPTION_FLAG, NULL, "the same as -n 1", &opt.once},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* ---- the thread that asks ---- */

struct asking {
    struct top *top;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t again;
    json_t *newest; /* not shown yet; NULL = none */
    bool is_over, is_wanted;
    int event_fd;
};

static void wait_for_turn(struct asking *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(opt.interval_ms / 1000);
    until.tv_nsec += (long)(opt.interval_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!a->is_over && !a->is_wanted && pthread_cond_timedwait(&a->again, &a->mutex, &until) == 0)
        ;
    a->is_wanted = false;
}

static void *ask_on(void *user)
{
    struct asking *a = user;
    pthread_mutex_lock(&a->mutex);
    while (!a->is_over) {
        pthread_mutex_unlock(&a->mutex);
        json_t *document = top_ask(a->top);
        pthread_mutex_lock(&a->mutex);
        json_decref(a->newest);
        a->newest = document;
        eventfd_write(a->event_fd, 1);
        wait_for_turn(a);
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

static bool asking_begin(struct asking *a, struct top *top)
{
    pthread_condattr_t monotonic;
    *a = (struct asking){.top = top, .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&a->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->again, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return a->event_fd >= 0 && pthread_create(&a->thread, NULL, ask_on, a) == 0;
}

static json_t *asking_take(struct asking *a)
{
    eventfd_t ignored;
    eventfd_read(a->event_fd, &ignored);
    pthread_mutex_lock(&a->mutex);
    json_t *document = a->newest;
    a->newest = NULL;
    pthread_mutex_unlock(&a->mutex);
    return document;
}

static void asking_hurry(struct asking *a, bool end)
{
    pthread_mutex_lock(&a->mutex);
    a->is_wanted = true;
    a->is_over = a->is_over || end;
    pthread_cond_signal(&a->again);
    pthread_mutex_unlock(&a->mutex);
}

static void asking_end(struct asking *a)
{
    asking_hurry(a, true);
    pthread_join(a->thread, NULL);
    json_decref(a->newest);
    close(a->event_fd);
    pthread_cond_destroy(&a->again);
    pthread_mutex_destroy(&a->mutex);
}

/* ---- the view ---- */

struct view {
    struct asking asking;
    json_t *document; /* that is shown; NULL = none yet */
    enum top_sort sort;
    size_t from, lines;
    bool is_paused, is_over, has_failed;
    int signal_fd;
};

static void show(struct view *v)
{
    char last[160];
    size_t columns, rows;
    struct buf text;
    top_screen_size(&columns, &rows);
    buf_init(&text);
    if (v->document)
        top_draw(v->document, v->sort, columns, output_has_colours(), &text);
    else
        buf_printf(&text, "tenure top  asking...\n");
    v->lines = 0;
    for (size_t i = 0; i < text.len; i++)
        v->lines += text.data[i] == '\n';
    size_t furthest = v->lines + 1 > rows ? v->lines + 1 - rows : 0;
    v->from = v->from > furthest ? furthest : v->from;
    snprintf(last, sizeof last, " q quit  arrows scroll  s sort: %s  p %s  space now", top_sort_name(v->sort),
             v->is_paused ? "go on" : "pause");
    v->has_failed = buf_error(&text) || !top_screen_show(&text, v->from, last);
    v->is_over = v->is_over || v->has_failed;
    buf_fini(&text);
}

static void scroll(struct view *v, int key)
{
    size_t columns, rows, page;
    top_screen_size(&columns, &rows);
    page = rows > 3 ? rows - 3 : 1;
    size_t step = key == TOP_KEY_UP || key == TOP_KEY_DOWN || key == 'j' || key == 'k' ? 1 : page;
    if (key == TOP_KEY_HOME)
        v->from = 0;
    else if (key == TOP_KEY_END)
        v->from = v->lines;
    else if (key == TOP_KEY_DOWN || key == TOP_KEY_PAGE_DOWN || key == 'j')
        v->from += step;
    else
        v->from = v->from > step ? v->from - step : 0;
}

static void take_key(struct view *v, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
    case 4: /* Ctrl-D */
    case TOP_KEY_GONE:
        v->is_over = true;
        return;
    case 's':
        v->sort = (v->sort + 1) % TOP_SORTS;
        break;
    case 'p':
        v->is_paused = !v->is_paused;
        break;
    case ' ':
        asking_hurry(&v->asking, false);
        break;
    case 'j':
    case 'k':
    case TOP_KEY_UP:
    case TOP_KEY_DOWN:
    case TOP_KEY_PAGE_UP:
    case TOP_KEY_PAGE_DOWN:
    case TOP_KEY_HOME:
    case TOP_KEY_END:
        scroll(v, key);
        break;
    default:
        return;
    }
    show(v);
}

/* As Ctrl-Z does to others: the terminal is the shell's meanwhile. */
static void stop_self(struct view *v)
{
    top_screen_leave();
    raise(SIGSTOP);
    if (!top_screen_enter())
        v->is_over = true;
    else
        show(v);
}

static void take_signals(struct view *v)
{
    struct signalfd_siginfo info;
    while (read(v->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTSTP)
            stop_self(v);
        else if (info.ssi_signo == SIGWINCH)
            show(v);
        else
            v->is_over = true;
    }
}

static void look(struct view *v)
{
    json_t *document = asking_take(&v->asking);
    if (v->is_paused || !document) {
        json_decref(document);
        return;
    }
    json_decref(v->document);
    v->document = document;
    show(v);
}

static int live(struct top *top, int signal_fd)
{
    struct view v = {.signal_fd = signal_fd};
    if (!top_screen_enter())
        return EXIT_FAILED;
    if (!asking_begin(&v.asking, top)) {
        top_screen_leave();
        fprintf(stderr, "tenure top: no thread can be started: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    show(&v);
    while (!v.is_over) {
        struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = signal_fd, .events = POLLIN},
                             {.fd = v.asking.event_fd, .events = POLLIN}};
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents)
            take_key(&v, top_screen_key());
        if (p[1].revents)
            take_signals(&v);
        if (p[2].revents)
            look(&v);
    }
    top_screen_leave();
    asking_end(&v.asking);
    json_decref(v.document);
    return v.has_failed ? EXIT_FAILED : EXIT_OK;
}

/* ---- without a terminal ---- */

static bool has_server(const json_t *document)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(document, "servers"), i, o) if (json_object_get(o, "revision")) return true;
    return false;
}

/* Until the time for the next look, or a signal. */
static bool pause_until(int signal_fd, int64_t at_ms)
{
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    int64_t left = at_ms - io_clock();
    return poll(&p, 1, left > 0 ? (int)left : 0) == 0;
}

/* Rates are differences: the first look is only for them. */
static int print(struct top *top, const struct global_options *g, int signal_fd)
{
    int code = EXIT_OK;
    int64_t at_ms = io_clock();
    json_decref(top_ask(top));
    for (int64_t n = 0; opt.count <= 0 || n < opt.count; n++) {
        at_ms += opt.interval_ms;
        if (!pause_until(signal_fd, at_ms))
            return EXIT_OK;
        json_t *document = top_ask(top);
        code = has_server(document) ? EXIT_OK : EXIT_UNAVAILABLE;
        if (n > 0 && output_is_text(g))
            putchar('\n');
        top_print(g, document);
        if (fflush(stdout) != 0)
            return EXIT_FAILED;
    }
    if (code == EXIT_UNAVAILABLE)
        fprintf(stderr, "tenure top: no server answered\n");
    return code;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH};
    struct global_options patient = *g;
    const char *terminal = getenv("TERM");
    sigset_t set;
    (void)argv;
    if (argc > 0 || opt.count < 0) {
        fprintf(stderr, "tenure top: %s\ntry: tenure top --help\n",
                argc ? "takes no words; name servers by --endpoints" : "option --count: expected a number from 1 on");
        return EXIT_USAGE;
    }
    opt.count = opt.once ? 1 : opt.count;
    opt.interval_ms = opt.interval_ms > 0 ? opt.interval_ms : INTERVAL_MS;
    opt.interval_ms = opt.interval_ms < 100 ? 100 : opt.interval_ms > 3600000 ? 3600000 : opt.interval_ms;
    patient.call_timeout_ms = g->call_timeout_ms > 0 ? g->call_timeout_ms : TIMEOUT_MS;
    bool is_live = opt.count == 0 && output_is_text(g) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal &&
                   strcmp(terminal, "dumb") != 0;
    if (opt.count == 0 && (output_is_text(g) || g->format == OUTPUT_TABLE))
        opt.count = is_live ? 0 : 1;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    if (!is_live)
        sigdelset(&set, SIGTSTP);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before there are threads */
    int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    tenure_client *c = signal_fd >= 0 ? connect_open(self->name, &patient) : NULL;
    struct top *top = c ? top_new(c, &patient) : NULL;
    int code = !top ? EXIT_USAGE : is_live ? live(top, signal_fd) : print(top, g, signal_fd);
    top_free(top);
    tenure_close(c);
    if (signal_fd >= 0)
        close(signal_fd);
    return code;
}

const struct command command_top = {
    .name = "top",
    .group = "Servers",
    .summary = "leaders, locks, leases and servers, live",
    .synopsis = "[OPTIONS]",
    .description =
        "On a terminal a picture that renews itself:\n"
        "\n"
        "    servers     role, how long an answer takes, how many revisions behind the newest, size, and what a second brings:\n"
        "                puts, deletes, ranges, events of watches (from /metrics)\n"
        "    elections   who leads, since when, and how many wait\n"
        "    locks       how many hold and wait, and the one in front; read-write locks and semaphores as well\n"
        "    leases      the time that is left, the one that ends first in front\n"
        "\n"
        "Keys: q ends, arrows, page up and down, home and end scroll, s sorts by waiting, time or name, p pauses, space looks now.\n"
        "\n"
        "Without a terminal, or with --count, it prints as text instead: once, or so many times. With -o json or jsonl an object a\n"
        "line, until it is told to end. Rates are those of the last --interval.\n"
        "\n"
        "What it asks for has bounds, whatever the store holds: 2000 keys of locks and of elections, the 40 longest queues of\n"
        "these, 100 leases. Where there is more, it says so.",
    .examples = "tenure top\n"
                "tenure top --once\n"
                "tenure top --interval 10s -o jsonl >>top.log",
    .options = options,
    .run = run,
};
