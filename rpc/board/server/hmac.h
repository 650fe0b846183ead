/* HMAC-SHA-256 (RFC 2104 over FIPS 180-4), for messages in several parts. */

#ifndef TVM_BNN_HMAC_H
#define TVM_BNN_HMAC_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST = 32, HASH_BLOCK = 64 };

typedef struct {
  uint32_t state[8];
  unsigned char block[HASH_BLOCK];
  size_t filled;
  uint64_t bytes;
} Hash;

typedef struct {
  Hash inner, outer;
} Mac;

/* Begin a code under a key of any size, add what it covers, and write its DIGEST bytes. */
Mac begin_mac(const void* key, size_t size);
void add_to_mac(Mac* mac, const void* data, size_t size);
void finish_mac(Mac* mac, unsigned char* code);

/* Whether two codes are equal; the time taken does not tell where they differ. */
int same_code(const unsigned char* one, const unsigned char* other);

#endif
