/* How long each kernel of a compiled model takes, on the board, in the library as it is. Back ends fill it in. */

#ifndef TVM_BNN_PROFILE_H
#define TVM_BNN_PROFILE_H

#include <stddef.h>
#include <stdint.h>

/* What follows is one more run of the model: its first kernel comes next. */
void begin_profiled_run(void);

/* A kernel of the model has run; the name lives as long as the model. */
void note_kernel(const char* name, int64_t ns);

/* Start again from zero. */
void forget_profile(void);

/* Write "function calls ns" for every kernel call of a run, in order, a line each, and start again from zero. */
void write_profile(char* text, size_t capacity);

#endif
