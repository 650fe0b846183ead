#include "system_files.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "back_end.h"

enum { MOST_FILE = 65536, MOST_NAME = 256, MOST_PATH = 4352 };

#define CPUS "/sys/devices/system/cpu/cpu"

/* All that measurements ask for, and nothing else: below /proc and /sys lie other processes' environments and, by
 * /proc/self/root, every file. '#' stands for a number; what has one can be found by its pattern, letter by letter. */
static const struct {
  const char *path, *pattern;
} ALLOWED[] = {
    {"/proc/cpuinfo", NULL},
    {"/proc/loadavg", NULL},
    {"/proc/meminfo", NULL},
    {"/proc/self/status", NULL},
    {"/sys/devices/platform/soc/soc:firmware/get_throttled", NULL},
    {CPUS "#/cpufreq/scaling_governor", CPUS "[0-9]*/cpufreq/scaling_governor"},
    {CPUS "#/cpufreq/scaling_cur_freq", CPUS "[0-9]*/cpufreq/scaling_cur_freq"},
    {"/sys/class/thermal/thermal_zone#/temp", "/sys/class/thermal/thermal_zone*/temp"},
    {"/sys/class/hwmon/hwmon#/power#_input", "/sys/class/hwmon/hwmon*/power[0-9]*_input"},
};
enum { KINDS = sizeof(ALLOWED) / sizeof(*ALLOWED) };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int fits(const char* path, const char* allowed) {
  for (; *allowed != '\0'; ++allowed) {
    if (*allowed != '#') {
      if (*path++ != *allowed) return 0;
      continue;
    }
    if (!is_digit(*path)) return 0;
    while (is_digit(*path)) ++path;
  }
  return *path == '\0';
}

int may_be_read(const char* path) {
  for (int kind = 0; kind < KINDS; ++kind)
    if (fits(path, ALLOWED[kind].path)) return 1;
  return complain("'%s' is none of the files of /proc and /sys that a client may read", path), 0;
}

static int may_be_found(const char* pattern) {
  for (int kind = 0; kind < KINDS; ++kind)
    if (ALLOWED[kind].pattern != NULL && strcmp(pattern, ALLOWED[kind].pattern) == 0) return 1;
  return complain("'%s' is none of the patterns of /sys that a client may look for", pattern), 0;
}

/* Return a file; empty if this board has none. */
int read_system(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  char path[MOST_NAME];
  (void)self;
  if (count != 1 || copy_text(&arguments[0], path, sizeof(path)) != 0) return count == 1 ? -1 : complain("read takes a path");
  if (!may_be_read(path)) return -1;
  FILE* file = fopen(path, "r");
  size_t size = file == NULL ? 0 : fread(content, 1, sizeof(content) - 1, file);
  if (file != NULL) fclose(file);
  content[size] = '\0';
  return return_text(content, result);
}

/* Return the paths that match a pattern, a line each. */
int find_system(void* self, const Any* arguments, int32_t count, Any* result) {
  static char content[MOST_FILE];
  char pattern[MOST_NAME];
  glob_t found = {0};
  (void)self;
  if (count != 1 || copy_text(&arguments[0], pattern, sizeof(pattern)) != 0)
    return count == 1 ? -1 : complain("find takes a pattern");
  if (!may_be_found(pattern)) return -1;
  content[0] = '\0';
  size_t at = 0;
  if (glob(pattern, 0, NULL, &found) == 0)
    for (size_t index = 0; index < found.gl_pathc && at < sizeof(content) - MOST_PATH; ++index)
      at += (size_t)snprintf(content + at, sizeof(content) - at, "%s\n", found.gl_pathv[index]);
  globfree(&found);
  return return_text(content, result);
}

/* Let the process's high-water mark of memory start again (Linux 4.0 on). */
int reset_peak(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)arguments, (void)count, (void)result;
  FILE* file = fopen("/proc/self/clear_refs", "w");
  if (file != NULL) fputs("5", file);
  if (file != NULL) fclose(file);
  return 0;
}
