/* Load many mutants of a model, none of which may be accepted or crash: mutants MODEL SCRATCH_FILE COUNT
 * Prints how many were refused as damaged, of another version or machine, and otherwise. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn.h"

static uint64_t state = 1;

/* xorshift64 */
static size_t below(size_t limit) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (size_t)(state % limit);
}

/* Change `data` and return its new size. */
static size_t mutate(unsigned char *data, size_t size, int kind) {
  size_t at = below(size), length = 1 + below(4096);
  if (length > size - at) length = size - at;
  switch (kind) {
    case 0: data[at] ^= (unsigned char)(1u << below(8)); return size;
    case 1: return at;
    case 2: memmove(data, data + at, size - at); return size - at;
    case 3: memset(data + at, 0, length); return size;
    case 4: data[size - 1 - below(600)] ^= (unsigned char)(1 + below(255)); return size;
    default: for (size_t i = 0; i < length; ++i) data[at + i] = (unsigned char)below(256); return size;
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  FILE *file = fopen(argv[1], "rb");
  static unsigned char original[1 << 22], mutant[1 << 22];
  size_t size = file == NULL ? 0 : fread(original, 1, sizeof original, file);
  if (size == 0 || size == sizeof original) return 3;
  fclose(file);
  int damaged = 0, other = 0;
  for (int i = 0; i < atoi(argv[3]); ++i) {
    memcpy(mutant, original, size);
    size_t changed = mutate(mutant, size, i % 6);
    if (changed == size && memcmp(mutant, original, size) == 0) continue;
    file = fopen(argv[2], "wb");
    if (file == NULL || fwrite(mutant, 1, changed, file) != changed || fclose(file) != 0) return 4;
    bnn_model *model;
    bnn_status status = bnn_load(argv[2], 1, &model);
    if (status == BNN_OK || model != NULL) return fprintf(stderr, "mutant %d was accepted\n", i), 5;
    if (strchr(bnn_last_error(), '\n') || !*bnn_last_error()) return 6;
    status == BNN_DAMAGED ? ++damaged : ++other;
  }
  printf("%d %d\n", damaged, other);
  return 0;
}
