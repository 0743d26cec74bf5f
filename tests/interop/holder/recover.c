/* Writes and reads, one call after the other, and says when each was answered: what tests/interop/recover does through Go's client.
 *
 *     recover ENDPOINTS
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <tenure/tenure.h>
#include <time.h>

#define LIMIT_MS 2000
#define PAUSE_NS 5000000

static tenure_client *client;

static void say(const char *what)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    printf("%s %" PRId64 "\n", what, (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
    fflush(stdout);
}

static void *put(void *arg)
{
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = LIMIT_MS};
    (void)arg;
    for (;;) {
        if (tenure_put(client, tenure_str("recover/ours"), tenure_str("x"), &o, NULL, NULL) == 0)
            say("put");
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return NULL;
}

static void *get(void *arg)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = LIMIT_MS};
    (void)arg;
    for (;;) {
        if (tenure_get(client, tenure_str("recover/ours"), &o, NULL, NULL) == 0)
            say("get");
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    pthread_t a, b;
    client = argc == 2 ? tenure_open(argv[1], NULL, &err) : NULL;
    if (!client || pthread_create(&a, NULL, put, NULL) || pthread_create(&b, NULL, get, NULL)) {
        fprintf(stderr, "recover: %s\n", err.text);
        return 1;
    }
    while (getchar() != EOF)
        ;
    return 0; /* with the calls under way */
}
