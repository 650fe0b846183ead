/* A compiled model's main function calls its kernels, which are exported, through the library's own table of jumps. That
 * table is rewritten: each kernel's entry leads to one of the stubs below, which times the kernel that was there.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "back_end.h"
#include "clock.h"
#include "profile.h"

#define PREFIX "__tvm_ffi_"
#define MAIN PREFIX "__vmtir__"

enum { MOST_KERNELS = 256 };

static struct {
  Callback function;
  const char* name;
} kernels[MOST_KERNELS];
static int known;

static int timed(int kernel, void* self, const Any* arguments, int32_t count, Any* result) {
  int64_t begin = nanoseconds();
  int failed = kernels[kernel].function(self, arguments, count, result);
  note_kernel(kernels[kernel].name, nanoseconds() - begin);
  return failed;
}

/* A stub knows only its own number, so there is one for each kernel: 0x00 to 0xff. */
#define STUB(n)                                                                         \
  static int stub_##n(void* self, const Any* arguments, int32_t count, Any* result) { \
    return timed(0x##n, self, arguments, count, result);                              \
  }
#define ROW(do, n) \
  do(n##0) do(n##1) do(n##2) do(n##3) do(n##4) do(n##5) do(n##6) do(n##7) \
  do(n##8) do(n##9) do(n##a) do(n##b) do(n##c) do(n##d) do(n##e) do(n##f)
#define ALL(do) \
  ROW(do, 0) ROW(do, 1) ROW(do, 2) ROW(do, 3) ROW(do, 4) ROW(do, 5) ROW(do, 6) ROW(do, 7) \
  ROW(do, 8) ROW(do, 9) ROW(do, a) ROW(do, b) ROW(do, c) ROW(do, d) ROW(do, e) ROW(do, f)
#define NAME(n) stub_##n,
ALL(STUB)
static const Callback STUBS[MOST_KERNELS] = {ALL(NAME)};

/* Put another address into a table that the loader has made read-only. */
static int replace(void** entry, void* by) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)entry / page * page;
  if (mprotect((void*)start, page, PROT_READ | PROT_WRITE) != 0) return -1;
  *entry = by;
  return 0;
}

static int instrument_entry(void* library, const char* name, void** entry) {
  if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strncmp(name, MAIN, strlen(MAIN)) == 0) return 0;
  if (known == MOST_KERNELS) return complain("the library has more than %d kernels", MOST_KERNELS);
  kernels[known].function = (Callback)dlsym(library, name);
  kernels[known].name = name + strlen(PREFIX);
  if (kernels[known].function == NULL || replace(entry, (void*)STUBS[known]) != 0)
    return complain("the call of %s cannot be timed", name);
  ++known;
  return 0;
}

/* Addresses of the dynamic section are those in memory where glibc has added where the library lies, as it does. */
static int instrument_entries(void* library, const struct link_map* map) {
  const ElfW(Rela)* jumps = NULL;
  const ElfW(Sym)* symbols = NULL;
  const char* strings = NULL;
  size_t bytes = 0;
  for (const ElfW(Dyn)* item = map->l_ld; item->d_tag != DT_NULL; ++item) {
    if (item->d_tag == DT_JMPREL) jumps = (const void*)item->d_un.d_ptr;
    if (item->d_tag == DT_PLTRELSZ) bytes = item->d_un.d_val;
    if (item->d_tag == DT_SYMTAB) symbols = (const void*)item->d_un.d_ptr;
    if (item->d_tag == DT_STRTAB) strings = (const void*)item->d_un.d_ptr;
  }
  if (jumps == NULL || symbols == NULL || strings == NULL) return complain("the library has no table of jumps");
  for (size_t index = 0; index < bytes / sizeof(*jumps); ++index) {
    const char* name = strings + symbols[ELF64_R_SYM(jumps[index].r_info)].st_name;
    if (instrument_entry(library, name, (void**)(map->l_addr + jumps[index].r_offset)) != 0) return -1;
  }
  return known > 0 ? 0 : complain("the library calls no kernel through its table of jumps");
}

int instrument_library(const char* path) {
  struct link_map* map = NULL;
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == NULL || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return complain("the library is not loaded");
  known = 0;
  forget_profile();
  return instrument_entries(library, map);
}
