/* example.c: a filter. It reads a model's inputs as raw bytes, runs it, writes its outputs, until the inputs end.
 *
 *   example MODEL [THREADS] < inputs.raw > outputs.raw
 */
#include <stdio.h>
#include <stdlib.h>

#include "bnn.h"

static int fail(void) {
  fprintf(stderr, "example: %s\n", bnn_last_error());
  return 1;
}

int main(int argc, char **argv) {
  bnn_model *model;
  bnn_tensor tensor;
  if (argc < 2) return fputs("usage: example MODEL [THREADS] < inputs.raw > outputs.raw\n", stderr), 2;
  if (bnn_load(argv[1], argc > 2 ? atoi(argv[2]) : 1, &model) != BNN_OK) return fail();
  for (;;) {
    for (int i = 0; i < bnn_input_count(model); ++i) {
      if (bnn_input_tensor(model, i, &tensor) != BNN_OK) return fail();
      void *values = malloc(tensor.bytes);
      if (values == NULL) return fputs("example: out of memory\n", stderr), 1;
      size_t got = fread(values, 1, tensor.bytes, stdin);
      if (got == 0 && i == 0) return bnn_free(model), free(values), 0;
      if (got != tensor.bytes) return fprintf(stderr, "example: input %d ends after %zu of %zu bytes\n", i, got, (size_t)tensor.bytes), 1;
      if (bnn_input(model, i, tensor.type, values, tensor.bytes) != BNN_OK) return fail();
      free(values);
    }
    if (bnn_run(model) != BNN_OK) return fail();
    for (int i = 0; i < bnn_output_count(model); ++i) {
      if (bnn_output_tensor(model, i, &tensor) != BNN_OK) return fail();
      void *values = malloc(tensor.bytes);
      if (values == NULL || bnn_output(model, i, tensor.type, values, tensor.bytes) != BNN_OK) return fail();
      fwrite(values, 1, tensor.bytes, stdout);
      free(values);
    }
  }
}
