/* A range of any size, page by page, as it was at one moment.
 *
 *     cc range.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <stdio.h>

#include <tenure/tenure.h>

static int failed(const struct tenure_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static int fill(tenure_client *c, struct tenure_error *err)
{
    char key[32];
    for (int i = 0; i < 250; i++) {
        snprintf(key, sizeof key, "/range/%03d", i);
        if (tenure_put(c, tenure_str(key), tenure_str("value"), NULL, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int count(tenure_client *c, struct tenure_error *err)
{
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .page_keys = 100};
    struct tenure_get_result *page = NULL;
    size_t keys = 0;
    tenure_range_iter *it = tenure_range_iter_new(c, tenure_str("/range/"), &o, err);
    if (!it)
        return -1;
    int rc;
    while ((rc = tenure_range_iter_next(it, &page, err)) == 0 && page) {
        keys += page->n_kvs;
        tenure_get_free(page);
    }
    tenure_range_iter_free(it);
    if (rc == 0)
        printf("%zu keys\n", keys);
    return rc;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return failed(&err);
    int rc = fill(c, &err) < 0 || count(c, &err) < 0 ? failed(&err) : 0;
    tenure_close(c);
    return rc;
}
