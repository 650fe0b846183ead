/* The board's raw monotonic clock, which neither people nor NTP set. */

#ifndef TVM_BNN_CLOCK_H
#define TVM_BNN_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
