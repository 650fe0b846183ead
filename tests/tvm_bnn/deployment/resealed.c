/* Mutants with a seal that fits: whoever changes a file can hash it again. None may crash the check, or be refused
 * without a line. What is changed is the seal and the first bytes of the library; the code of a sealed file is trusted.
 * resealed MODEL SCRATCH_FILE COUNT prints how many were refused, and how many loaded. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn.h"
#include "model.h"
#include "sha256.h"

enum { IDENTITY = 16 /* ELF's e_ident */ };

static uint64_t state = 1;

/* xorshift64 */
static size_t below(size_t limit) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (size_t)(state % limit);
}

static void scribble(void *at, size_t size, size_t count) {
  for (size_t i = 0; i < count; ++i) ((unsigned char *)at)[below(size)] = (unsigned char)below(256);
}

static void fill(char *at, size_t size) {
  static const char PIECES[][16] = {"", " ", "  ", "avx2 ", "avx512f", "x", "\n", "%s", "\033[31m", "\xff\xfe", "asimd "};
  for (size_t used = 0; used + 16 < size;) {
    const char *piece = PIECES[below(sizeof PIECES / sizeof *PIECES)];
    memcpy(at + used, piece, strlen(piece) + 1);
    used += strlen(piece) + (below(8) == 0);
    if (below(24) == 0) break;
  }
}

/* Change a model and return its new size. */
static size_t mutate(unsigned char *data, size_t size, int kind) {
  bnn_seal seal;
  size_t library = size - sizeof seal;
  memcpy(&seal, data + library, sizeof seal);
  switch (kind) {
    case 0: scribble(&seal, offsetof(bnn_seal, sha256), 1 + below(16)); break;
    case 1: fill(seal.needs, sizeof seal.needs); break;
    case 2: fill(seal.machine, sizeof seal.machine); break;
    case 3: memset(seal.needs, 'x', sizeof seal.needs); memset(seal.machine, 'y', sizeof seal.machine); break;
    case 4: seal.library_bytes = (uint64_t)below(SIZE_MAX) << below(40); break;
    case 5: scribble(data, IDENTITY, 1 + below(4)); break;
    case 6: library = below(64); seal.library_bytes = library; memset(data, (int)below(256), library); break;
    default: seal.format_version = (uint32_t)below(UINT32_MAX); seal.reserved = (uint32_t)below(UINT32_MAX);
  }
  memcpy(data + library, &seal, sizeof seal);
  size = library + sizeof seal;
  bnn_sha256(data, size - sizeof seal.sha256, data + size - sizeof seal.sha256);
  return size;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  FILE *file = fopen(argv[1], "rb");
  static unsigned char original[1 << 22], mutant[1 << 22];
  size_t size = file == NULL ? 0 : fread(original, 1, sizeof original, file);
  if (size == 0 || size == sizeof original) return 3;
  fclose(file);
  int refused = 0, loaded = 0;
  for (int i = 0; i < atoi(argv[3]); ++i) {
    memcpy(mutant, original, size);
    size_t changed = mutate(mutant, size, i % 8);
    file = fopen(argv[2], "wb");
    if (file == NULL || fwrite(mutant, 1, changed, file) != changed || fclose(file) != 0) return 4;
    bnn_model *model;
    bnn_status status = bnn_load(argv[2], 1, &model);
    if ((status == BNN_OK) != (model != NULL)) return fprintf(stderr, "mutant %d: %d\n", i, status), 5;
    if (status != BNN_OK && (strpbrk(bnn_last_error(), "\n\033") || !*bnn_last_error())) return 6;
    status == BNN_OK ? ++loaded : ++refused;
    bnn_free(model);
  }
  printf("%d %d\n", refused, loaded);
  return 0;
}
