/* A setting that many programs read all the time and change now and then: read from memory, at most so old; changed only if nobody
 * else was faster.
 *
 *     cc value.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tenure/tenure.h>

/* Called again when somebody was faster; what it answered last is written, once. */
static int raise(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    char *text = arg;
    long limit = is->exists ? strtol(is->value.data, NULL, 10) : 10;
    if (limit >= 1000)
        return TENURE_VALUE_LEAVE;
    snprintf(text, 24, "%ld", limit * 2);
    *shall = tenure_str(text);
    return TENURE_VALUE_PUT;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_value_state *is = NULL;
    char text[24];
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    tenure_value *limit = c ? tenure_value_open(c, tenure_str("/example/limit"), NULL, &err) : NULL;
    if (!limit)
        return fprintf(stderr, "%s\n", err.text), 1;

    int rc = tenure_value_update(limit, raise, text, NULL, &is, &err);
    if (rc == 0)
        printf("raised to %s\n", (const char *)is->value.data);
    tenure_value_state_free(is);

    for (int i = 0; i < 3 && rc == 0; i++) { /* from memory, while that is at most a second old */
        struct tenure_value_get_options o = {.size = sizeof o, .max_stale_ms = 1000};
        rc = tenure_value_get(limit, &o, &is, &err);
        if (rc < 0)
            break;
        printf("limit %s, version %" PRId64 "\n", (const char *)is->value.data, is->version);
        tenure_value_state_free(is);
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);

    tenure_value_close(limit);
    tenure_close(c);
    return rc < 0;
}
