/* Count what is taken from the heap between two marks: allocations MODEL THREADS CALLS prints the number. */
#include <stdio.h>
#include <stdlib.h>
#include <stdatomic.h>

#include "bnn.h"

/* Those of glibc; that the program defines these names sends every library's calls here. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long taken;

void *malloc(size_t bytes) { return atomic_fetch_add(&taken, 1), __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return atomic_fetch_add(&taken, 1), __libc_calloc(count, bytes); }
void *realloc(void *old, size_t bytes) { return atomic_fetch_add(&taken, 1), __libc_realloc(old, bytes); }
void *memalign(size_t align, size_t bytes) { return atomic_fetch_add(&taken, 1), __libc_memalign(align, bytes); }
void *aligned_alloc(size_t align, size_t bytes) { return atomic_fetch_add(&taken, 1), __libc_memalign(align, bytes); }
int posix_memalign(void **out, size_t align, size_t bytes) {
  atomic_fetch_add(&taken, 1);
  return (*out = __libc_memalign(align, bytes)) == NULL;
}

int main(int argc, char **argv) {
  bnn_model *model;
  bnn_tensor input, output;
  if (argc != 4 || bnn_load(argv[1], atoi(argv[2]), &model) != BNN_OK) return fputs(bnn_last_error(), stderr), 1;
  if (bnn_input_tensor(model, 0, &input) != BNN_OK || bnn_output_tensor(model, 0, &output) != BNN_OK) return 2;
  void *in = calloc(1, input.bytes), *out = malloc(output.bytes);
  long before = atomic_load(&taken);
  for (int i = 0; i < atoi(argv[3]); ++i) {
    if (bnn_input(model, 0, input.type, in, input.bytes) != BNN_OK) return 3;
    if (bnn_run(model) != BNN_OK) return 4;
    if (bnn_output(model, 0, output.type, out, output.bytes) != BNN_OK) return 5;
    if (bnn_input(model, 0, input.type, in, 1) != BNN_BAD_ARGUMENT) return 6; /* complaining takes none either */
  }
  long after = atomic_load(&taken);
  printf("%ld %ld\n", before, after - before);
  free(in);
  free(out);
  bnn_free(model);
  return 0;
}
