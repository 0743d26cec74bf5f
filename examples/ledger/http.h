/* The HTTP side, on libmicrohttpd: a thread a connection, at most CONNECTIONS_MAX of them.
 *
 *   POST /bookings           {"id": "…", "from": "account-1", "to": "account-2", "amount": 100}
 *   GET  /bookings/<id>      from any instance
 *   GET  /status             of this instance
 *
 *   201  booked                      200  it was booked before, or is there
 *   307  the leader is at Location   404  no such booking
 *   409  another booking has the id  422  refused by the rules; it is not booked, and never will be by this request
 *   503  not now; ask again, with the same id ("unclear": true: it may have been booked)
 */
#ifndef LEDGER_HTTP_H
#define LEDGER_HTTP_H

#include "coordination.h"
#include "writer.h"

struct http;
/* listen: "IPV4:PORT". conninfo: for reads; borrowed. NULL: it has said why not. */
struct http *http_begin(const char *listen, const char *name, const char *conninfo, struct writer *w,
                        struct coordination *c);
/* Whether the database answers, within a second. */
bool http_database_answers(struct http *h);
/* Finishes the requests under way and frees. NULL is fine. */
void http_end(struct http *h);

#endif
