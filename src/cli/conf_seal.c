/* tenure config seal|unseal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf_secret.h"
#include "cli/conf_text.h"
#include "cli/connect.h"
#include "cli/output.h"

#define SEALED "sealed:v1:"

static const char *key_file(void)
{
    const char *file = conf_opt.key_file ? conf_opt.key_file : getenv("TENURE_CONFIG_KEY_FILE");
    if (file && *file)
        return file;
    conf_usage("name the file with the key by --key-file or TENURE_CONFIG_KEY_FILE; seal --new-key makes one");
    return NULL;
}

static const struct output_form file_form = {
    .columns = (const struct output_column[]){{.path = "key_file", .heading = "KEY FILE"}, {0}},
};

static const struct output_form value_form = {
    .columns =
        (const struct output_column[]){{.path = "key", .heading = "KEY"}, {.path = "value", .heading = "VALUE"}, {0}},
};

static int new_key(const struct global_options *g, const char *file)
{
    struct tenure_error err = {0};
    if (tenure_config_key_new(file, &err) < 0)
        return conf_failed(g, &err);
    if (!output_is_text(g))
        output_print(g, &file_form, json_pack("{s:s}", "key_file", file));
    else
        printf("%s: a new key, for this user alone; who loses it loses what it has sealed\n", file);
    return EXIT_OK;
}

static int print_text(const struct global_options *g, const char *key, const char *value, size_t len)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        output_set_bytes(o, "key", tenure_str(key));
        conf_set_value(o, "value", value, len);
        output_print(g, &value_form, o);
    } else {
        fwrite(value, 1, len, stdout);
        putchar('\n');
    }
    return EXIT_OK;
}

int conf_seal(const struct global_options *g, int n, char **words)
{
    struct tenure_error err = {0};
    const char *file = key_file();
    struct conf_secret secret = {0};
    char *sealed = NULL;
    if (!file)
        return EXIT_USAGE;
    if (conf_opt.new_key && n == 0)
        return new_key(g, file);
    if (n == 0 || conf_opt.new_key)
        return conf_usage("seal: expected KEY [VALUE], or --new-key alone");
    int code = conf_key_file_check(g, &(struct tenure_config_options){.key_file = file});
    if (code != EXIT_OK)
        return code;
    code = conf_secret_take(words[0], words[1], &secret);
    if (code == EXIT_OK && tenure_config_seal(file, words[0], secret.text, secret.len, &sealed, &err) < 0)
        code = conf_failed(g, &err);
    else if (code == EXIT_OK)
        code = print_text(g, words[0], sealed, strlen(sealed));
    free(sealed);
    conf_secret_fini(&secret);
    return code;
}

static bool is_sealed(const char *value)
{
    return strncmp(value, SEALED, strlen(SEALED)) == 0;
}

static int print_unsealed(const struct global_options *g, const char *file, const char *key, const char *sealed)
{
    struct tenure_error err = {0};
    char *value = NULL;
    size_t len;
    if (tenure_config_unseal(file, key, sealed, &value, &len, &err) < 0) {
        int code = connect_failed("config", g, &err);
        if (err.code == TENURE_EDENIED)
            fprintf(stderr,
                    "try: --key-file FILE with the key that it was sealed with, and the name it was sealed for\n");
        return code == EXIT_USAGE ? EXIT_FAILED : code; /* damaged */
    }
    int code = print_text(g, key, value, len);
    free(value);
    return code;
}

/* What is stored, opened. */
static int unseal_stored(const struct global_options *g, const char *file, const char *key)
{
    struct conf_place p;
    struct conf_raw raw = {0};
    if (!conf_place_of(&p, NULL, g))
        return EXIT_USAGE;
    char *copy = strdup(file); /* reading as it is stored takes the environment's away */
    int code = copy ? conf_read_raw(NULL, g, key, &p, &raw) : EXIT_FAILED;
    const struct tenure_config_entry *e = code == EXIT_OK ? tenure_config_find(&raw.list, key) : NULL;
    if (e && !is_sealed(e->value)) {
        fprintf(stderr, "tenure config: the value of %s is not sealed\ntry: tenure config get %s\n", key, key);
        code = EXIT_FAILED;
    } else if (e) {
        code = print_unsealed(g, copy, key, e->value);
    } else if (code == EXIT_OK) {
        fprintf(stderr, "tenure config: there is no %s\n", key);
        code = EXIT_FAILED;
    }
    free(copy);
    conf_raw_fini(&raw);
    conf_place_fini(&p);
    return code;
}

int conf_unseal(const struct global_options *g, int n, char **words)
{
    const char *file = key_file();
    if (!file)
        return EXIT_USAGE;
    int code = conf_key_file_check(g, &(struct tenure_config_options){.key_file = file});
    if (code != EXIT_OK)
        return code;
    if (n > 1 && !is_sealed(words[1]))
        return conf_usage("unseal: what is given for %s is not sealed: it does not begin with " SEALED, words[0]);
    return n > 1 ? print_unsealed(g, file, words[0], words[1]) : unseal_stored(g, file, words[0]);
}
