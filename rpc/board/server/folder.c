#define _GNU_SOURCE
/* On 32 bits, a file with a large inode number could not be looked at otherwise. */
#define _FILE_OFFSET_BITS 64
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "tvm_bnn_session_"

enum { OPEN_FOLDERS = 8, MOST_NAME = 255 };

/* A sweeper may be at work on a folder that was just made: then another is. */
enum { TRIES = 16 };

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

/* Lock a folder of ours that nobody has locked, and is still there when that is done; -1 otherwise. */
static int lock_folder(const char* path) {
  struct stat held, named;
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return -1;
  if (flock(folder, LOCK_EX | LOCK_NB) == 0 && fstat(folder, &held) == 0 && held.st_uid == geteuid() &&
      lstat(path, &named) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev)
    return folder;
  close(folder);
  return -1;
}

int make_folder(const char* parent, char* path, size_t capacity) {
  for (int tried = 0; tried < TRIES; ++tried) {
    if (snprintf(path, capacity, "%s/" PREFIX "XXXXXX", parent) >= (int)capacity) {
      errno = ENAMETOOLONG;
      return -1;
    }
    if (mkdtemp(path) == NULL) return -1;
    int lock = lock_folder(path);
    if (lock >= 0) return lock;
  }
  errno = EAGAIN;
  return -1;
}

void sweep_folders(const char* parent) {
  static char path[4096 + 256];
  struct dirent* entry;
  DIR* all = opendir(parent);
  while (all != NULL && (entry = readdir(all)) != NULL) {
    if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0) continue;
    snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name);
    int lock = lock_folder(path);
    if (lock < 0) continue;
    remove_folder(path);
    close(lock);
  }
  if (all != NULL) closedir(all);
}

int is_plain_name(const char* name) {
  return *name != '\0' && *name != '.' && strlen(name) <= MOST_NAME && strchr(name, '/') == NULL;
}
