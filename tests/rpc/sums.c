/* A deployed model, (a, b) -> (a + b, -a) on three numbers each, as the compiler would describe it. */
#include "model.h"

static float *values(const bnn_argument *argument) { return ((bnn_dltensor *)argument->value.pointer)->data; }

static int add(void *self, const bnn_argument *arguments, int32_t count, bnn_argument *result) {
  (void)self, (void)count, (void)result;
  for (int i = 0; i < 3; ++i) values(&arguments[2])[i] = values(&arguments[0])[i] + values(&arguments[1])[i];
  return 0;
}

static int negative(void *self, const bnn_argument *arguments, int32_t count, bnn_argument *result) {
  (void)self, (void)count, (void)result;
  for (int i = 0; i < 3; ++i) values(&arguments[1])[i] = -values(&arguments[0])[i];
  return 0;
}

enum { FLOAT = 2, BITS = 32, RANK = 2, BYTES = 12 };
static const int64_t shape[] = {1, 3};
#define AT(offset) {offset, BYTES, shape, RANK, FLOAT, BITS, 0}
static const bnn_value all[] = {AT(0), AT(64), AT(128), AT(192)};
static const uint32_t sum_operands[] = {0, 1, 2}, minus_operands[] = {0, 3};
static const bnn_step steps[] = {{add, "add", sum_operands, 3}, {negative, "tir_negative", minus_operands, 2}};
static const uint32_t inputs[] = {0, 1}, outputs[] = {2, 3};
static const char *const input_names[] = {"a", "b"}, *const output_names[] = {"output0", "output1"};
static void (*complain)(const char *, const char **, int32_t);

__attribute__((visibility("default"))) const bnn_description sums __asm__(BNN_DESCRIPTION) = {
    .name = "sums",
    .values = all,
    .steps = steps,
    .inputs = inputs,
    .outputs = outputs,
    .input_names = input_names,
    .output_names = output_names,
    .constants = (const unsigned char *)"",
    .imports = {.complain = &complain},
    .scratch_bytes = 256,
    .value_count = 4,
    .step_count = 2,
    .input_count = 2,
    .output_count = 2,
};
