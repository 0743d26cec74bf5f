/* Transactions as text, a line each, in etcdctl's form: compares such as  mod("a") = "5"  and operations such as
 * put "a" 'a value' --lease 694d77aa9e38260f. Parsed in place; nothing is allocated. */
#ifndef CLI_TXN_TEXT_H
#define CLI_TXN_TEXT_H

#include <tenure/tenure.h>

#define TXN_WORDS_MAX 32

/* Cuts a line into words, in place: separated by blanks, 'as it is', "with Go's escapes"; ret[n] is NULL. A quoted word may hold a
 * zero byte: ret_len (may be NULL) says how long each is. -1: a quote that does not end, an unknown escape, or more than
 * TXN_WORDS_MAX words; *ret_why says which. */
int txn_words(char *line, char *ret[TXN_WORDS_MAX + 1], size_t ret_len[TXN_WORDS_MAX], const char **ret_why);
/* TARGET("key") OP "value": TARGET is version, create, mod, lease or value, OP one of = != < >. Borrows line, which it changes.
 * False: *ret_why says what was expected. */
bool txn_compare(char *line, struct tenure_compare *ret, const char **ret_why);
/* get, put or del with the options of these commands, as an operation of the success (or failure) branch. False after having said
 * why, but for *ret_why, which names what is wrong with the line when it is not NULL. */
bool txn_operation(char *line, tenure_txn *t, bool success, const char **ret_why);

#endif
