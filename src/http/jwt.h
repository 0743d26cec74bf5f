/* The text of a JSON web token (RFC 7519, signed as by RFC 7515) as etcd's are: what is signed, what is claimed. Signing and
 * proving are not done here. Pure.
 *
 *     base64url(header) "." base64url(claims) "." base64url(signature)
 */
#ifndef HTTP_JWT_H
#define HTTP_JWT_H

#include "base/arena.h"
#include "base/buf.h"

struct jwt {
    bytes alg;       /* of the header: "RS256"; in the arena */
    bytes signed_by; /* what the signature is of: borrowed from the token */
    bytes signature;
    bytes claims; /* their JSON */
};

struct jwt_claims {
    bytes username; /* in the arena */
    uint64_t revision;
};

/* Takes a token apart. 0, TENURE_EINVALID (it is none) or TENURE_ENOMEM. */
int jwt_split(bytes token, struct arena *a, struct jwt *ret) MUST_USE;
/* The claims of one whose signature is right: times judged by the wall clock. TENURE_EINVALID: etcd's claims are not all
 * there; TENURE_EDENIED: not yet, or not any more; TENURE_ENOMEM. */
int jwt_claims(bytes claims, int64_t now_s, struct arena *a, struct jwt_claims *ret) MUST_USE;

/* Appends what is to be signed. */
void jwt_begin(const char *alg, const struct jwt_claims *claims, int64_t expires_s, struct buf *out);
/* Appends the signature. */
void jwt_end(bytes signature, struct buf *out);

#endif
