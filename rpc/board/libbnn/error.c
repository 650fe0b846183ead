/* error.c: the line about what went wrong, one for each thread. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

enum { MOST_LINE = 256, MOST_REASON = 200 };

BNN_THREAD_LOCAL char message[MOST_LINE];

const char *bnn_last_error(void) { return message; }

/* Paths and names are whatever somebody wrote: no character of theirs ends the line, or moves a terminal's cursor. */
static bnn_status finish(bnn_status status) {
  for (char *at = message; *at != 0; ++at)
    if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
  return status;
}

bnn_status bnn_fail(bnn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return finish(status);
}

bnn_status bnn_fail_file(bnn_status status, const char *path, const char *format, ...) {
  char reason[MOST_REASON];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  size_t length = strlen(path), room = sizeof message - 1 - strlen(reason);
  if (length <= room) {
    snprintf(message, sizeof message, "%s%s", path, reason);
  } else {
    const char *first = reason + strspn(reason, ": "); /* the reason comes first; of the path, as much as fits */
    size_t left = sizeof message - 1 - strlen(first) - strlen(": ...");
    snprintf(message, sizeof message, "%s: ...%s", first, path + length - left);
  }
  return finish(status);
}
