/* Calls into TVM and from TVM, through the C interface of tvm-ffi.
 *
 * In C, because TVM's libraries bring libstdc++: a program with another C++ library beside it dies as soon as one of
 * them throws, even if the exception would never have left the library.
 */

#ifndef TVM_BNN_TVM_CALLS_H
#define TVM_BNN_TVM_CALLS_H

#include <tvm/ffi/c_api.h>

typedef TVMFFIAny Any;

/* A function that TVM calls: 0 on success, or -1 after complain(). */
typedef int (*Callback)(void* self, const Any* arguments, int32_t count, Any* result);

Any text_argument(const char* text);
Any integer_argument(int64_t value);

/* Make a C function known to TVM under a name, in place of one that has it already; 0 on success. */
int publish(const char* name, Callback function);

/* Return TVM's function of that name, or NULL. */
TVMFFIObjectHandle global_function(const char* name);

/* Return a module's function of that name, or NULL with an error set. */
TVMFFIObjectHandle module_function(Any module, const char* name);

/* Raise an error and return -1. */
int complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* Write one line about the error that was raised to stderr. */
void report_raised(const char* what);

/* Return text to the caller; 0 on success. */
int return_text(const char* text, Any* result);

/* An argument as text or bytes: 1 if it is that, else 0. */
int as_bytes(const Any* argument, TVMFFIByteArray* bytes);

/* Copy the text of an argument, which ends where it says it does; 0 on success, else -1 with an error set. */
int copy_text(const Any* argument, char* text, size_t capacity);

#endif
