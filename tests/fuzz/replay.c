/* Feeds every file of a corpus folder to one fuzz target, in name order: what the fuzzer found once stays found.
 *
 * Usage: fuzz_<name> FOLDER. Prints TAP, one line a file; the file is named before it runs, so a crash tells which.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Reads a whole file; the caller frees. NULL when it cannot be read. */
static uint8_t *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    long len = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    uint8_t *data = len < 0 ? NULL : malloc(len > 0 ? (size_t)len : 1); /* exactly len: a read past it is seen */
    bool whole = data != NULL && fread(data, 1, (size_t)len, file) == (size_t)len;
    fclose(file);
    if (!whole) {
        free(data);
        return NULL;
    }
    *ret_len = (size_t)len;
    return data;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int failed = 0;
    int count = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        char path[4096];
        size_t len = 0;
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        printf("# %s\n", entries[i]->d_name);
        fflush(stdout);
        uint8_t *data = read_whole(path, &len);
        if (data != NULL)
            LLVMFuzzerTestOneInput(data, len);
        failed += data == NULL;
        printf("%sok %d - %s\n", data == NULL ? "not " : "", i + 1, entries[i]->d_name);
        free(data);
        free(entries[i]);
    }
    free(entries);
    return failed != 0;
}
