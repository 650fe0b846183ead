/* Models as TVM's runtime loads and runs them: virtual machines, which clients set up through TVM's own protocol. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "back_end.h"
#include "tvm_calls.h"
#include "versions.h"

int load_library(const char* path, Any* result) {
  Any argument = text_argument(path);
  return TVMFFIFunctionCall(global_function("ffi.ModuleLoadFromFile"), &argument, 1, result);
}

/* TVM reads it once, before the first call. */
int use_threads(int64_t threads) {
  char number[32];
  snprintf(number, sizeof(number), "%lld", (long long)threads);
  return setenv("TVM_NUM_THREADS", number, 1);
}

/* A runner is the function that calls the model's main. */
Runner* open_runner(const Any* model) {
  if (model->type_index == kTVMFFIModule) return (Runner*)module_function(*model, "invoke_stateful");
  complain("a virtual machine was expected");
  return NULL;
}

int run_once(Runner* runner) {
  Any name = text_argument("main"), nothing = {.type_index = kTVMFFINone};
  return TVMFFIFunctionCall((TVMFFIObjectHandle)runner, &name, 1, &nothing) == 0 ? 0 : -1;
}

void close_runner(Runner* runner) { TVMFFIObjectDecRef((TVMFFIObjectHandle)runner); }

Versions versions(void) { return (Versions){.tvm = TVM_RUNTIME_VERSION, .ffi = FFI_RUNTIME_VERSION}; }
