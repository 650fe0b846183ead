/* How long each kernel of a compiled model takes, on the board, in the library as it is. */

#ifndef TVM_BNN_PROFILE_H
#define TVM_BNN_PROFILE_H

#include <stddef.h>

/* Time the kernels of a library that TVM has loaded and not called yet; -1 with an error raised if it has no hooks. */
int instrument_library(const char* path);

/* Write "function calls ns" for every call site in order of first execution, a line each, and start again from zero. */
void write_profile(char* text, size_t capacity);

#endif
