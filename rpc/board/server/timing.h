/* Running a model on the board's own clock: for times, for a sensor, and for a profile. */

#ifndef TVM_BNN_TIMING_H
#define TVM_BNN_TIMING_H

#include "calls.h"

/* For clients to call. */
int time_calls(void* self, const Any* arguments, int32_t count, Any* result);
int sense_calls(void* self, const Any* arguments, int32_t count, Any* result);
int profile_runs(void* self, const Any* arguments, int32_t count, Any* result);

#endif
