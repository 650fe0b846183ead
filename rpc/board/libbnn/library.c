/* library.c: a library without a name on disk becomes one that the loader takes for no other. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

enum { MOST_NAME = 192 };

/* The loader knows a library by its name, for as long as that is loaded, and asks no further where it knows the name.
 * /proc/self/fd/7 would not do: once that file is closed, by us or by a program that becomes a daemon, the next library
 * has the same number. So the way to the file spells its inode, a "//" or "/." for each bit: no two files that are
 * open or mapped have the same. */
static void name_of(int file, uint64_t inode, char name[MOST_NAME]) {
  size_t at = (size_t)snprintf(name, MOST_NAME, "/proc/self/fd");
  for (int bit = 0; bit < 64; ++bit, at += 2) memcpy(name + at, inode >> bit & 1 ? "/." : "//", 2);
  snprintf(name + at, MOST_NAME - at, "/%d", file);
}

bnn_status bnn_map_library(const char *path, int file, void **library) {
  char name[MOST_NAME];
  struct stat facts;
  if (fstat(file, &facts) != 0) return bnn_fail_file(BNN_NO_MEMORY, path, ": its copy in memory is gone");
  name_of(file, (uint64_t)facts.st_ino, name);
  void *known = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
  if (known != NULL) {
    dlclose(known);
    return bnn_fail_file(BNN_NO_MEMORY, path, ": the loader takes it for a library that it has; load it again");
  }
  *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (*library != NULL) return BNN_OK;
  const char *said = dlerror();
  size_t named = strlen(name);
  if (said == NULL) said = "no message";
  if (strncmp(said, name, named) == 0) said += named + strspn(said + named, ": ");
  return bnn_fail_file(BNN_WRONG_MACHINE, path, ": %s", said);
}
