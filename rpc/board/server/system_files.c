#include "system_files.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "back_end.h"

enum { MOST_FILE = 65536, MOST_NAME = 256, MOST_PATH = 4352 };

int is_system_path(const char* path) {
  return (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0) && strstr(path, "..") == NULL;
}

/* Return a file of /proc or /sys; empty if there is none. */
int read_system(void* self, const Any* arguments, int32_t count, Any* result) {
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
int find_system(void* self, const Any* arguments, int32_t count, Any* result) {
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
int reset_peak(void* self, const Any* arguments, int32_t count, Any* result) {
  (void)self, (void)arguments, (void)count, (void)result;
  FILE* file = fopen("/proc/self/clear_refs", "w");
  if (file != NULL) fputs("5", file);
  if (file != NULL) fclose(file);
  return 0;
}
