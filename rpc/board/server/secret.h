/* The shared secret: a client proves that it knows it, without sending it. */

#ifndef TVM_BNN_SECRET_H
#define TVM_BNN_SECRET_H

#include <stddef.h>

enum { MOST_SECRET = 256, PROOF_DIGITS = 64 };

typedef struct {
  unsigned char bytes[MOST_SECRET];
  size_t size; /* 0: no secret is asked for */
} Secret;

/* Read a secret from a file, white space at its end left out; 0 on success. */
int read_secret(const char* path, Secret* secret);

/* Whether `proof` is HMAC-SHA-256 (RFC 2104) of `text` under the secret, in hexadecimal. */
int proves(const Secret* secret, const char* text, const char* proof);

#endif
