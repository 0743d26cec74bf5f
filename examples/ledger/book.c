#include "book.h"

#include <string.h>

struct account *book_account(struct book *book, const char *name)
{
    for (size_t i = 0; i < book->n; i++)
        if (strcmp(book->accounts[i].name, name) == 0)
            return &book->accounts[i];
    return NULL;
}

int64_t book_fee(const struct rules *rules, int64_t amount)
{
    const int64_t whole = 10000;
    int64_t exact = amount * rules->fee_bp; /* both are bounded by who reads them */
    int64_t carry = rules->rounding == ROUND_UP ? whole - 1 : rules->rounding == ROUND_HALF ? whole / 2 : 0;
    return (exact + carry) / whole;
}

static void move(struct account *a, int64_t amount)
{
    a->balance += amount;
    a->touched = true;
}

enum verdict book_decide(struct book *book, const struct rules *rules, struct booking *b)
{
    struct account *payer = book_account(book, b->payer), *payee = book_account(book, b->payee);
    struct account *fees = book_account(book, "fees");
    if (!payer || !payee || !fees || payer == payee)
        return REFUSED_ACCOUNT;
    if (b->amount > rules->limit)
        return REFUSED_LIMIT;
    int64_t fee = book_fee(rules, b->amount);
    if (payer->balance < b->amount + fee)
        return REFUSED_FUNDS;
    move(payer, -b->amount - fee);
    move(payee, b->amount);
    move(fees, fee);
    b->fee = fee;
    b->rules = rules->revision;
    return BOOKED;
}
