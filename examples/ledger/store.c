#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENTS_MS 5000 /* of a whole transaction */

/* A text parameter. */
struct number {
    char text[24];
};
static struct number number(int64_t n)
{
    struct number r;
    snprintf(r.text, sizeof r.text, "%" PRId64, n);
    return r;
}

/* The rest of a transaction that failed; where the connection is gone, the server undoes it. */
static enum pg_outcome undo(struct pg *pg, enum pg_outcome why)
{
    if (why != PG_GONE && pg_run(pg, now_ms() + 1000, "ROLLBACK", 0, NULL, NULL) != PG_DONE)
        pg_close(pg);
    return why;
}

static enum pg_outcome begin(struct pg *pg, int64_t until_ms, int64_t token)
{
    struct number n = number(token);
    bool is_old = pg->conn != NULL;
    enum pg_outcome outcome = pg_run(pg, until_ms, "BEGIN", 0, NULL, NULL);
    if (outcome == PG_GONE &&
        is_old) /* it went while nothing was done on it, so nothing was lost: once again, on a new one */
        outcome = pg_run(pg, until_ms, "BEGIN", 0, NULL, NULL);
    if (outcome == PG_DONE)
        outcome = pg_run(pg, until_ms, "SELECT tenure_fence.admit('ledger', $1)", 1, (const char *[]){n.text}, NULL);
    return outcome;
}

enum pg_outcome store_load(struct pg *pg, int64_t token, struct book *book)
{
    int64_t until = now_ms() + STATEMENTS_MS;
    PGresult *rows = NULL;
    enum pg_outcome outcome = begin(pg, until, token);
    if (outcome == PG_DONE)
        outcome = pg_run(pg, until, "SELECT name, balance FROM accounts LIMIT 1000", 0, NULL, &rows);
    if (outcome == PG_DONE)
        outcome = pg_run(pg, until, "COMMIT", 0, NULL, NULL);
    book->n = 0;
    for (int i = 0; outcome == PG_DONE && i < PQntuples(rows) && book->n < ACCOUNTS_MAX; i++) {
        struct account *a = &book->accounts[book->n++];
        *a = (struct account){.balance = strtoll(PQgetvalue(rows, i, 1), NULL, 10)};
        snprintf(a->name, sizeof a->name, "%s", PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    return outcome == PG_DONE ? outcome : undo(pg, outcome);
}

static enum pg_outcome read_booking(struct pg *pg, int64_t until_ms, const char *id, struct booking *ret)
{
    PGresult *rows = NULL;
    enum pg_outcome outcome =
        pg_run(pg, until_ms, "SELECT payer, payee, amount, fee, token, rules FROM bookings WHERE id = $1", 1,
               (const char *[]){id}, &rows);
    *ret = (struct booking){.verdict = UNDECIDED};
    if (outcome == PG_DONE && PQntuples(rows) > 0) {
        snprintf(ret->id, sizeof ret->id, "%s", id);
        snprintf(ret->payer, sizeof ret->payer, "%s", PQgetvalue(rows, 0, 0));
        snprintf(ret->payee, sizeof ret->payee, "%s", PQgetvalue(rows, 0, 1));
        ret->amount = strtoll(PQgetvalue(rows, 0, 2), NULL, 10);
        ret->fee = strtoll(PQgetvalue(rows, 0, 3), NULL, 10);
        ret->token = strtoll(PQgetvalue(rows, 0, 4), NULL, 10);
        ret->rules = strtoll(PQgetvalue(rows, 0, 5), NULL, 10);
        ret->verdict = BOOKED_BEFORE;
    }
    PQclear(rows);
    return outcome;
}

enum pg_outcome store_read(struct pg *pg, const char *id, struct booking *ret)
{
    return read_booking(pg, now_ms() + STATEMENTS_MS, id, ret);
}

static enum pg_outcome insert(struct pg *pg, int64_t until_ms, const struct booking *b)
{
    struct number amount = number(b->amount), fee = number(b->fee), rules = number(b->rules), token = number(b->token);
    return pg_run(
        pg, until_ms,
        "INSERT INTO bookings (id, payer, payee, amount, fee, rules, token) VALUES ($1, $2, $3, $4, $5, $6, $7)", 7,
        (const char *[]){b->id, b->payer, b->payee, amount.text, fee.text, rules.text, token.text}, NULL);
}

/* One booking within the transaction. The database knows whether its id was there before: also when it was booked by another
 * leader, by this one without knowing, or earlier in this very batch. */
static enum pg_outcome take(struct pg *pg, int64_t until_ms, int64_t token, struct book *book,
                            const struct rules *rules, struct booking *b)
{
    struct booking before;
    enum pg_outcome outcome = read_booking(pg, until_ms, b->id, &before);
    if (outcome != PG_DONE)
        return outcome;
    if (before.verdict == BOOKED_BEFORE) {
        bool is_same =
            strcmp(before.payer, b->payer) == 0 && strcmp(before.payee, b->payee) == 0 && before.amount == b->amount;
        b->verdict = is_same ? BOOKED_BEFORE : ID_TAKEN;
        b->fee = before.fee, b->token = before.token, b->rules = before.rules;
        return PG_DONE;
    }
    b->verdict = book_decide(book, rules, b);
    b->token = token;
    return b->verdict == BOOKED ? insert(pg, until_ms, b) : PG_DONE;
}

/* The balances as the book has them: not "balance - amount". Whoever writes must know what was there. */
static enum pg_outcome write_balances(struct pg *pg, int64_t until_ms, struct book *book)
{
    enum pg_outcome outcome = PG_DONE;
    for (size_t i = 0; outcome == PG_DONE && i < book->n; i++) {
        struct account *a = &book->accounts[i];
        struct number balance = number(a->balance);
        if (a->touched)
            outcome = pg_run(pg, until_ms, "UPDATE accounts SET balance = $2 WHERE name = $1", 2,
                             (const char *[]){a->name, balance.text}, NULL);
        a->touched = false;
    }
    return outcome;
}

enum pg_outcome store_write(struct pg *pg, int64_t token, struct book *book, const struct rules *rules,
                            struct booking *batch)
{
    int64_t until = now_ms() + STATEMENTS_MS;
    enum pg_outcome outcome = begin(pg, until, token);
    for (struct booking *b = batch; outcome == PG_DONE && b; b = b->next)
        outcome = take(pg, until, token, book, rules, b);
    if (outcome == PG_DONE)
        outcome = write_balances(pg, until, book);
    if (outcome == PG_DONE)
        outcome = pg_run(pg, until, "COMMIT", 0, NULL, NULL);
    return outcome == PG_DONE ? outcome : undo(pg, outcome);
}
