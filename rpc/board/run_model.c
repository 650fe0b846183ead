/* Run a compiled model without Python: run_model LIBRARY CALLS RESULTS
 *
 * LIBRARY is an artifact or the shared library inside it. CALLS and RESULTS are tensor files, all numbers little-endian:
 *
 *   8 bytes   "BNNCALLS"
 *   uint32    number of calls
 *   per call  uint32 number of tensors, and per tensor
 *             uint8 DLPack type code, uint8 bits, uint16 rank, int64 extents[rank], uint64 bytes, the values
 *
 * The main function of LIBRARY is called once for each call of CALLS; RESULTS holds what it returned, tuples flattened.
 *
 * In C, because TVM's libraries bring libstdc++: a program with another C++ library beside it dies as soon as one of
 * them throws, even if the exception would never have left the library.
 */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tvm/ffi/c_api.h>

static const char MAGIC[8] = {'B', 'N', 'N', 'C', 'A', 'L', 'L', 'S'};

enum {
  MOST_AXES = 16,
  MOST_TENSORS = 256,
  ALIGNMENT = 64,      /* vector instructions like their data aligned */
  POOLED_ALLOCATOR = 2 /* relax_vm AllocatorType::kPooled: buffers are reused from call to call */
};

/* Leaves room to round up to ALIGNMENT. */
#define MOST_BYTES (SIZE_MAX / 2)

/* An input tensor as TVM takes it over: its memory, and what describes it. */
typedef struct {
  DLManagedTensor managed;
  int64_t extents[MOST_AXES];
} Input;

