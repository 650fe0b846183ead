/* error.c: the line about what went wrong, one for each thread. */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

BNN_THREAD_LOCAL char message[256];

const char *bnn_last_error(void) { return message; }

bnn_status bnn_fail(bnn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return status;
}
