/* The functions that a client may call, beside those that TVM's runtime brings. */

#ifndef TVM_BNN_FUNCTIONS_H
#define TVM_BNN_FUNCTIONS_H

#include <stdint.h>

/* Serve a client until it leaves, and return an exit code. Uploads go to `folder` and take at most `most_bytes`. */
int serve_functions(int socket, const char* folder, uint64_t most_bytes, const char* facts);

/* Tell a client, whatever it waits for, that an exception ended it. */
void tell_exception(int socket, const char* message);

#endif
