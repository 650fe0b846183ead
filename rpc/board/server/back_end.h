/* What runs models and carries calls: TVM's runtime (tvm/), or libbnn where there is none (libbnn/). The build chooses. */

#ifndef TVM_BNN_BACK_END_H
#define TVM_BNN_BACK_END_H

#include "calls.h"

/* Make a C function known to clients under a name, in place of one that has it already; 0 on success. */
int publish(const char* name, Callback function);

/* Let the call that is being served end with an error. */
void raise_error(const char* message);

/* Return text to the client; 0 on success. */
int return_text(const char* text, Any* result);

/* Serve calls until the client leaves; 0 if it left in peace. */
int serve_calls(int socket);

/* Tell a client, whatever it waits for, that an exception ended it. */
void tell_exception(int socket, const char* message);

/* Load a library that was uploaded, and return what the client calls it by. */
int load_library(const char* path, Any* result);

/* How many threads kernels may use, of models that are loaded from now on. */
int use_threads(int64_t threads);

/* Time the kernels of a library that is loaded, from now on; -1 with an error set if it cannot be done. */
int instrument_library(const char* path);

/* A model to run again and again, on inputs that were set: NULL with an error set if the argument is none. */
typedef struct Runner Runner;
Runner* open_runner(const Any* model);
int run_once(Runner* runner);
void close_runner(Runner* runner);

/* Versions of what is there; "" and 0 where it is not. */
typedef struct {
  const char *tvm, *ffi;
  int bnn_format; /* of the deployed models that libbnn reads */
} Versions;
Versions versions(void);

#endif
