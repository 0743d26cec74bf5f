/* Two keys that change together: money moves, and the sum stays, however many programs do the same at once.
 *
 *     cc stm.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tenure/tenure.h>

static const char *const accounts[] = {"/accounts/alice", "/accounts/bob"};

static int add(tenure_stm_view *v, const char *account, int64_t amount, int64_t *ret_balance)
{
    char text[32];
    struct tenure_kv kv;
    int rc = tenure_stm_get(v, tenure_str(account), &kv);
    if (rc < 0 && rc != TENURE_ENOTFOUND)
        return rc;
    *ret_balance = (rc == 0 ? strtoll(kv.value.data, NULL, 10) : 100) + amount; /* everybody begins with 100 */
    snprintf(text, sizeof text, "%" PRId64, *ret_balance);
    return tenure_stm_put(v, tenure_str(account), tenure_str(text), 0);
}

/* May be run several times: it does nothing but read and write by the view. */
static int move(tenure_stm_view *v, void *arg)
{
    int64_t *balances = arg;
    int rc = add(v, accounts[0], -10, &balances[0]);
    return rc < 0 ? rc : add(v, accounts[1], 10, &balances[1]);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    int64_t balances[2];
    int rc = tenure_stm(c, NULL, move, balances, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    else
        printf("alice %" PRId64 ", bob %" PRId64 "\n", balances[0], balances[1]);

    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
