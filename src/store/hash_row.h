/* One version as the bytes that etcd's bucket of keys has for it, through a CRC-32C. Pure. */
#ifndef STORE_HASH_ROW_H
#define STORE_HASH_ROW_H

#include "store/key.h"

/* The CRC with which etcd begins: that of the bucket's name. */
uint32_t hash_row_begin(void);
/* Goes on with the version's revision as the key and its protobuf encoding as the value. */
uint32_t hash_row(uint32_t crc, const struct version *v);

#endif
