/* Processes that lock and lead, told as a story: sentences go in, lines come out.
 *
 *     story_begin();
 *     story("A opens 10");            a process A, a session with a TTL of 10 s
 *     story("A locks x");
 *     story("wait 5");
 *     assert_string_equal(story_take(), "[ 1000] A is alive, TTL 10\n[ 1002] A holds x, token 2\n");
 *     story_end();
 *
 * Underneath are the recipes on fake_client.h. After every moment the story checks what must always be true, in stopped
 * and cut off processes too: at most one answers that it holds a lock or leads (M1, L2), or it shares it with readers, or
 * permits that fit under the limit of each (M9); tokens grow from holder to holder (M2), nobody who was told of a loss answers "held" (L3), and callbacks come as often as promised.
 *
 * Sentences; A is any name that begins with a capital letter, x is a lock, `x#2` another object for the same lock x:
 *
 *     A opens TTL            A opens TTL lease HEX (resumes)     A closes       A drops (frees the session as it is)
 *     A opens TTL heartbeat MS                   A beats         A leaves (keeps its lease)
 *     A locks x              A locks x within MS                 A tries x
 *     A reads x              A reads x within MS                 A shares x (a writer becomes a reader)
 *     A takes x W L          A takes x W L within MS | try       (a permit of weight W, limit L)
 *     A locks x delay MS     A locks x delay MS within MS        A tries x delay MS
 *     A resumes x TOKEN (the place of its session that has it)
 *     A releases x           A cancels x                         A frees x
 *     A campaigns n VALUE    A campaigns n VALUE once | within MS | here (on its session) | prefers N (with a note; any of these)
 *     A proclaims VALUE      A resigns
 *     A forgets its election (frees it as it is)
 *     A observes n           A looks away
 *     cut A                  restore A                           stop A         continue A
 *     etcdctl locks x        etcdctl leaves x                    (keys as etcd's own clients put them; any lower-case name)
 *     delete A x             revoke A                            compact        overflow A
 *     lose request of A      lose reply of A      delay request of A      refuse request of A      deny request of A
 *     garble reply of A       refuse all of A        least TTL S    slow A MS (its answers)
 *     note suspensions (they are told from here on)
 *     skip verify            skip rule            be a herd            be proud            be meek
 *     wait MS                queue x              keys
 */
#ifndef TESTS_LIB_STORY_H
#define TESTS_LIB_STORY_H

#include "fake_client.h"
#include "recipes/election.h"

void story_begin(void);
/* Everybody leaves (unless the test did it): frees all objects, and checks that nothing is left behind at the client. */
void story_end(void);
/* Fails the test when the sentence cannot be understood. */
void story(const char *sentence);
/* What happened since the last take, one line each; valid until the next call. */
const char *story_take(void);
/* story(), then story_take(). */
const char *story_tell(const char *sentence);

/* The objects of a process; NULL when there is none. */
struct client *story_client(const char *who);
struct session *story_session(const char *who);
struct lock *story_lock(const char *who, const char *label);
struct election *story_election(const char *who);

/* Acquires that were begun, over all processes; how often on_acquired came with code 0, and how often at all. */
unsigned story_begun(void);
unsigned story_acquired(void);
unsigned story_ended(void);
/* The code of the last end of an acquire of that object; 1 = none yet. */
int story_last_code(const char *who, const char *label);
/* Printed when a check fails. */
void story_note_seed(uint64_t seed);
/* No checks from here on: of a rule that is broken on purpose, the test looks itself. */
void story_tolerate(void);
unsigned story_violations(void);

#endif
