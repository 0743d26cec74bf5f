/* A signed token of any bytes: taken apart, its claims read as if its signature were right. */
#include "http/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena a;
    struct jwt jwt;
    struct jwt_claims claims;
    arena_init(&a, 16 << 20);
    if (jwt_split(bytes_of(data, len), &a, &jwt) == 0 && jwt_claims(jwt.claims, 1000, &a, &claims) == 0 &&
        (claims.username.len > len || jwt.alg.len > len))
        __builtin_trap();
    arena_fini(&a);
    return 0;
}
