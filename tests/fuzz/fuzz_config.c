/* What a user writes: a configuration file, a command line, an environment. The first byte says which; words of a line end at
 * a zero. Nothing may crash, and what is taken must also make a configuration or be refused with a text. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "cli/serve_flags.h"
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 32

static size_t cut(uint8_t *text, size_t size, char **ret)
{
    size_t n = 0;
    for (size_t at = 0; at < size && n < WORDS_MAX; at += strlen((char *)text + at) + 1)
        ret[n++] = (char *)text + at;
    ret[n] = NULL;
    return n;
}

static int read_words(struct serve_flags *f, bool environment, uint8_t *text, size_t size, struct tenure_error *err)
{
    char *words[WORDS_MAX + 1], *none[] = {NULL};
    size_t n = cut(text, size, words);
    return environment ? serve_flags_read(f, 0, none, words, err) : serve_flags_read(f, (int)n, words, none, err);
}

static void check_line(const char *line)
{
    char json[2048];
    log_json(json, sizeof json, "now", line);
    assert(json[0] == '{' && json[strlen(json) - 1] == '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[65536];
    struct serve_flags f;
    struct server_config config = {0};
    struct tenure_error err = {0};
    if (size < 1 || size >= sizeof copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = 0;
    if (memmem(copy, size, "config-file", 11) || memmem(copy, size, "CONFIG_FILE", 11))
        return 0; /* no file of this machine is opened */
    serve_flags_init(&f);
    int rc = data[0] == 'y'   ? serve_yaml_parse(&f, "x", bytes_of(copy, size - 1), &err)
             : data[0] == 'e' ? read_words(&f, true, copy, size - 1, &err)
                              : read_words(&f, false, copy, size - 1, &err);
    if (rc == 0)
        rc = serve_config_fill(&f, &config, &err);
    assert(rc == 0 || (err.code == rc && err.text[0]));
    check_line((const char *)copy);
    serve_flags_fini(&f);
    return 0;
}
