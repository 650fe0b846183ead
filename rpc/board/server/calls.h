/* Functions that a client calls: their arguments and results are tvm-ffi's, also where libbnn runs the models. */

#ifndef TVM_BNN_CALLS_H
#define TVM_BNN_CALLS_H

#include <tvm/ffi/c_api.h>

typedef TVMFFIAny Any;

/* A function that a client calls: 0 on success, or -1 after complain(). */
typedef int (*Callback)(void* self, const Any* arguments, int32_t count, Any* result);

Any text_argument(const char* text);
Any integer_argument(int64_t value);

/* Raise an error and return -1. */
int complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* An argument as text or bytes: 1 if it is that, else 0. */
int as_bytes(const Any* argument, TVMFFIByteArray* bytes);

/* Copy the text of an argument, which ends where it says it does; 0 on success, else -1 with an error set. */
int copy_text(const Any* argument, char* text, size_t capacity);

#endif
