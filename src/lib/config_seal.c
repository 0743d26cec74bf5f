/* See config_seal.h. A key is 32 bytes; a nonce is drawn for each value, and is long enough for that. */
#include "lib/config_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "lib/config_place.h"
#include "lib/sodium_api.h"

enum {
    KEYS_MAX = 16,
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    FILE_MAX = 16384,
    BASE64 = sodium_base64_VARIANT_ORIGINAL
};

struct config_seal {
    const struct sodium *sodium;
    size_t n;
    unsigned char keys[KEYS_MAX][KEY_BYTES];
    char file[];
};

/* ---- key files ---- */

static int read_key(struct config_seal *s, const char *line, size_t len, size_t number, struct tenure_error *err)
{
    size_t bytes_read = 0;
    if (s->n == KEYS_MAX)
        return error_set(err, TENURE_EINVALID, "%.120s: more than %d keys", s->file, KEYS_MAX);
    if (len != 2 * KEY_BYTES ||
        s->sodium->sodium_hex2bin(s->keys[s->n], KEY_BYTES, line, len, NULL, &bytes_read, NULL) != 0 ||
        bytes_read != KEY_BYTES)
        return error_set(err, TENURE_EINVALID, "%.120s:%zu: a key is 64 hex digits", s->file, number);
    s->n++;
    return 0;
}

static int read_keys(struct config_seal *s, const char *text, struct tenure_error *err)
{
    int rc = 0;
    for (size_t number = 1; rc == 0 && *text; number++) {
        size_t len = strcspn(text, "\n");
        const char *next = text + len + (text[len] == '\n');
        while (len > 0 && strchr(" \t\r", text[len - 1]))
            len--;
        if (len > 0 && text[0] != '#')
            rc = read_key(s, text, len, number, err);
        text = next;
    }
    if (rc == 0 && s->n == 0)
        rc = error_set(err, TENURE_EINVALID, "%.120s: there is no key in it", s->file);
    return rc;
}

static int read_file(const char *file, int fd, char *text, struct tenure_error *err)
{
    struct stat st;
    size_t len = 0;
    ssize_t n = 0;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "%.120s", file);
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
        return error_set(err, TENURE_EDENIED, "%.120s: a key file must be a file of its owner's alone: chmod 600 it",
                         file);
    if (st.st_uid != geteuid() && st.st_uid != 0) /* who could have put any key there */
        return error_set(err, TENURE_EDENIED, "%.120s: the key file belongs to somebody else: chown it", file);
    while (len < FILE_MAX && ((n = read(fd, text + len, FILE_MAX - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    if (n < 0)
        return error_errno(err, errno, "%.120s", file);
    text[len] = 0;
    return len < FILE_MAX && strlen(text) == len ? 0
                                                 : error_set(err, TENURE_EINVALID, "%.120s: it is no key file", file);
}

static int load(struct config_seal *s, struct tenure_error *err)
{
    int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_errno(err, errno, "%.120s", s->file);
    char *text = malloc(FILE_MAX + 1);
    int rc = text ? read_file(s->file, fd, text, err) : error_set(err, TENURE_ENOMEM, "config: out of memory");
    close(fd);
    rc = rc ? rc : read_keys(s, text, err);
    if (text)
        s->sodium->sodium_memzero(text, FILE_MAX + 1);
    free(text);
    return rc;
}

int config_seal_load(const char *file, struct config_seal **ret, struct tenure_error *err)
{
    *ret = NULL;
    file = file ? file : getenv("TENURE_CONFIG_KEY_FILE");
    if (!file || !file[0])
        return 0;
    const struct sodium *sodium = sodium_load(err);
    if (!sodium)
        return TENURE_EUNAVAILABLE;
    struct config_seal *s = calloc(1, sizeof *s + strlen(file) + 1);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    s->sodium = sodium;
    memcpy(s->file, file, strlen(file) + 1);
    int rc = load(s, err);
    *ret = rc ? config_seal_close(s) : s;
    return rc;
}

struct config_seal *config_seal_close(struct config_seal *s)
{
    if (s)
        s->sodium->sodium_memzero(s->keys, sizeof s->keys);
    free(s);
    return NULL;
}

int tenure_config_key_new(const char *key_file, struct tenure_error *err)
{
    unsigned char key[KEY_BYTES];
    char line[2 * KEY_BYTES + 1];
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!key_file)
        return error_set(err, TENURE_EINVALID, "config: the key file is NULL");
    const struct sodium *sodium = sodium_load(err);
    if (!sodium)
        return err->code;
    int fd = open(key_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, TENURE_EEXISTS, "%.120s: there is one already", key_file);
    if (fd < 0)
        return error_errno(err, errno, "%.120s", key_file);
    sodium->randombytes_buf(key, sizeof key);
    sodium->sodium_bin2hex(line, sizeof line, key, sizeof key);
    line[sizeof line - 1] = '\n';
    int rc = 0;
    if (io_write_all(fd, line, sizeof line) < 0 || fsync(fd) < 0)
        rc = error_errno(err, errno, "%.120s", key_file);
    close(fd);
    if (rc)
        unlink(key_file);
    sodium->sodium_memzero(key, sizeof key);
    sodium->sodium_memzero(line, sizeof line);
    return rc;
}

/* ---- values ---- */

static int seal(const struct config_seal *s, const char *key, bytes value, char **ret, struct tenure_error *err)
{
    size_t len = NONCE_BYTES + value.len + TAG_BYTES, head = strlen(CONFIG_SEALED);
    size_t text_len = sodium_base64_ENCODED_LEN(len, BASE64);
    unsigned char *raw = malloc(len);
    char *text = raw ? malloc(head + text_len) : NULL;
    if (text) {
        s->sodium->randombytes_buf(raw, NONCE_BYTES);
        s->sodium->crypto_aead_xchacha20poly1305_ietf_encrypt(raw + NONCE_BYTES, NULL, value.data, value.len,
                                                              (const unsigned char *)key, strlen(key), NULL, raw,
                                                              s->keys[0]);
        memcpy(text, CONFIG_SEALED, head);
        s->sodium->sodium_bin2base64(text + head, text_len, raw, len, BASE64);
    }
    free(raw);
    *ret = text;
    return text ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
}

int tenure_config_seal(const char *key_file, const char *key, const void *value, size_t value_len, char **ret,
                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct config_seal *s;
    err = err ? err : &own;
    if (!key_file || !key_file[0] || !ret || (value_len > 0 && !value) || value_len > INT32_MAX)
        return error_set(err, TENURE_EINVALID, "config: no key file, no value, or no place for what is sealed");
    int rc = config_key_check(key, err);
    rc = rc ? rc : config_seal_load(key_file, &s, err);
    if (rc)
        return rc;
    rc = seal(s, key, bytes_of(value, value_len), ret, err);
    config_seal_close(s);
    return rc;
}

static int open_with_any(const struct config_seal *s, const char *key, const unsigned char *raw, size_t len,
                         char *plain, struct tenure_error *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->sodium->crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)plain, NULL, NULL, raw + NONCE_BYTES,
                                                                  len - NONCE_BYTES, (const unsigned char *)key,
                                                                  strlen(key), raw, s->keys[i]) == 0)
            return 0;
    return error_set(err, TENURE_EDENIED,
                     "config: \"%.100s\" is sealed with a key that is not in %.80s, or for another name", key, s->file);
}

