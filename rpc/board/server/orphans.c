#define _GNU_SOURCE
#include "orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 100, TICK_US = 1000, MOST_STATE = 512 };

/* A process's parent, or 0. The name in the middle, in brackets, may be anything. */
static pid_t parent_of(const char* process) {
  char path[64], state[MOST_STATE];
  snprintf(path, sizeof(path), "/proc/%.20s/stat", process);
  FILE* file = fopen(path, "r");
  size_t size = file == NULL ? 0 : fread(state, 1, sizeof(state) - 1, file);
  if (file != NULL) fclose(file);
  state[size] = '\0';
  const char* end = strrchr(state, ')');
  int parent = 0;
  return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Signal all of them; how many there were. */
static int kill_children(pid_t except) {
  int found = 0;
  struct dirent* entry;
  DIR* all = opendir("/proc");
  while (all != NULL && (entry = readdir(all)) != NULL) {
    if (!isdigit((unsigned char)*entry->d_name)) continue;
    pid_t process = atoi(entry->d_name);
    if (process == except || parent_of(entry->d_name) != getpid()) continue;
    ++found;
    kill(process, SIGKILL);
    waitpid(process, NULL, WNOHANG);
  }
  if (all != NULL) closedir(all);
  return found;
}

void end_orphans(pid_t except) {
  for (int round = 0; round < ROUNDS && kill_children(except) > 0; ++round) usleep(TICK_US);
}
