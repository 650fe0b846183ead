#include "calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "back_end.h"

enum { MOST_MESSAGE = 512 };

Any text_argument(const char* text) { return (Any){.type_index = kTVMFFIRawStr, .v_c_str = text}; }

Any integer_argument(int64_t value) { return (Any){.type_index = kTVMFFIInt, .v_int64 = value}; }

int complain(const char* format, ...) {
  char message[MOST_MESSAGE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  raise_error(message);
  return -1;
}

int as_bytes(const Any* argument, TVMFFIByteArray* bytes) {
  switch (argument->type_index) {
    case kTVMFFIRawStr:
      *bytes = (TVMFFIByteArray){argument->v_c_str, strlen(argument->v_c_str)};
      return 1;
    case kTVMFFIByteArrayPtr:
      *bytes = *(const TVMFFIByteArray*)argument->v_ptr;
      return 1;
    case kTVMFFIStr:
    case kTVMFFIBytes:
      *bytes = *(const TVMFFIByteArray*)((const char*)argument->v_obj + sizeof(TVMFFIObject));
      return 1;
    case kTVMFFISmallStr:
    case kTVMFFISmallBytes:
      *bytes = (TVMFFIByteArray){argument->v_bytes, argument->small_str_len};
      return 1;
    default:
      return 0;
  }
}

int copy_text(const Any* argument, char* text, size_t capacity) {
  TVMFFIByteArray bytes;
  if (!as_bytes(argument, &bytes) || bytes.size >= capacity || memchr(bytes.data, '\0', bytes.size) != NULL)
    return complain("a text of at most %zu characters was expected", capacity - 1);
  memcpy(text, bytes.data, bytes.size);
  text[bytes.size] = '\0';
  return 0;
}
