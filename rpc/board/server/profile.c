#define _GNU_SOURCE
#include "profile.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tvm_calls.h"

/* A compiled model looks each function up through this pointer, which TVM sets when it loads the library, and keeps what
 * it found: what we answer instead is called from then on. */
#define HOOK "__TVMFFIEnvModLookupFromImports"

typedef int (*Lookup)(TVMFFIObjectHandle library, const char* name, TVMFFIObjectHandle* found);

enum { MOST_SITES = 1024 };

typedef struct {
  char name[160];
  TVMFFIObjectHandle function;
  int64_t calls, ns;
} Site;

static Lookup original;
static Site sites[MOST_SITES];
static int used;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int timed_call(void* self, const Any* arguments, int32_t count, Any* result) {
  Site* site = self;
  int64_t begin = now_ns();
  int failed = TVMFFIFunctionCall(site->function, (Any*)arguments, count, result);
  site->ns += now_ns() - begin;
  ++site->calls;
  return failed;
}

/* Builtins of the virtual machine are timed too: what they take is part of the whole. */
static int timed_lookup(TVMFFIObjectHandle library, const char* name, TVMFFIObjectHandle* found) {
  TVMFFIObjectHandle made = NULL;
  if (original(library, name, found) != 0) return -1;
  if (used == MOST_SITES) return 0;
  Site* site = &sites[used];
  snprintf(site->name, sizeof(site->name), "%s", name);
  site->function = *found;
  if (TVMFFIFunctionCreate(site, timed_call, NULL, &made) != 0) return -1;
  ++used;
  *found = made;
  return 0;
}

int instrument_library(const char* path) {
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  Lookup* hook = library == NULL ? NULL : (Lookup*)dlsym(library, HOOK);
  if (hook == NULL || *hook == NULL) return complain("the library cannot be profiled: it has no %s", HOOK);
  original = *hook;
  *hook = timed_lookup;
  used = 0;
  return 0;
}

void write_profile(char* text, size_t capacity) {
  size_t at = 0;
  text[0] = '\0';
  for (int index = 0; index < used; ++index) {
    if (at + sizeof(sites[index].name) + 64 < capacity)
      at += (size_t)snprintf(text + at, capacity - at, "%s %lld %lld\n", sites[index].name, (long long)sites[index].calls,
                             (long long)sites[index].ns);
    sites[index].calls = sites[index].ns = 0;
  }
}
