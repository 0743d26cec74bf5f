/* Data directories whose server does not run, for the commands that look into one. */
#ifndef CLI_SEAL_H
#define CLI_SEAL_H

#include "backend/backend.h"

/* As backend_open, but a directory that is not there is an error, not made. */
int seal_open(const struct backend_config *config, struct backend **ret, struct tenure_error *err) MUST_USE;
/* Seals it: see backend_seal. successor: URLs, or "" for none named. */
int seal_directory(const char *dir, const char *successor, struct tenure_error *err) MUST_USE;

#endif
