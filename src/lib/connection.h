/* Telling of the connection's health: see on_connection in tenure/client.h. Loop thread. */
#ifndef LIB_CONNECTION_H
#define LIB_CONNECTION_H

#include "lib/handle.h"

typedef void (*lib_connection_cb)(void *user, enum tenure_connection state, const char *endpoint, const char *why);

/* An object of the handle; any number of them. What is so already is told in the next turn. */
int lib_connection_start(tenure_client *c, lib_connection_cb cb, void *user, struct tenure_error *err) MUST_USE;

#endif