int config_seal_open(const struct config_seal *s, const char *key, bytes sealed, char **ret, size_t *ret_len,
                     struct tenure_error *err)
{
    size_t head = strlen(CONFIG_SEALED), len = 0;
    if (!s)
        return error_set(err, TENURE_EDENIED,
                         "config: \"%.100s\" is sealed, and there is no key file (TENURE_CONFIG_KEY_FILE)", key);
    const char *text = (const char *)sealed.data + head;
    unsigned char *raw = malloc(sealed.len);
    char *plain = raw ? calloc(1, sealed.len) : NULL;
    int rc = 0;
    if (!plain)
        rc = error_set(err, TENURE_ENOMEM, "config: out of memory");
    else if (s->sodium->sodium_base642bin(raw, sealed.len, text, sealed.len - head, NULL, &len, NULL, BASE64) != 0 ||
             len < NONCE_BYTES + TAG_BYTES)
        rc = error_set(err, TENURE_EINVALID, "config: \"%.100s\" begins as a sealed value, and is none", key);
    else
        rc = open_with_any(s, key, raw, len, plain, err);
    free(raw);
    if (rc) {
        free(plain);
        return rc;
    }
    *ret = plain;
    *ret_len = len - NONCE_BYTES - TAG_BYTES;
    return 0;
}

void config_seal_free(char *plain, size_t len)
{
    if (plain)
        explicit_bzero(plain, len);
    free(plain);
}

int tenure_config_unseal(const char *key_file, const char *key, const char *sealed, char **ret, size_t *ret_len,
                         struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct config_seal *s;
    size_t len = 0;
    err = err ? err : &own;
    if (!key_file || !key_file[0] || !ret || !sealed || strncmp(sealed, CONFIG_SEALED, strlen(CONFIG_SEALED)) != 0)
        return error_set(err, TENURE_EINVALID, "config: no key file, no sealed value, or no place for what is opened");
    int rc = config_key_check(key, err);
    rc = rc ? rc : config_seal_load(key_file, &s, err);
    if (rc)
        return rc;
    rc = config_seal_open(s, key, bytes_str(sealed), ret, &len, err);
    config_seal_close(s);
    if (rc == 0 && ret_len)
        *ret_len = len;
    return rc;
}
