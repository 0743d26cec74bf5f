/* What the key of an instance says: our JSON, and that of Go's naming/endpoints. Read from anybody who can write to the store,
 * so nothing is believed. Pure but for the allocation. */
#ifndef LIB_INSTANCE_VALUE_H
#define LIB_INSTANCE_VALUE_H

#include "lib/instance.h"

/* The instance that a key stands for, one reference; its error says what is wrong with its value. NULL when out of memory. */
struct instance *instance_read(bytes service, bytes name, const struct tenure_kv *kv) MUST_USE;

/* Whether it can be written: UTF-8 in all texts, an address, a port, a weight. Says in err what is wrong. */
int instance_check(const struct tenure_instance *i, struct tenure_error *err) MUST_USE;
/* Its value, malloc'd and 0-terminated. Fields that base, the value so far, has and we do not know are kept; base may be empty or
 * anything. NULL when out of memory. */
char *instance_write(const struct tenure_instance *i, bytes base) MUST_USE;
/* The same for Go. Its clients compare Metadata with ==, which an object does not survive, so it is null or a text. */
char *instance_write_grpc(const struct tenure_instance *i) MUST_USE;

/* "address:port"; malloc'd. */
char *instance_endpoint(const char *address, int32_t port) MUST_USE;

#endif
