/* How long each kernel of a compiled model takes, on the board, in the library as it is. */

#ifndef TVM_BNN_PROFILE_H
#define TVM_BNN_PROFILE_H

#include <stddef.h>
#include <stdint.h>

/* Time the kernels of a library that is loaded, from now on; -1 with an error set if it cannot be done. */
int instrument_library(const char* path);

/* What follows is one more run of the model: its first kernel comes next. */
void begin_profiled_run(void);

/* Write "function calls ns" for every kernel call of a run, in order, a line each, and start again from zero. */
void write_profile(char* text, size_t capacity);

#endif
