/* Every wrong call gets its status and a line, and none changes the model: refusals MODEL OTHER_MACHINES_MODEL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn.h"

#define EXPECT(status, call)                                                                 \
  do {                                                                                       \
    bnn_status got = (call);                                                                 \
    if (got != (status)) return fprintf(stderr, "%s: status %d: %s\n", #call, got, bnn_last_error()), 1; \
    if (got != BNN_OK && (!*bnn_last_error() || strchr(bnn_last_error(), '\n')))              \
      return fprintf(stderr, "%s: no line\n", #call), 1;                                     \
    if (got != BNN_OK) puts(bnn_last_error());                                               \
  } while (0)

int main(int argc, char **argv) {
  bnn_model *model = NULL;
  bnn_tensor tensor;
  float image[64] = {0}, scores[10];
  if (argc != 3 || bnn_abi_version() != BNN_ABI_VERSION || *bnn_last_error()) return 2;
  EXPECT(BNN_BAD_ARGUMENT, bnn_load(argv[1], 1, NULL));
  EXPECT(BNN_BAD_ARGUMENT, bnn_load(NULL, 1, &model));
  EXPECT(BNN_BAD_ARGUMENT, bnn_load(argv[1], 0, &model));
  EXPECT(BNN_BAD_ARGUMENT, bnn_load(argv[1], 257, &model));
  EXPECT(BNN_WRONG_VERSION, bnn_load_version(argv[1], 1, &model, BNN_ABI_VERSION + 1));
  EXPECT(BNN_NO_FILE, bnn_load("/nowhere/at/all.bnn", 1, &model));
  EXPECT(BNN_NO_FILE, bnn_load("/", 1, &model));
  EXPECT(BNN_DAMAGED, bnn_load("/proc/self/exe", 1, &model));
  EXPECT(BNN_WRONG_MACHINE, bnn_load(argv[2], 1, &model));
  if (model != NULL) return 3;
  EXPECT(BNN_OK, bnn_load(argv[1], 2, &model));
  if (bnn_threads(model) != 2 || strcmp(bnn_name(model), "digits") != 0) return 4;
  if (bnn_input_count(model) != 1 || bnn_output_count(model) != 1) return 5;
  EXPECT(BNN_OK, bnn_input_tensor(model, 0, &tensor));
  if (tensor.type != BNN_FLOAT32 || tensor.rank != 4 || tensor.shape[3] != 8 || tensor.bytes != sizeof image) return 6;
  EXPECT(BNN_BAD_ARGUMENT, bnn_input_tensor(model, 1, &tensor));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output_tensor(model, -1, &tensor));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output_tensor(model, 0, NULL));
  EXPECT(BNN_NOT_READY, bnn_run(model));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(model, 0, BNN_FLOAT32, image, sizeof image - 1));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(model, 0, BNN_FLOAT32, image, sizeof image + 1));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(model, 0, BNN_INT32, image, sizeof image));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(model, 0, BNN_FLOAT32, NULL, sizeof image));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(model, 1, BNN_FLOAT32, image, sizeof image));
  EXPECT(BNN_BAD_ARGUMENT, bnn_input(NULL, 0, BNN_FLOAT32, image, sizeof image));
  EXPECT(BNN_NOT_READY, bnn_run(model));
  EXPECT(BNN_OK, bnn_input(model, 0, BNN_FLOAT32, image, sizeof image));
  EXPECT(BNN_NOT_READY, bnn_output(model, 0, BNN_FLOAT32, scores, sizeof scores));
  EXPECT(BNN_BAD_ARGUMENT, bnn_run(NULL));
  EXPECT(BNN_OK, bnn_run(model));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output(model, 0, BNN_FLOAT32, scores, sizeof scores + 4));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output(model, 0, BNN_FLOAT64, scores, sizeof scores));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output(model, 7, BNN_FLOAT32, scores, sizeof scores));
  EXPECT(BNN_BAD_ARGUMENT, bnn_output(model, 0, BNN_FLOAT32, NULL, sizeof scores));
  EXPECT(BNN_OK, bnn_output(model, 0, BNN_FLOAT32, scores, sizeof scores));
  if (bnn_threads(NULL) || bnn_input_count(NULL) || bnn_output_count(NULL) || *bnn_name(NULL)) return 7;
  bnn_free(model);
  bnn_free(NULL);
  return 0;
}
