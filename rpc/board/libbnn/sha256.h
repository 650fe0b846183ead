/* sha256.h: FIPS 180-4. */
#ifndef BNN_SHA256_H
#define BNN_SHA256_H

#include <stddef.h>

void bnn_sha256(const unsigned char *data, size_t bytes, unsigned char digest[32]);

#endif
