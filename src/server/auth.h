/* The driver of core's authentication: random bytes, passwords on threads of their own, signed tokens. Thread: the loop's. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "server/internal.h"

/* Reads --auth-token and its keys. TENURE_EINVALID, TENURE_EIO, TENURE_EUNAVAILABLE; the text names what is wrong. */
int auth_open(struct server *s, struct tenure_error *err) MUST_USE;
/* Fills in what the core asks for. */
void auth_configure(struct server *s, struct core_config *config);
/* Waits for the passwords that are being hashed, and gives up the others. Before the core is freed; NULL-safe. */
void auth_close(struct server *s);

#endif
