#define _GNU_SOURCE
#include "functions.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "profile.h"
#include "tvm_calls.h"

enum { MOST_FILE = 65536, MOST_NAME = 256, MOST_PATH = 4352 };

/* Of the one session that this process serves. */
static struct {
  const char* folder;
  uint64_t most_bytes;
  const char* facts;
} session;

/* ---- files of the session ---- */

/* Copy the text of an argument, which ends where it says it does. */
static int copy_text(const Any* argument, char* text, size_t capacity) {
  TVMFFIByteArray bytes;
  if (!as_bytes(argument, &bytes) || bytes.size >= capacity || memchr(bytes.data, '\0', bytes.size) != NULL)
    return complain("a text of at most %zu characters was expected", capacity - 1);
  memcpy(text, bytes.data, bytes.size);
  text[bytes.size] = '\0';
  return 0;
}

static int session_path(const Any* argument, char* path) {
  char name[MOST_NAME];
  if (copy_text(argument, name, sizeof(name)) != 0) return -1;
  if (!is_plain_name(name)) return complain("'%s' is no name for a file: it must have no '/' and no '.' in front", name);
  snprintf(path, MOST_PATH, "%s/%s", session.folder, name);
  return 0;
}

static int work_path(void* self, const Any* arguments, int32_t count, Any* result) {
  char path[MOST_PATH];
  (void)self;
  if (count != 1) return complain("workpath takes a name");
  return session_path(&arguments[0], path) || return_text(path, result);
}

static int write_file(const char* path, TVMFFIByteArray bytes) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  while (bytes.size > 0) {
    ssize_t written = write(file, bytes.data, bytes.size);
    if (written <= 0) {
      int reason = written < 0 ? errno : ENOSPC;
      close(file);
      unlink(path);
      errno = reason;
      return -1;
    }
    bytes.data += written;
    bytes.size -= (size_t)written;
  }
  return close(file);
}

/* In place of TVM's, which neither limits nor notices a disk that is full. */
static int upload(void* self, const Any* arguments, int32_t count, Any* result) {
  char path[MOST_PATH];
  TVMFFIByteArray bytes;
  (void)self, (void)result;
  if (count != 2 || !as_bytes(&arguments[1], &bytes)) return complain("upload takes a name and bytes");
  if (session_path(&arguments[0], path) != 0) return -1;
  if (bytes.size > session.most_bytes || bytes_in_folder(session.folder) > session.most_bytes - bytes.size)
    return complain("the upload of %zu bytes would exceed the session's %llu", bytes.size,
                 (unsigned long long)session.most_bytes);
  if (write_file(path, bytes) != 0) return complain("the upload of %zu bytes failed: %s", bytes.size, strerror(errno));
  return 0;
}

static int load_module(void* self, const Any* arguments, int32_t count, Any* result) {
  char path[MOST_PATH];
  (void)self;
  if (count != 1 || session_path(&arguments[0], path) != 0) return count == 1 ? -1 : complain("load_module takes a name");
  Any argument = text_argument(path);
  return TVMFFIFunctionCall(global_function("ffi.ModuleLoadFromFile"), &argument, 1, result);
}

/* ---- facts of the board ---- */

static int tell_facts(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)arguments, (void)count;
  return return_text(session.facts, result);
}

static int is_system_path(const char* path) {
  return (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0) && strstr(path, "..") == NULL;
}

/* Return a file of /proc or /sys; empty if there is none. */
static int read_system(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  char path[MOST_NAME];
  (void)self;
  if (count != 1 || copy_text(&arguments[0], path, sizeof(path)) != 0) return count == 1 ? -1 : complain("read takes a path");
  if (!is_system_path(path)) return complain("'%s' is not below /proc or /sys", path);
  FILE* file = fopen(path, "r");
  size_t size = file == NULL ? 0 : fread(content, 1, sizeof(content) - 1, file);
  if (file != NULL) fclose(file);
  content[size] = '\0';
  return return_text(content, result);
}

/* Return the paths of /sys that match a pattern, a line each. */
static int find_system(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  char pattern[MOST_NAME];
  glob_t found = {0};
  (void)self;
  if (count != 1 || copy_text(&arguments[0], pattern, sizeof(pattern)) != 0)
    return count == 1 ? -1 : complain("find takes a pattern");
  if (!is_system_path(pattern)) return complain("'%s' is not below /proc or /sys", pattern);
  content[0] = '\0';
  size_t at = 0;
  if (glob(pattern, 0, NULL, &found) == 0)
    for (size_t index = 0; index < found.gl_pathc && at < sizeof(content) - MOST_PATH; ++index)
      at += (size_t)snprintf(content + at, sizeof(content) - at, "%s\n", found.gl_pathv[index]);
  globfree(&found);
  return return_text(content, result);
}

/* Let the process's high-water mark of memory start again (Linux 4.0 on). */
static int reset_peak(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)arguments, (void)count, (void)result;
  FILE* file = fopen("/proc/self/clear_refs", "w");
  if (file != NULL) fputs("5", file);
  if (file != NULL) fclose(file);
  return 0;
}

/* How many threads kernels may use; TVM reads it once, before the first call. */
static int set_threads(void* self, const Any* arguments, int32_t count, Any* result) {
  char number[32];
  (void)self, (void)result;
  if (count != 1 || arguments[0].type_index != kTVMFFIInt || arguments[0].v_int64 < 1)
    return complain("threads takes a number from 1 on");
  snprintf(number, sizeof(number), "%lld", (long long)arguments[0].v_int64);
  return setenv("TVM_NUM_THREADS", number, 1);
}

