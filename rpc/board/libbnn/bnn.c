/* bnn.c: the functions of bnn.h over a model's plan: one kernel after the other, on addresses that never change. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

enum { MOST_RANK = 16, MOST_WARM_UPS = 8 };

/* A tensor as kernels take it. All are made once, by bnn_load. */
typedef struct {
  bnn_dltensor tensor;
  int64_t shape[MOST_RANK], strides[MOST_RANK];
} operand;

struct bnn_model {
  void *library;
  const bnn_description *plan;
  bnn_crew *crew;
  unsigned char *scratch;
  operand *operands;       /* one for each value of the plan */
  bnn_argument *arguments; /* of all steps, one after the other */
  unsigned char *given;    /* which inputs were set */
  int has_run;
};

int bnn_abi_version(void) { return BNN_ABI_VERSION; }
const char *bnn_name(const bnn_model *model) { return model == NULL ? "" : model->plan->name; }
int bnn_threads(const bnn_model *model) { return model == NULL ? 0 : bnn_crew_size(model->crew); }
int bnn_input_count(const bnn_model *model) { return model == NULL ? 0 : (int)model->plan->input_count; }
int bnn_output_count(const bnn_model *model) { return model == NULL ? 0 : (int)model->plan->output_count; }

/* ---- loading ---- */

static void place(operand *place, const bnn_value *value, const bnn_model *model) {
  int64_t stride = 1;
  for (int axis = value->rank - 1; axis >= 0; --axis) {
    place->shape[axis] = value->shape[axis];
    place->strides[axis] = stride;
    stride *= value->shape[axis];
  }
  place->tensor = (bnn_dltensor){
      .data = (value->constant ? (unsigned char *)model->plan->constants : model->scratch) + value->offset,
      .device_type = BNN_CPU,
      .rank = value->rank,
      .code = value->code,
      .bits = value->bits,
      .lanes = 1,
      .shape = place->shape,
      .strides = place->strides,
  };
}

static bnn_status take_memory(bnn_model *model, const char *path, int threads) {
  const bnn_description *plan = model->plan;
  size_t arguments = 0;
  for (uint32_t i = 0; i < plan->step_count; ++i) arguments += plan->steps[i].count;
  size_t scratch = (size_t)(plan->scratch_bytes / BNN_ALIGNMENT + 1) * BNN_ALIGNMENT;
  model->scratch = aligned_alloc(BNN_ALIGNMENT, scratch);
  model->operands = calloc(plan->value_count, sizeof *model->operands);
  model->arguments = calloc(arguments + 1, sizeof *model->arguments);
  model->given = calloc(plan->input_count + 1, 1);
  model->crew = bnn_crew_start(threads);
  if (!model->scratch || !model->operands || !model->arguments || !model->given || !model->crew)
    return bnn_fail_file(BNN_NO_MEMORY, path, ": no memory for %zu bytes, or for %d threads", scratch, threads);
  memset(model->scratch, 0, scratch);
  return BNN_OK;
}

static void connect(bnn_model *model) {
  const bnn_description *plan = model->plan;
  for (uint32_t i = 0; i < plan->value_count; ++i) place(&model->operands[i], &plan->values[i], model);
  bnn_argument *next = model->arguments;
  for (uint32_t i = 0; i < plan->step_count; ++i)
    for (uint32_t j = 0; j < plan->steps[i].count; ++j)
      *next++ = (bnn_argument){.kind = BNN_DLTENSOR, .value.pointer = &model->operands[plan->steps[i].operands[j]].tensor};
  bnn_crew_connect(&plan->imports);
}

static bnn_status run(bnn_model *model, bnn_observer done) {
  const bnn_argument *arguments = model->arguments;
  const bnn_step *step = model->plan->steps, *end = step + model->plan->step_count;
  int failed = 0;
  bnn_crew_enter(model->crew);
  for (; step < end && !failed; ++step) {
    bnn_argument result = {0};
    failed = step->kernel(NULL, arguments, (int32_t)step->count, &result);
    arguments += step->count;
    if (done != NULL) done(step->name);
  }
  const char *complaint = bnn_crew_leave();
  if (!failed) return BNN_OK;
  return bnn_fail(BNN_FAILED, "kernel %.100s failed: %s", step[-1].name, *complaint ? complaint : "no message");
}

/* Until no kernel asks for memory that is not there yet. */
static bnn_status warm_up(bnn_model *model) {
  bnn_status status = BNN_OK;
  unsigned before = 1, after = 0;
  for (int i = 0; i < MOST_WARM_UPS && status == BNN_OK && before != after; ++i) {
    before = bnn_crew_blocks(model->crew);
    status = run(model, NULL);
    after = bnn_crew_blocks(model->crew);
  }
  return status;
}

static bnn_status load_library(bnn_model *model, const char *path) {
  int file;
  bnn_status status = bnn_open_checked(path, &file);
  if (status != BNN_OK) return status;
  status = bnn_map_library(path, file, &model->library);
  close(file); /* a number that we kept could become another file's, which bnn_free would close */
  if (status != BNN_OK) return status;
  model->plan = dlsym(model->library, BNN_DESCRIPTION);
  return model->plan == NULL ? bnn_fail_file(BNN_DAMAGED, path, " describes no model") : BNN_OK;
}

