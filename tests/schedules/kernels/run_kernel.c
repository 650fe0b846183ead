/* Run one kernel on a machine for which there is no TVM runtime: run_kernel TENSORS RESULT
 *
 * Linked with the kernel's object file. TENSORS is a tensor file (rpc/formats/tensor_file.py) of one call; the last tensor is
 * the kernel's output, and RESULT receives its bytes.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tvm/ffi/c_api.h>

enum { MOST_TENSORS = 8, MOST_AXES = 8, HEADER_BYTES = 16, ALIGNMENT = 64 };

int __tvm_ffi_main(void* self, const TVMFFIAny* arguments, int32_t count, TVMFFIAny* result);

/* What generated code asks of a runtime. */
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  fprintf(stderr, "%s: ", kind);
  for (int32_t i = 0; i < count; ++i) fputs(parts[i], stderr);
  fputc('\n', stderr);
}

static void* allocate(int type, int id, uint64_t bytes, int code, int bits) {
  (void)type, (void)id, (void)code, (void)bits;
  return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static int release(int type, int id, void* memory) {
  (void)type, (void)id;
  free(memory);
  return 0;
}

typedef struct {
  void* sync_handle;
  int32_t tasks;
} Group;

static int launch_one(int (*task)(int, Group*, void*), void* closure, int tasks) {
  (void)tasks; /* 0: as many as there are threads */
  return task(0, &(Group){NULL, 1}, closure);
}

int (*__TVMBackendParallelLaunch)(int (*)(int, Group*, void*), void*, int) = launch_one;
void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = allocate;
int (*__TVMBackendFreeWorkspace)(int, int, void*) = release;

static void read_or_die(FILE* file, void* into, size_t bytes) {
  if (fread(into, 1, bytes, file) != bytes) {
    fputs("run_kernel: the tensor file is cut short\n", stderr);
    exit(2);
  }
}

int main(int count, char** names) {
  if (count != 3) return 2;
  FILE* file = fopen(names[1], "rb");
  if (file == NULL) return 2;
  char header[HEADER_BYTES];
  read_or_die(file, header, sizeof header); /* magic, one call, its number of tensors */
  int32_t tensors = *(int32_t*)(header + 12);
  static DLTensor described[MOST_TENSORS];
  static int64_t extents[MOST_TENSORS][MOST_AXES];
  TVMFFIAny arguments[MOST_TENSORS] = {0};
  uint64_t bytes = 0;
  for (int32_t i = 0; i < tensors; ++i) {
    struct { uint8_t code, bits; uint16_t rank; } kind;
    read_or_die(file, &kind, sizeof kind);
    read_or_die(file, extents[i], kind.rank * sizeof(int64_t));
    read_or_die(file, &bytes, sizeof bytes);
    void* data = allocate(0, 0, bytes, 0, 0);
    read_or_die(file, data, bytes);
    described[i] = (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = kind.rank,
                              .dtype = {kind.code, kind.bits, 1}, .shape = extents[i]};
    arguments[i].type_index = kTVMFFIDLTensorPtr;
    arguments[i].v_ptr = &described[i];
  }
  fclose(file);
  TVMFFIAny result = {0};
  if (__tvm_ffi_main(NULL, arguments, tensors, &result) != 0) return 1;
  FILE* output = fopen(names[2], "wb");
  return output == NULL || fwrite(described[tensors - 1].data, 1, bytes, output) != bytes || fclose(output) != 0;
}