/* ---- time ---- */

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int repeat(TVMFFIObjectHandle invoke, int64_t calls) {
  Any name = text_argument("main");
  for (int64_t call = 0; call < calls; ++call) {
    Any nothing = {.type_index = kTVMFFINone};
    if (TVMFFIFunctionCall(invoke, &name, 1, &nothing) != 0) return -1;
  }
  return 0;
}

/* (virtual machine, calls) -> ns that so many calls of main took, on inputs that set_input has set.
 *
 * In place of TVM's time_evaluator, whose clock is the one that people and NTP set.
 */
static int time_calls(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self;
  if (count != 2 || arguments[0].type_index != kTVMFFIModule || arguments[1].type_index != kTVMFFIInt)
    return complain("time takes a virtual machine and a number of calls");
  TVMFFIObjectHandle invoke = module_function(arguments[0], "invoke_stateful");
  if (invoke == NULL) return -1;
  int64_t begin = nanoseconds();
  int failed = repeat(invoke, arguments[1].v_int64);
  *result = integer_argument(nanoseconds() - begin);
  TVMFFIObjectDecRef(invoke);
  return failed;
}

/* (virtual machine, ns, path) -> "calls ns mean": run main for so long and read a sensor's file every 10 ms meanwhile. */
static int sense_calls(void* self, const Any* arguments, int32_t count, Any* result) {
  enum { INTERVAL_NS = 10000000 };
  char path[MOST_NAME], text[96];
  (void)self;
  if (count != 3 || arguments[0].type_index != kTVMFFIModule || arguments[1].type_index != kTVMFFIInt)
    return complain("sense takes a virtual machine, ns and a path");
  if (copy_text(&arguments[2], path, sizeof(path)) != 0) return -1;
  if (!is_system_path(path)) return complain("'%s' is not below /proc or /sys", path);
  TVMFFIObjectHandle invoke = module_function(arguments[0], "invoke_stateful");
  if (invoke == NULL) return -1;
  int64_t begin = nanoseconds(), last = begin, now = begin, calls = 0, readings = 0, failed = 0;
  double sum = 0;
  while (!failed && now - begin < arguments[1].v_int64) {
    failed = repeat(invoke, 1);
    ++calls;
    now = nanoseconds();
    if (now - last < INTERVAL_NS) continue;
    FILE* file = fopen(path, "r");
    double value;
    if (file != NULL && fscanf(file, "%lf", &value) == 1) sum += value, ++readings;
    if (file != NULL) fclose(file);
    last = now = nanoseconds();
  }
  TVMFFIObjectDecRef(invoke);
  if (failed) return -1;
  if (readings == 0) return complain("the sensor '%s' cannot be read", path);
  snprintf(text, sizeof(text), "%lld %lld %.17g", (long long)calls, (long long)(now - begin), sum / (double)readings);
  return return_text(text, result);
}

/* ---- per layer ---- */

static int instrument(void* self, const Any* arguments, int32_t count, Any* result) {
  char path[MOST_PATH];
  (void)self, (void)result;
  if (count != 1 || session_path(&arguments[0], path) != 0) return count == 1 ? -1 : complain("instrument takes a name");
  return instrument_library(path);
}

/* (virtual machine, runs) -> "function calls ns" for every kernel call of a run, in order, a line each. */
static int profile_runs(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  (void)self;
  if (count != 2 || arguments[0].type_index != kTVMFFIModule || arguments[1].type_index != kTVMFFIInt)
    return complain("profile takes a virtual machine and a number of runs");
  TVMFFIObjectHandle invoke = module_function(arguments[0], "invoke_stateful");
  if (invoke == NULL) return -1;
  int failed = 0;
  for (int64_t run = 0; run < arguments[1].v_int64 && !failed; ++run) {
    begin_profiled_run();
    failed = repeat(invoke, 1);
  }
  TVMFFIObjectDecRef(invoke);
  write_profile(content, sizeof(content));
  return failed || return_text(content, result);
}

/* ---- serving ---- */

static int publish_all(void) {
  static const struct {
    const char* name;
    Callback function;
  } ALL[] = {{"tvm.rpc.server.workpath", work_path},
             {"tvm.rpc.server.upload", upload},
             {"tvm.rpc.server.load_module", load_module},
             {"tvm_bnn.board.facts", tell_facts},
             {"tvm_bnn.board.read", read_system},
             {"tvm_bnn.board.find", find_system},
             {"tvm_bnn.board.reset_peak", reset_peak},
             {"tvm_bnn.board.threads", set_threads},
             {"tvm_bnn.board.time", time_calls},
             {"tvm_bnn.board.sense", sense_calls},
             {"tvm_bnn.board.instrument", instrument},
             {"tvm_bnn.board.profile", profile_runs}};
  for (size_t index = 0; index < sizeof(ALL) / sizeof(*ALL); ++index)
    if (publish(ALL[index].name, ALL[index].function) != 0) return -1;
  return 0;
}

int serve_functions(int socket, const char* folder, uint64_t most_bytes, const char* facts) {
  session.folder = folder;
  session.most_bytes = most_bytes;
  session.facts = facts;
  Any argument = integer_argument(socket), nothing = {.type_index = kTVMFFINone};
  TVMFFIObjectHandle loop = global_function("rpc.ServerLoop");
  if (loop == NULL || publish_all() != 0 || TVMFFIFunctionCall(loop, &argument, 1, &nothing) != 0) {
    report_raised("session");
    return 1;
  }
  return 0;
}

void tell_exception(int socket, const char* message) {
  Any arguments[2] = {integer_argument(socket), text_argument(message)}, nothing = {.type_index = kTVMFFINone};
  TVMFFIObjectHandle tell = global_function("rpc.ReturnException");
  if (tell != NULL && TVMFFIFunctionCall(tell, arguments, 2, &nothing) != 0) report_raised("the client is gone");
}
