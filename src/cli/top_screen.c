/* The terminal while `tenure top` has it: the other page, raw keys, whole pictures. Whatever ends the program, the terminal is as it
 * was before: signals are read by who owns the loop and end it in order; exit() from anywhere goes through atexit. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/top.h"

#define ENTER "\033[?1049h\033[?25l\033[2J"
#define LEAVE "\033[?25h\033[?1049l"

static struct termios before;
static bool is_entered;

static bool write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (n < 0 && errno == EAGAIN && poll(&p, 1, 1000) == 1)
            continue;
        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool top_screen_enter(void)
{
    static bool is_registered;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    if (!is_registered)
        is_registered = atexit(top_screen_leave) == 0;
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return false;
    is_entered = true;
    return write_all(ENTER, strlen(ENTER));
}

void top_screen_leave(void)
{
    if (!is_entered)
        return;
    is_entered = false;
    write_all(LEAVE, strlen(LEAVE));
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void top_screen_size(size_t *ret_columns, size_t *ret_rows)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *ret_columns = known ? size.ws_col : 80;
    *ret_rows = known ? size.ws_row : 24;
}

/* ---- keys ---- */

static bool byte(char *ret, int wait_ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1 && read(STDIN_FILENO, ret, 1) == 1;
}

/* Behind an escape; one that nothing follows at once is the key of that name. */
static int sequence(void)
{
    static const struct {
        const char *text;
        int key;
    } known[] = {{"A", TOP_KEY_UP},       {"B", TOP_KEY_DOWN},       {"H", TOP_KEY_HOME},  {"F", TOP_KEY_END},
                 {"5~", TOP_KEY_PAGE_UP}, {"6~", TOP_KEY_PAGE_DOWN}, {"1~", TOP_KEY_HOME}, {"4~", TOP_KEY_END}};
    char text[8] = "", c;
    if (!byte(&c, 25) || (c != '[' && c != 'O'))
        return TOP_KEY_NONE;
    for (size_t n = 0; n + 1 < sizeof text && byte(&c, 25);) {
        text[n++] = c;
        if (c >= 0x40)
            break;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].text) == 0)
            return known[i].key;
    return TOP_KEY_NONE;
}

int top_screen_key(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char c;
    if (poll(&p, 1, 0) != 1)
        return TOP_KEY_NONE;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n == 1)
        return c == '\033' ? sequence() : (unsigned char)c;
    return n == 0 || errno != EINTR ? TOP_KEY_GONE : TOP_KEY_NONE;
}

/* ---- pictures ---- */

static const uint8_t *line_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = memchr(p, '\n', (size_t)(end - p));
    return at ? at : end;
}

bool top_screen_show(const struct buf *text, size_t from, const char *last)
{
    size_t columns, rows, row = 0;
    struct buf out;
    const uint8_t *p = text->data, *end = text->data + text->len;
    top_screen_size(&columns, &rows);
    buf_init(&out);
    buf_printf(&out, "\033[H");
    for (size_t line = 0; p < end && row + 1 < rows; line++) {
        const uint8_t *stop = line_end(p, end);
        if (line == 0 || line > from) { /* the first one stays */
            buf_append(&out, p, (size_t)(stop - p));
            buf_printf(&out, "\033[K\r\n");
            row++;
        }
        p = stop < end ? stop + 1 : end;
    }
    buf_printf(&out, "\033[J\033[%zu;1H\033[7m%.*s\033[0m\033[K", rows, (int)columns, last);
    bool fine = !buf_error(&out) && write_all((const char *)out.data, out.len);
    buf_fini(&out);
    return fine;
}
