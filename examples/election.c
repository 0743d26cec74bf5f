/* An election on the program's own loop, here a bare epoll: leads until it is told to stop.
 *
 *     cc election.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 *
 * The handle has no thread: everything happens in tenure_turn, on this one. A program with libuv uses tenure_open_uv, one
 * that would rather block tenure_open.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <tenure/tenure.h>

static volatile sig_atomic_t stop_wanted;

static void on_signal(int sig)
{
    (void)sig;
    stop_wanted = 1;
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)user;
    printf("leading with token %" PRId64 "\n", token);
    fflush(stdout);
}

/* At safe-until, network or not: nobody else leads before this has been called. */
static void on_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    (void)e, (void)user;
    printf("not leading any more: %s\n", why == TENURE_LOSS_EXPIRED   ? "the lease was not renewed in time"
                                         : why == TENURE_LOSS_REVOKED ? "somebody ended it"
                                                                      : "resigned");
    fflush(stdout);
}

static void turn(int epoll, tenure_client *c)
{
    struct epoll_event event;
    epoll_wait(epoll, &event, 1, tenure_timeout_ms(c));
    tenure_turn(c);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open_poll(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    struct tenure_election_options o = {.size = sizeof o,
                                        .ttl_s = 10,
                                        .proposal = tenure_str("billing-7f9c"),
                                        .on_gained = on_gained,
                                        .on_lost = on_lost};
    tenure_election *e = tenure_election_start(c, "billing", &o, &err); /* campaigns again after a loss until stopped */
    if (!e)
        fprintf(stderr, "%s\n", err.text);

    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, tenure_fd(c), &event);
    while (e && !stop_wanted)
        turn(epoll, c);

    tenure_close(c); /* resigns */
    close(epoll);
    return e ? 0 : 1;
}
