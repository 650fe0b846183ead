/* The functions that a client may call, beside those that the back end brings. */

#ifndef TVM_BNN_FUNCTIONS_H
#define TVM_BNN_FUNCTIONS_H

#include <stdint.h>

/* Serve a client until it leaves, and return an exit code. Uploads go to `folder` and take at most `most_bytes`. */
int serve_functions(int socket, const char* folder, uint64_t most_bytes, const char* facts);

#endif
