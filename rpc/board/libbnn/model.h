/* model.h: what a compiled model's library and libbnn know of each other. No part of the API. */
#ifndef BNN_MODEL_H
#define BNN_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define BNN_DESCRIPTION "bnn_description"

enum { BNN_ALIGNMENT = 64, BNN_MOST_THREADS = 256 };

/* DLPack's tensor, as kernels of TVM take it. */
typedef struct {
  void *data;
  int32_t device_type, device_index;
  int32_t rank;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} bnn_dltensor;

/* TVM's argument: TVMFFIAny of tvm/ffi/c_api.h. */
typedef struct {
  int32_t kind;
  uint32_t small_length;
  union {
    int64_t integer;
    void *pointer;
  } value;
} bnn_argument;

enum { BNN_DLTENSOR = 7, BNN_CPU = 1 };

typedef int (*bnn_kernel)(void *self, const bnn_argument *arguments, int32_t count, bnn_argument *result);

/* A part of a parallel loop: TVM's FTVMParallelLambda and TVMParallelGroupEnv. */
typedef struct {
  void *sync;
  int32_t tasks;
} bnn_group;
typedef int (*bnn_task)(int task, bnn_group *group, void *data);

typedef struct {
  uint64_t offset; /* into the constants, or into the scratch memory */
  uint64_t bytes;
  const int64_t *shape;
  int32_t rank;
  uint8_t code, bits;
  uint8_t constant;
} bnn_value;

typedef struct {
  bnn_kernel kernel;
  const char *name;
  const uint32_t *operands;
  uint32_t count;
} bnn_step;

/* Where kernels look for what they call; NULL where no kernel calls it. */
typedef struct {
  void **allocate, **release, **launch;
  void (**complain)(const char *kind, const char **parts, int32_t count);
} bnn_imports;

typedef struct {
  const char *name;
  const bnn_value *values;
  const bnn_step *steps;
  const uint32_t *inputs, *outputs;
  const char *const *input_names, *const *output_names;
  const unsigned char *constants;
  bnn_imports imports;
  uint64_t scratch_bytes;
  uint32_t value_count, step_count, input_count, output_count;
} bnn_description;

/* The last bytes of a deployed model, after its library; numbers are little-endian, texts end with a zero byte. */
typedef struct {
  char magic[8]; /* "BNNMODEL" */
  uint32_t format_version;
  uint32_t reserved;
  uint64_t library_bytes;
  char machine[32]; /* as uname -m says it */
  char needs[424]; /* names of CPU features, as /proc/cpuinfo has them, with a space after each */
  unsigned char sha256[32]; /* of all that precedes it, this structure's other fields included */
} bnn_seal;

enum { BNN_FORMAT_VERSION = 1 };

#endif
