#include "timing.h"

#include <stdio.h>

#include "back_end.h"
#include "clock.h"
#include "profile.h"
#include "system_files.h"

enum { MOST_FILE = 65536, MOST_NAME = 256 };

static int repeat(Runner* runner, int64_t calls) {
  for (int64_t call = 0; call < calls; ++call)
    if (run_once(runner) != 0) return -1;
  return 0;
}

/* (model, calls) -> ns that so many calls of main took, on inputs that set_input has set.
 *
 * In place of TVM's time_evaluator, whose clock is the one that people and NTP set.
 */
int time_calls(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self;
  if (count != 2 || arguments[1].type_index != kTVMFFIInt)
    return complain("time takes a model and a number of calls");
  Runner* runner = open_runner(&arguments[0]);
  if (runner == NULL) return -1;
  int64_t begin = nanoseconds();
  int failed = repeat(runner, arguments[1].v_int64);
  *result = integer_argument(nanoseconds() - begin);
  close_runner(runner);
  return failed;
}

/* (model, ns, path) -> "calls ns mean": run main for so long and read a sensor's file every 10 ms meanwhile. */
int sense_calls(void* self, const Any* arguments, int32_t count, Any* result) {
  enum { INTERVAL_NS = 10000000 };
  char path[MOST_NAME], text[96];
  (void)self;
  if (count != 3 || arguments[1].type_index != kTVMFFIInt)
    return complain("sense takes a model, ns and a path");
  if (copy_text(&arguments[2], path, sizeof(path)) != 0) return -1;
  if (!may_be_read(path)) return -1;
  Runner* runner = open_runner(&arguments[0]);
  if (runner == NULL) return -1;
  int64_t begin = nanoseconds(), last = begin, now = begin, calls = 0, readings = 0, failed = 0;
  double sum = 0;
  while (!failed && now - begin < arguments[1].v_int64) {
    failed = repeat(runner, 1);
    ++calls;
    now = nanoseconds();
    if (now - last < INTERVAL_NS) continue;
    FILE* file = fopen(path, "r");
    double value;
    if (file != NULL && fscanf(file, "%lf", &value) == 1) sum += value, ++readings;
    if (file != NULL) fclose(file);
    last = now = nanoseconds();
  }
  close_runner(runner);
  if (failed) return -1;
  if (readings == 0) return complain("the sensor '%s' cannot be read", path);
  snprintf(text, sizeof(text), "%lld %lld %.17g", (long long)calls, (long long)(now - begin), sum / (double)readings);
  return return_text(text, result);
}

/* (model, runs) -> "function calls ns" for every kernel call of a run, in order, a line each. */
int profile_runs(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  (void)self;
  if (count != 2 || arguments[1].type_index != kTVMFFIInt)
    return complain("profile takes a model and a number of runs");
  Runner* runner = open_runner(&arguments[0]);
  if (runner == NULL) return -1;
  int failed = 0;
  for (int64_t run = 0; run < arguments[1].v_int64 && !failed; ++run) {
    begin_profiled_run();
    failed = repeat(runner, 1);
  }
  close_runner(runner);
  write_profile(content, sizeof(content));
  return failed || return_text(content, result);
}
