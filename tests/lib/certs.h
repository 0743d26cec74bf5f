/* A small world of certificates for tests of TLS, made anew in a folder; EC keys, so it takes milliseconds. Each name is two
 * files, NAME.pem and NAME.key.
 *
 *     ca          signs all of these           other-ca   signs "stranger" only
 *     server      CN "server", for localhost, 127.0.0.1 and ::1, serial 2     server2   the same, serial 12
 *     alice       CN "alice", a client, for alice.example                    bob       CN "bob", for *.bob.example
 *     root        CN "root", a client       revoked   a client whom crl.pem (PEM) and crl.der name
 *     expired     a client and server whose time is over
 *     stranger    CN "alice", signed by other-ca, with the serial number of revoked
 *     nul         a client whose CN holds a zero byte
 */
#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

/* Ends the program with a text on stderr when it cannot. */
void certs_make(const char *folder);
/* Makes NAME.pem and NAME.key anew, signed by ca: a server for localhost with this serial number. */
void certs_make_server(const char *folder, const char *name, long serial);
/* Writes crl.pem and crl.der anew: with the serial numbers of revoked and alice, or of revoked alone. */
void certs_revoke(const char *folder, int alice_too);

#endif
