/* CRC-32C (Castagnoli), reflected, as in RFC 3720: crc32c(0, "123456789", 9) == 0xe3069283. Pure. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/bytes.h"

/* Continues crc (0 to begin) over data. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same by table only: what crc32c does on a processor without the instruction. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
