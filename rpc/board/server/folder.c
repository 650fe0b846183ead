#define _XOPEN_SOURCE 700
/* On 32 bits, a file with a large inode number could not be looked at otherwise. */
#define _FILE_OFFSET_BITS 64
#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { OPEN_FOLDERS = 8, MOST_NAME = 255 };

static uint64_t counted;

static int count(const char* path, const struct stat* file, int type, struct FTW* place) {
  (void)path, (void)place;
  if (type == FTW_F) counted += (uint64_t)file->st_size;
  return 0;
}

static int delete(const char* path, const struct stat* file, int type, struct FTW* place) {
  (void)file, (void)type, (void)place;
  remove(path);
  return 0;
}

uint64_t bytes_in_folder(const char* path) {
  counted = 0;
  nftw(path, count, OPEN_FOLDERS, FTW_PHYS);
  return counted;
}

void remove_folder(const char* path) { nftw(path, delete, OPEN_FOLDERS, FTW_PHYS | FTW_DEPTH); }

int is_plain_name(const char* name) {
  return *name != '\0' && *name != '.' && strlen(name) <= MOST_NAME && strchr(name, '/') == NULL;
}