static void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("run_model: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

/* ---- calls into TVM ---- */

static TVMFFIByteArray bytes_of(const char* text) { return (TVMFFIByteArray){text, strlen(text)}; }

static TVMFFIAny text(const char* value) { return (TVMFFIAny){.type_index = kTVMFFIRawStr, .v_c_str = value}; }

static TVMFFIAny integer(int64_t value) { return (TVMFFIAny){.type_index = kTVMFFIInt, .v_int64 = value}; }

/* What an object holds follows its header: that much the C ABI promises (c_api.h). */
static const void* content_of(TVMFFIObjectHandle object) { return (const char*)object + sizeof(TVMFFIObject); }

static void fail_as_tvm_says(const char* what) {
  TVMFFIObjectHandle error = NULL;
  TVMFFIErrorMoveFromRaised(&error);
  if (error == NULL) fail("%s failed", what);
  const TVMFFIErrorCell* cell = content_of(error);
  /* The message's first line says what; the rest is where in TVM. */
  const char* end = memchr(cell->message.data, '\n', cell->message.size);
  size_t length = end == NULL ? cell->message.size : (size_t)(end - cell->message.data);
  fail("%s: %.*s", what, (int)length, cell->message.data);
}

static TVMFFIAny call(TVMFFIObjectHandle function, const char* what, TVMFFIAny* arguments, int32_t count) {
  TVMFFIAny result = {.type_index = kTVMFFINone};
  if (TVMFFIFunctionCall(function, arguments, count, &result) != 0) fail_as_tvm_says(what);
  return result;
}

static TVMFFIAny call_global(const char* name, TVMFFIAny* arguments, int32_t count) {
  TVMFFIObjectHandle function = NULL;
  TVMFFIByteArray key = bytes_of(name);
  if (TVMFFIFunctionGetGlobal(&key, &function) != 0 || function == NULL) fail("the runtime has no %s", name);
  TVMFFIAny result = call(function, name, arguments, count);
  TVMFFIObjectDecRef(function);
  return result;
}

static TVMFFIObjectHandle function_of(TVMFFIAny module, const char* name) {
  TVMFFIAny arguments[3] = {module, text(name), {.type_index = kTVMFFIBool, .v_int64 = 1}};
  TVMFFIAny found = call_global("ffi.ModuleGetFunction", arguments, 3);
  if (found.type_index != kTVMFFIFunction) fail("the library has no function %s", name);
  return found.v_obj;
}

static TVMFFIObjectHandle load_main(const char* library) {
  TVMFFIAny path = text(library);
  TVMFFIAny executable = call_global("ffi.ModuleLoadFromFile", &path, 1);
  TVMFFIAny machine = call(function_of(executable, "vm_load_executable"), "vm_load_executable", NULL, 0);
  TVMFFIAny device[3] = {integer(kDLCPU), integer(0), integer(POOLED_ALLOCATOR)};
  call(function_of(machine, "vm_initialization"), "vm_initialization", device, 3);
  return function_of(machine, "main");
}

/* ---- tensor files ---- */

static void read_bytes(FILE* file, void* into, size_t count) {
  if (fread(into, 1, count, file) != count) fail("the file of calls is cut short");
}

#define READ(type, file) \
  ({                     \
    type value_;         \
    read_bytes(file, &value_, sizeof(value_)); \
    value_;              \
  })

static void write_bytes(FILE* file, const void* from, size_t count) {
  if (fwrite(from, 1, count, file) != count) fail("cannot write the results");
}

#define WRITE(type, file, value)               \
  do {                                         \
    type value_ = (type)(value);               \
    write_bytes(file, &value_, sizeof(value_)); \
  } while (0)

static size_t bytes_in(const DLTensor* tensor) {
  size_t bytes = (tensor->dtype.bits * (size_t)tensor->dtype.lanes + 7) / 8;
  for (int axis = 0; axis < tensor->ndim; ++axis) bytes *= (size_t)tensor->shape[axis];
  return bytes;
}

/* What the extents promise, checked step by step: a wrong file may promise more than size_t counts. */
static size_t promised_bytes(const DLTensor* tensor) {
  size_t bytes = tensor->dtype.bits / 8;
  for (int axis = 0; axis < tensor->ndim; ++axis) {
    int64_t extent = tensor->shape[axis];
    if (extent < 0) fail("an input's axis %d has a negative extent", axis);
    if (extent != 0 && bytes > MOST_BYTES / (size_t)extent) fail("an input's shape is too large");
    bytes *= (size_t)extent;
  }
  return bytes;
}

/* TVM dies instead of complaining when it must print a type that it does not know. */
static void check_type(DLDataType type) {
  int known = type.code == kDLInt || type.code == kDLUInt || type.code == kDLFloat || type.code == kDLBool;
  int whole = type.bits == 8 || type.bits == 16 || type.bits == 32 || type.bits == 64;
  if (!known || !whole) fail("an input's type (code %d, %d bits) is not known", type.code, type.bits);
}

static void free_input(DLManagedTensor* managed) {
  free(managed->dl_tensor.data);
  free(managed);
}

static TVMFFIAny read_tensor(FILE* file) {
  Input* input = calloc(1, sizeof(Input));
  if (input == NULL) fail("out of memory");
  DLTensor* tensor = &input->managed.dl_tensor;
  input->managed.deleter = free_input;
  tensor->device = (DLDevice){kDLCPU, 0};
  tensor->dtype.code = READ(uint8_t, file);
  tensor->dtype.bits = READ(uint8_t, file);
  tensor->dtype.lanes = 1;
  check_type(tensor->dtype);
  tensor->ndim = READ(uint16_t, file);
  if (tensor->ndim > MOST_AXES) fail("an input has %d axes, at most %d are possible", tensor->ndim, MOST_AXES);
  tensor->shape = input->extents;
  read_bytes(file, input->extents, sizeof(int64_t) * (size_t)tensor->ndim);
  uint64_t bytes = READ(uint64_t, file);
  if (bytes != promised_bytes(tensor)) fail("an input's size does not match its shape");
  tensor->data = aligned_alloc(ALIGNMENT, (bytes / ALIGNMENT + 1) * ALIGNMENT);
  if (tensor->data == NULL) fail("out of memory");
  read_bytes(file, tensor->data, bytes);
  TVMFFIObjectHandle made = NULL;
  if (TVMFFITensorFromDLPack(&input->managed, ALIGNMENT, 1, &made) != 0) fail_as_tvm_says("an input");
  return (TVMFFIAny){.type_index = kTVMFFITensor, .v_obj = made};
}

static void write_tensor(FILE* file, const DLTensor* tensor) {
  WRITE(uint8_t, file, tensor->dtype.code);
  WRITE(uint8_t, file, tensor->dtype.bits);
  WRITE(uint16_t, file, tensor->ndim);
  write_bytes(file, tensor->shape, sizeof(int64_t) * (size_t)tensor->ndim);
  size_t bytes = bytes_in(tensor);
  WRITE(uint64_t, file, bytes);
  write_bytes(file, (const char*)tensor->data + tensor->byte_offset, bytes);
}

/* ---- the program ---- */

/* Put the tensors of a result into `tensors`, tuples flattened, and return how many there are then. */
static int flatten(TVMFFIAny value, TVMFFIAny* tensors, int count) {
  if (value.type_index == kTVMFFITensor) {
    if (count == MOST_TENSORS) fail("the model returns more than %d tensors", MOST_TENSORS);
    tensors[count] = value;
    return count + 1;
  }
  if (value.type_index != kTVMFFIArray) fail("the model returns something that is no tensor");
  int64_t fields = call_global("ffi.ArraySize", &value, 1).v_int64;
  for (int64_t index = 0; index < fields; ++index) {
    TVMFFIAny arguments[2] = {value, integer(index)};
    TVMFFIAny field = call_global("ffi.ArrayGetItem", arguments, 2);
    count = flatten(field, tensors, count);
    /* Its tensors hold references of their own. */
    if (field.type_index == kTVMFFIArray) TVMFFIObjectDecRef(field.v_obj);
  }
  return count;
}

static void run_call(TVMFFIObjectHandle main_function, FILE* calls, FILE* results) {
  TVMFFIAny inputs[MOST_TENSORS], outputs[MOST_TENSORS];
  uint32_t count = READ(uint32_t, calls);
  if (count > MOST_TENSORS) fail("a call has %u inputs, at most %d are possible", count, MOST_TENSORS);
  for (uint32_t index = 0; index < count; ++index) inputs[index] = read_tensor(calls);
  TVMFFIAny result = call(main_function, "the model", inputs, (int32_t)count);
  int returned = flatten(result, outputs, 0);
  WRITE(uint32_t, results, returned);
  for (int index = 0; index < returned; ++index) {
    write_tensor(results, content_of(outputs[index].v_obj));
    if (outputs[index].v_obj != result.v_obj) TVMFFIObjectDecRef(outputs[index].v_obj);
  }
  TVMFFIObjectDecRef(result.v_obj);
  for (uint32_t index = 0; index < count; ++index) TVMFFIObjectDecRef(inputs[index].v_obj);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("usage: run_model LIBRARY CALLS RESULTS\n", stderr);
    return 2;
  }
  FILE* calls = fopen(argv[2], "rb");
  if (calls == NULL) fail("cannot open %s", argv[2]);
  char magic[sizeof(MAGIC)];
  read_bytes(calls, magic, sizeof(magic));
  if (memcmp(magic, MAGIC, sizeof(MAGIC)) != 0) fail("%s is no file of calls", argv[2]);
  TVMFFIObjectHandle main_function = load_main(argv[1]);
  FILE* results = fopen(argv[3], "wb");
  if (results == NULL) fail("cannot open %s", argv[3]);
  uint32_t count = READ(uint32_t, calls);
  write_bytes(results, MAGIC, sizeof(MAGIC));
  WRITE(uint32_t, results, count);
  for (uint32_t index = 0; index < count; ++index) run_call(main_function, calls, results);
  if (fclose(results) != 0) fail("cannot write %s", argv[3]);
  return 0;
}
