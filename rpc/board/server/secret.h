/* The secret of a lab, and what both ends of a connection prove with it, without sending it.
 *
 * Whoever connects says hello: a text with what it wants, 32 random bytes, and both ends' addresses as it sees them. The
 * other end answers with 32 random bytes of its own. The secret's code of both is a key that only those two know; codes
 * under it are the proofs, and the keys of everything that follows (frames.h). `rpc/tracking/shared_secret.py` is the
 * other half.
 *
 *   hello   int32 SECURE_MAGIC, int32 length, text
 *   answer  int32 SECURE_MAGIC, 32 random bytes, 32 bytes of proof
 *   then    32 bytes of proof, and frames in both directions
 */

#ifndef TVM_BNN_SECRET_H
#define TVM_BNN_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "hmac.h"

enum { MOST_SECRET = 256, NONCE = 32, SECURE_MAGIC = 0x314e4254 };

typedef struct {
  unsigned char bytes[MOST_SECRET];
  size_t size; /* 0: no secret is asked for */
} Secret;

/* What both ends of one connection know. */
typedef struct {
  unsigned char called[DIGEST], caller[DIGEST]; /* proofs: of who was connected to, and of who connected */
  Direction to_called, to_caller;
} Agreement;

/* Read a secret from a file, white space at its end left out; 0 on success. */
int read_secret(const char* path, Secret* secret);

Agreement agree(const Secret* secret, const char* hello, const unsigned char* nonce);

#endif
