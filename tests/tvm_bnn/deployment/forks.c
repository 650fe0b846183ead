/* A child of fork answers as its parent does, frees the model, loads it again; the parent goes on: forks MODEL THREADS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bnn.h"

static char *answer(bnn_model *model) {
  bnn_tensor input, output;
  if (bnn_input_tensor(model, 0, &input) != BNN_OK || bnn_output_tensor(model, 0, &output) != BNN_OK) return NULL;
  float *in = malloc(input.bytes);
  char *out = calloc(1, output.bytes);
  for (size_t i = 0; i < input.bytes / sizeof *in; ++i) in[i] = (float)(i * 7 % 101) / 50 - 1;
  int failed = bnn_input(model, 0, input.type, in, input.bytes) || bnn_run(model) ||
               bnn_output(model, 0, output.type, out, output.bytes);
  free(in);
  if (failed) free(out), out = NULL;
  return out;
}

static int agrees(bnn_model *model, const char *expected, size_t bytes) {
  char *found = answer(model);
  int same = found != NULL && memcmp(found, expected, bytes) == 0;
  free(found);
  return same;
}

static int child(const char *path, int threads, bnn_model *model, const char *expected, size_t bytes) {
  alarm(60);
  for (int i = 0; i < 3; ++i)
    if (!agrees(model, expected, bytes)) return 1;
  bnn_free(model);
  if (bnn_load(path, threads, &model) != BNN_OK) return 2;
  if (!agrees(model, expected, bytes)) return 3;
  bnn_free(model);
  return 0;
}

int main(int argc, char **argv) {
  bnn_model *model;
  bnn_tensor output;
  alarm(120);
  if (argc != 3 || bnn_load(argv[1], atoi(argv[2]), &model) != BNN_OK) return 2;
  char *expected = answer(model);
  if (expected == NULL || bnn_output_tensor(model, 0, &output) != BNN_OK) return 3;
  for (int i = 0; i < 4; ++i) {
    int status = 0;
    pid_t made = fork();
    if (made == 0) _exit(child(argv[1], atoi(argv[2]), model, expected, output.bytes));
    if (made < 0 || waitpid(made, &status, 0) != made || status != 0) return fprintf(stderr, "child: %d\n", status), 4;
    if (!agrees(model, expected, output.bytes)) return 5;
  }
  free(expected);
  bnn_free(model);
  return 0;
}
