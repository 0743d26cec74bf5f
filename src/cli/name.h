/* The NAME of a lock or an election on the command line. */
#ifndef CLI_NAME_H
#define CLI_NAME_H

#include <stdbool.h>

/* What the library calls prefix and name. whole_key: given is the key's beginning itself, so "/a/b" is the name b under the
 * prefix "/a/"; otherwise *ret_prefix is NULL, which stands for the usual one. *ret_prefix is the caller's to free, *ret_name
 * borrows from given. False when memory is short. */
bool name_split(const char *given, bool whole_key, char **ret_prefix, const char **ret_name);

#endif
