/* What a client may read of the board: files that the kernel makes up, below /proc and /sys. */

#ifndef TVM_BNN_SYSTEM_FILES_H
#define TVM_BNN_SYSTEM_FILES_H

#include "calls.h"

int is_system_path(const char* path);

/* For clients to call. */
int read_system(void* self, const Any* arguments, int32_t count, Any* result);
int find_system(void* self, const Any* arguments, int32_t count, Any* result);
int reset_peak(void* self, const Any* arguments, int32_t count, Any* result);

#endif
