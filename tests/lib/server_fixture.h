/* A server as a real process: `tenure serve`, Debian's etcd, or three of those as a cluster. On a free port of 127.0.0.1, in a temporary folder of its own;
 * ended by its process id, also when the test program dies. Failures fail the cmocka test.
 *
 * Which one: TEST_SERVER=tenure (the default), etcd or cluster in the environment; TENURE names our binary. The same test runs once
 * on each (tests/e2e/meson.build). With TEST_FAULTS=SECONDS a member of the cluster is killed that often, while the test runs; drawn from
 * that number. TEST_SERVER=given takes the cluster of three at TEST_ENDPOINTS, and asks who listens on the socket TEST_CONTROL to kill,
 * restart, pause and resume it (tests/e2e/lib_faults.py).
 */
#ifndef TESTS_LIB_SERVER_FIXTURE_H
#define TESTS_LIB_SERVER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

/* Started and ready. */
struct server *server_start(void);
/* Ends it by SIGKILL and removes its folder. NULL is fine. */
void server_free(struct server *s);

const char *server_url(const struct server *s); /* "http://127.0.0.1:PORT", of a cluster three with commas */
bool server_is_etcd(const struct server *s);
bool server_is_cluster(const struct server *s); /* of etcd's */
size_t server_members(const struct server *s);  /* 1, or 3: as many addresses server_url has */
/* SIGKILL; its data stay. */
void server_kill(struct server *s);
/* After server_kill: on the same port and data, ready. */
void server_restart(struct server *s);
void server_pause(struct server *s);  /* SIGSTOP: the kernel still accepts connections and bytes, nobody answers */
void server_resume(struct server *s); /* SIGCONT */
/* In between no fault comes by itself: for what waits for a lease to run out, which each new leader gives its whole time again. */
void server_lull(struct server *s);
void server_lull_ends(struct server *s);

/* A port of 127.0.0.1 where nobody listens. */
uint16_t port_unused(void);
/* A listener that takes connections and never answers; close the descriptor. */
int black_hole(uint16_t *ret_port);

/* Milliseconds on CLOCK_BOOTTIME. */
int64_t test_now(void);
/* Waits until holds(user) or for 20 s; answers whether it holds. Asks every 5 ms: for what no event can tell. */
bool test_await(bool (*holds)(void *user), void *user);

#endif
