/* What a client may read of the board: some files that the kernel makes up, by name. */

#ifndef TVM_BNN_SYSTEM_FILES_H
#define TVM_BNN_SYSTEM_FILES_H

#include "calls.h"

/* Whether a client may read a file; if not, an error says so. */
int may_be_read(const char* path);

/* For clients to call. */
int read_system(void* self, const Any* arguments, int32_t count, Any* result);
int find_system(void* self, const Any* arguments, int32_t count, Any* result);
int reset_peak(void* self, const Any* arguments, int32_t count, Any* result);

#endif
