#include "hmac.h"

#include <string.h>

/* FIPS 180-4, section 4.2.2. */
static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotated(uint32_t word, int by) { return word >> by | word << (32 - by); }

/* FIPS 180-4, section 6.2.2. */
static void mix_block(Hash* hash, const unsigned char* block) {
  uint32_t w[64], v[8];
  for (int t = 0; t < 16; ++t) {
    const unsigned char* at = block + 4 * t;
    w[t] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  }
  for (int t = 16; t < 64; ++t) {
    uint32_t low = rotated(w[t - 15], 7) ^ rotated(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t high = rotated(w[t - 2], 17) ^ rotated(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + low + w[t - 7] + high;
  }
  memcpy(v, hash->state, sizeof(v));
  for (int t = 0; t < 64; ++t) {
    uint32_t e = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25);
    uint32_t first = v[7] + e + ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND[t] + w[t];
    uint32_t a = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22);
    uint32_t second = a + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof(*v));
    v[4] += first;
    v[0] = first + second;
  }
  for (int index = 0; index < 8; ++index) hash->state[index] += v[index];
}

static Hash start(void) {
  return (Hash){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

static void add(Hash* hash, const void* data, size_t count) {
  const unsigned char* at = data;
  hash->bytes += count;
  while (count > 0) {
    size_t some = HASH_BLOCK - hash->filled < count ? HASH_BLOCK - hash->filled : count;
    memcpy(hash->block + hash->filled, at, some);
    hash->filled += some;
    at += some;
    count -= some;
    if (hash->filled == HASH_BLOCK) {
      mix_block(hash, hash->block);
      hash->filled = 0;
    }
  }
}

static void finish(Hash* hash, unsigned char* digest) {
  static const unsigned char PADDING[HASH_BLOCK] = {0x80};
  uint64_t bits = hash->bytes * 8;
  unsigned char length[8];
  for (int index = 0; index < 8; ++index) length[index] = (unsigned char)(bits >> (56 - 8 * index));
  size_t room = HASH_BLOCK - sizeof(length);
  add(hash, PADDING, hash->filled < room ? room - hash->filled : HASH_BLOCK + room - hash->filled);
  add(hash, length, sizeof(length));
  for (int index = 0; index < DIGEST; ++index) digest[index] = (unsigned char)(hash->state[index / 4] >> (24 - index % 4 * 8));
}

Mac begin_mac(const void* key, size_t size) {
  unsigned char whole[HASH_BLOCK] = {0}, pad[HASH_BLOCK];
  Mac mac = {start(), start()};
  if (size > HASH_BLOCK) {
    Hash hash = start();
    add(&hash, key, size);
    finish(&hash, whole);
  } else if (size > 0) {
    memcpy(whole, key, size);
  }
  for (int index = 0; index < HASH_BLOCK; ++index) pad[index] = whole[index] ^ 0x36;
  add(&mac.inner, pad, HASH_BLOCK);
  for (int index = 0; index < HASH_BLOCK; ++index) pad[index] = whole[index] ^ 0x5c;
  add(&mac.outer, pad, HASH_BLOCK);
  return mac;
}

void add_to_mac(Mac* mac, const void* data, size_t size) { add(&mac->inner, data, size); }

void finish_mac(Mac* mac, unsigned char* code) {
  unsigned char digest[DIGEST];
  finish(&mac->inner, digest);
  add(&mac->outer, digest, DIGEST);
  finish(&mac->outer, code);
}

int same_code(const unsigned char* one, const unsigned char* other) {
  unsigned char different = 0;
  for (int index = 0; index < DIGEST; ++index) different |= (unsigned char)(one[index] ^ other[index]);
  return different == 0;
}
