/* Deployed models, loaded and run by libbnn, which checks a file's hash, machine and version before it runs any of it. */

#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back_end.h"
#include "clock.h"
#include "internal.h"
#include "profile.h"

enum { MOST_MODELS = 64, MOST_PATH = 4352, MOST_TEXT = 65536, MOST_ROW = 512 };

struct Runner {
  char path[MOST_PATH];
  bnn_model* model;
  int instrumented;
};

static Runner models[MOST_MODELS];
static int64_t loaded, threads = 1;

/* When the last kernel, or the run, began. */
static int64_t began;

int load_library(const char* path, Any* result) {
  if (loaded == MOST_MODELS) return complain("a session loads at most %d models", MOST_MODELS);
  Runner* made = &models[loaded];
  if (bnn_load(path, (int)threads, &made->model) != BNN_OK) return complain("%s", bnn_last_error());
  snprintf(made->path, sizeof(made->path), "%s", path);
  *result = integer_argument(loaded++);
  return 0;
}

int use_threads(int64_t number) {
  if (number > BNN_MOST_THREADS) return complain("at most %d threads are possible", BNN_MOST_THREADS);
  threads = number;
  return 0;
}

int instrument_library(const char* path) {
  for (int64_t index = 0; index < loaded; ++index) {
    if (strcmp(models[index].path, path) != 0) continue;
    models[index].instrumented = 1;
    forget_profile();
    return 0;
  }
  return complain("the library is not loaded");
}

Runner* open_runner(const Any* model) {
  if (model->type_index == kTVMFFIInt && model->v_int64 >= 0 && model->v_int64 < loaded) return &models[model->v_int64];
  complain("a model's number was expected");
  return NULL;
}

static void note(const char* kernel) {
  int64_t now = nanoseconds();
  note_kernel(kernel, now - began);
  began = nanoseconds();
}

int run_once(Runner* runner) {
  began = nanoseconds();
  bnn_status status = bnn_run_observed(runner->model, runner->instrumented ? note : NULL);
  return status == BNN_OK ? 0 : complain("%s", bnn_last_error());
}

void close_runner(Runner* runner) { (void)runner; }

Versions versions(void) { return (Versions){.tvm = "", .ffi = "", .bnn_format = BNN_FORMAT_VERSION}; }

/* (model, index, bytes): set an input. */
static int set_input(void* self, const Any* arguments, int32_t count, Any* result) {
  TVMFFIByteArray bytes;
  bnn_tensor tensor;
  (void)self, (void)result;
  if (count != 3 || arguments[1].type_index != kTVMFFIInt || !as_bytes(&arguments[2], &bytes))
    return complain("input takes a model, an index and bytes");
  Runner* runner = open_runner(&arguments[0]);
  if (runner == NULL) return -1;
  int index = arguments[1].v_int64 < 0 || arguments[1].v_int64 > INT32_MAX ? -1 : (int)arguments[1].v_int64;
  if (bnn_input_tensor(runner->model, index, &tensor) != BNN_OK ||
      bnn_input(runner->model, index, tensor.type, bytes.data, bytes.size) != BNN_OK)
    return complain("%s", bnn_last_error());
  return 0;
}

/* (model): run it once. */
static int run_model(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)result;
  Runner* runner = count == 1 ? open_runner(&arguments[0]) : NULL;
  if (runner == NULL) return complain("run takes a model");
  return run_once(runner);
}

/* (model) -> "kind bits extents …" of every output, in order, a line each; kinds are DLPack's. */
static int describe_outputs(void* self, const Any* arguments, int32_t count, Any* result) {
  char text[MOST_TEXT] = "";
  size_t at = 0;
  bnn_tensor tensor;
  (void)self;
  Runner* runner = count == 1 ? open_runner(&arguments[0]) : NULL;
  if (runner == NULL) return complain("outputs takes a model");
  for (int index = 0; bnn_output_tensor(runner->model, index, &tensor) == BNN_OK && at < MOST_TEXT - MOST_ROW; ++index) {
    at += (size_t)snprintf(text + at, MOST_TEXT - at, "%d %d", tensor.type >> 8, tensor.type & 0xff);
    for (int axis = 0; axis < tensor.rank; ++axis)
      at += (size_t)snprintf(text + at, MOST_TEXT - at, " %lld", (long long)tensor.shape[axis]);
    at += (size_t)snprintf(text + at, MOST_TEXT - at, "\n");
  }
  return return_text(text, result);
}

/* (model, index) -> the bytes of an output. */
static int get_output(void* self, const Any* arguments, int32_t count, Any* result) {
  static TVMFFIByteArray answer;
  bnn_tensor tensor;
  (void)self;
  if (count != 2 || arguments[1].type_index != kTVMFFIInt) return complain("output takes a model and an index");
  Runner* runner = open_runner(&arguments[0]);
  if (runner == NULL) return -1;
  int index = arguments[1].v_int64 < 0 || arguments[1].v_int64 > INT32_MAX ? -1 : (int)arguments[1].v_int64;
  if (bnn_output_tensor(runner->model, index, &tensor) != BNN_OK) return complain("%s", bnn_last_error());
  char* data = realloc((char*)answer.data, tensor.bytes + 1);
  if (data == NULL) return complain("no memory for an output of %zu bytes", tensor.bytes);
  answer = (TVMFFIByteArray){data, tensor.bytes};
  if (bnn_output(runner->model, index, tensor.type, data, tensor.bytes) != BNN_OK)
    return complain("%s", bnn_last_error());
  *result = (Any){.type_index = kTVMFFIByteArrayPtr, .v_ptr = &answer};
  return 0;
}

int publish_models(void) {
  return publish("tvm_bnn.board.input", set_input) || publish("tvm_bnn.board.run", run_model) ||
         publish("tvm_bnn.board.outputs", describe_outputs) || publish("tvm_bnn.board.output", get_output);
}
