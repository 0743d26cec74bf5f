/* The book: accounts, and what becomes of a booking. Pure: no clock, no I/O, no thread of its own.
 *
 * The leader keeps the balances in memory, because nobody but the leader writes them. That is what makes it fast, and what makes a
 * leader dangerous that is none any more: its balances are old, and would be written over the new ones. See store.h.
 */
#ifndef LEDGER_BOOK_H
#define LEDGER_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_SIZE    64 /* of an account or a booking, with its 0 */
#define ACCOUNTS_MAX 1000
#define AMOUNT_MAX   (INT64_C(1) << 40) /* no product here overflows */

enum rounding { ROUND_DOWN, ROUND_UP, ROUND_HALF };

/* What the operator may change while the daemon runs: see coordination.c. */
struct rules {
    int64_t revision; /* of the configuration */
    int64_t limit;    /* the largest amount */
    int64_t fee_bp;   /* in 1/10,000 of the amount */
    enum rounding rounding;
    int64_t think_ms; /* what is to be done before a booking is written: a fraud check, a slow disk */
};

enum verdict {
    UNDECIDED = 0,
    BOOKED,
    BOOKED_BEFORE,   /* the same booking, sent again */
    ID_TAKEN,        /* another booking has this id */
    REFUSED_LIMIT,   /* larger than the rules allow */
    REFUSED_FUNDS,   /* the payer has not that much */
    REFUSED_ACCOUNT, /* there is no such account, or payer and payee are the same */
    NOT_LEADER,      /* not booked here: ask the leader */
    UNAVAILABLE,     /* not booked, for now */
    UNCLEAR          /* it may have been booked: who sends it again, with the same id, learns it */
};

struct booking {
    char id[NAME_SIZE], payer[NAME_SIZE], payee[NAME_SIZE];
    int64_t amount;
    /* the answer */
    enum verdict verdict;
    int64_t fee, token, rules;
    /* the writer's */
    int64_t deadline_ms;
    struct booking *next;
    bool done;
};

struct account {
    char name[NAME_SIZE];
    int64_t balance;
    bool touched; /* differs from the database's */
};

struct book {
    struct account accounts[ACCOUNTS_MAX];
    size_t n;
};

/* NULL: there is none. */
struct account *book_account(struct book *book, const char *name);
/* What an amount costs. */
int64_t book_fee(const struct rules *rules, int64_t amount);
/* Decides, and where it is BOOKED moves the money and sets fee and rules of the booking. */
enum verdict book_decide(struct book *book, const struct rules *rules, struct booking *b);

#endif
