/* What systemd is told, on a socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/internal.h"

static struct server s;
static int heard = -1;

static int setup(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char name[64];
    snprintf(name, sizeof name, "@tenure-notify-%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    size_t len = strlen(name);
    memcpy(un.sun_path, name, len);
    un.sun_path[0] = 0;
    memset(&s, 0, sizeof s);
    heard = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return bind(heard, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static int teardown(void **state)
{
    (void)state;
    notify_close(&s);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return close(heard);
}

static const char *next(void)
{
    static char text[2048];
    ssize_t n = recv(heard, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void stopping_and_reloading_are_said(void **state)
{
    (void)state;
    notify_open(&s);
    notify_stopping(&s);
    assert_int_equal(strncmp(next(), "STOPPING=1\n", 11), 0);
    notify_reloading(&s);
    assert_int_equal(strncmp(next(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_string_equal(next(), "");
}

static void the_watchdog_hears_twice_in_its_time(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "2000000", 1);
    notify_open(&s);
    int said = 0;
    for (tn_ms now = 5000; now <= 15000; now += 250) {
        notify_watchdog(&s, now);
        said += strcmp(next(), "WATCHDOG=1") == 0;
    }
    assert_true(said >= 9 && said <= 11); /* in ten seconds */
}

static void a_watchdog_of_another_process_or_none_is_not_fed(void **state)
{
    static const char *const usec[] = {"2000000", "0", "nonsense", "-5"};
    static const char *const pid[] = {"1", NULL, NULL, NULL};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(usec); i++) {
        setenv("WATCHDOG_USEC", usec[i], 1);
        unsetenv("WATCHDOG_PID");
        if (pid[i])
            setenv("WATCHDOG_PID", pid[i], 1);
        notify_open(&s);
        notify_watchdog(&s, 5000);
        assert_string_equal(next(), "");
        notify_close(&s);
    }
}

static void a_name_that_is_none_is_passed_over(void **state)
{
    static const char *const names[] = {"", "relative", "/nowhere/at/all"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_open(&s);
        assert_int_equal(s.notify.fd, -1);
        notify_stopping(&s);
        notify_reloading(&s);
        notify_watchdog(&s, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stopping_and_reloading_are_said, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_hears_twice_in_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watchdog_of_another_process_or_none_is_not_fed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_none_is_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