bnn_status bnn_load_version(const char *path, int threads, bnn_model **model, int abi_version) {
  if (model == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_load: model is NULL");
  *model = NULL;
  if (path == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_load: path is NULL");
  if (threads < 1 || threads > BNN_MOST_THREADS)
    return bnn_fail(BNN_BAD_ARGUMENT, "bnn_load: %d threads; 1 to %d are possible", threads, BNN_MOST_THREADS);
  if (abi_version != BNN_ABI_VERSION)
    return bnn_fail(BNN_WRONG_VERSION, "bnn_load: the program was compiled for ABI %d of bnn.h, this libbnn has %d",
                    abi_version, BNN_ABI_VERSION);
  bnn_model *made = calloc(1, sizeof *made);
  if (made == NULL) return bnn_fail_file(BNN_NO_MEMORY, path, ": no memory");
  bnn_status status = load_library(made, path);
  if (status == BNN_OK) status = take_memory(made, path, threads);
  if (status == BNN_OK) {
    connect(made);
    status = warm_up(made);
  }
  if (status == BNN_OK) return *model = made, BNN_OK;
  bnn_free(made);
  return status;
}

void bnn_free(bnn_model *model) {
  if (model == NULL) return;
  bnn_crew_stop(model->crew);
  free(model->scratch);
  free(model->operands);
  free(model->arguments);
  free(model->given);
  if (model->library != NULL) dlclose(model->library);
  free(model);
}

/* ---- tensors ---- */

static bnn_status describe(const bnn_model *model, const char *what, int index, const uint32_t *places, uint32_t count,
                           const char *const *names, bnn_tensor *tensor) {
  if (index < 0 || (uint32_t)index >= count)
    return bnn_fail(BNN_BAD_ARGUMENT, "%s %d: model '%.100s' has %u, counted from 0", what, index, bnn_name(model),
                    (unsigned)count);
  const bnn_value *value = &model->plan->values[places[index]];
  *tensor = (bnn_tensor){.name = names[index],
                         .type = (bnn_type)(value->code << 8 | value->bits),
                         .rank = value->rank,
                         .shape = value->shape,
                         .bytes = (size_t)value->bytes};
  return BNN_OK;
}

bnn_status bnn_input_tensor(const bnn_model *model, int index, bnn_tensor *tensor) {
  if (model == NULL || tensor == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_input_tensor: an argument is NULL");
  const bnn_description *plan = model->plan;
  return describe(model, "input", index, plan->inputs, plan->input_count, plan->input_names, tensor);
}

bnn_status bnn_output_tensor(const bnn_model *model, int index, bnn_tensor *tensor) {
  if (model == NULL || tensor == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_output_tensor: an argument is NULL");
  const bnn_description *plan = model->plan;
  return describe(model, "output", index, plan->outputs, plan->output_count, plan->output_names, tensor);
}

static bnn_status fits(const char *what, const bnn_tensor *tensor, bnn_type type, size_t bytes) {
  if (type != tensor->type)
    return bnn_fail(BNN_BAD_ARGUMENT, "%s '%.100s' is of type 0x%04x, not 0x%04x", what, tensor->name,
                    (unsigned)tensor->type, (unsigned)type);
  if (bytes != tensor->bytes)
    return bnn_fail(BNN_BAD_ARGUMENT, "%s '%.100s' has %zu bytes, not %zu", what, tensor->name, tensor->bytes, bytes);
  return BNN_OK;
}

bnn_status bnn_input(bnn_model *model, int index, bnn_type type, const void *data, size_t bytes) {
  bnn_tensor tensor;
  if (model == NULL || data == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_input: an argument is NULL");
  bnn_status status = bnn_input_tensor(model, index, &tensor);
  if (status == BNN_OK) status = fits("input", &tensor, type, bytes);
  if (status != BNN_OK) return status;
  memcpy(model->operands[model->plan->inputs[index]].tensor.data, data, bytes);
  model->given[index] = 1;
  return BNN_OK;
}

bnn_status bnn_run(bnn_model *model) { return bnn_run_observed(model, NULL); }

bnn_status bnn_run_observed(bnn_model *model, bnn_observer done) {
  if (model == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_run: model is NULL");
  for (uint32_t i = 0; i < model->plan->input_count; ++i)
    if (!model->given[i])
      return bnn_fail(BNN_NOT_READY, "bnn_run: input '%.100s' was not set", model->plan->input_names[i]);
  bnn_status status = run(model, done);
  model->has_run = status == BNN_OK;
  return status;
}

bnn_status bnn_output(const bnn_model *model, int index, bnn_type type, void *data, size_t bytes) {
  bnn_tensor tensor;
  if (model == NULL || data == NULL) return bnn_fail(BNN_BAD_ARGUMENT, "bnn_output: an argument is NULL");
  bnn_status status = bnn_output_tensor(model, index, &tensor);
  if (status == BNN_OK) status = fits("output", &tensor, type, bytes);
  if (status == BNN_OK && !model->has_run) status = bnn_fail(BNN_NOT_READY, "bnn_output: the model has not run");
  if (status != BNN_OK) return status;
  memcpy(data, model->operands[model->plan->outputs[index]].tensor.data, bytes);
  return BNN_OK;
}
