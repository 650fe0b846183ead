#define _GNU_SOURCE
#include "functions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "back_end.h"
#include "folder.h"
#include "system_files.h"
#include "timing.h"

enum { MOST_NAME = 256, MOST_PATH = 4352 };

/* Of the one session that this process serves. */
static struct {
  const char* folder;
  uint64_t most_bytes;
  const char* facts;
} session;

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
  return load_library(path, result);
}

static int tell_facts(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)arguments, (void)count;
  return return_text(session.facts, result);
}

static int set_threads(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)result;
  if (count != 1 || arguments[0].type_index != kTVMFFIInt || arguments[0].v_int64 < 1)
    return complain("threads takes a number from 1 on");
  return use_threads(arguments[0].v_int64);
}

static int instrument(void* self, const Any* arguments, int32_t count, Any* result) {
  char path[MOST_PATH];
  (void)self, (void)result;
  if (count != 1 || session_path(&arguments[0], path) != 0) return count == 1 ? -1 : complain("instrument takes a name");
  return instrument_library(path);
}

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
  if (publish_all() != 0) {
    fputs("session: there are more functions than the back end takes\n", stderr);
    return 1;
  }
  return serve_calls(socket) == 0 ? 0 : 1;
}
