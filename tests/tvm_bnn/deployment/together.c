/* Several threads, each with a model of its own, on the same inputs: together MODEL THREADS OUTPUT
 * Each run's outputs must be those of the first; they are written to OUTPUT. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn.h"

enum { USERS = 4, CALLS = 25 };
static const char *path;
static int threads;

static void *use(void *seed) {
  bnn_model *model;
  bnn_tensor input, output;
  if (bnn_load(path, threads, &model) != BNN_OK) return NULL;
  bnn_input_tensor(model, 0, &input);
  bnn_output_tensor(model, 0, &output);
  float *in = malloc(input.bytes);
  char *all = malloc(output.bytes * CALLS);
  for (int call = 0; call < CALLS; ++call) {
    for (size_t i = 0; i < input.bytes / sizeof *in; ++i)
      in[i] = (float)((i * 7 + (size_t)call * 13 + *(size_t *)seed) % 101) / 50 - 1;
    if (bnn_input(model, 0, input.type, in, input.bytes) != BNN_OK || bnn_run(model) != BNN_OK) return NULL;
    if (bnn_output(model, 0, output.type, all + output.bytes * (size_t)call, output.bytes) != BNN_OK) return NULL;
  }
  free(in);
  bnn_free(model);
  return all;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  path = argv[1], threads = atoi(argv[2]);
  size_t seeds[USERS] = {0};
  pthread_t users[USERS];
  void *results[USERS];
  bnn_model *model;
  bnn_tensor output;
  if (bnn_load(path, 1, &model) != BNN_OK || bnn_output_tensor(model, 0, &output) != BNN_OK) return 3;
  for (int i = 0; i < USERS; ++i)
    if (pthread_create(&users[i], NULL, use, &seeds[i]) != 0) return 4;
  for (int i = 0; i < USERS; ++i) pthread_join(users[i], &results[i]);
  FILE *file = fopen(argv[3], "wb");
  if (file == NULL || results[0] == NULL) return 5;
  fwrite(results[0], CALLS, output.bytes, file);
  fclose(file);
  for (int i = 1; i < USERS; ++i)
    if (results[i] == NULL || memcmp(results[0], results[i], output.bytes * CALLS) != 0) return 6;
  for (int i = 0; i < USERS; ++i) free(results[i]);
  bnn_free(model);
  return 0;
}
