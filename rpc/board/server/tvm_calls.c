#include "tvm_calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_MESSAGE = 512 };

Any text_argument(const char* text) { return (Any){.type_index = kTVMFFIRawStr, .v_c_str = text}; }

Any integer_argument(int64_t value) { return (Any){.type_index = kTVMFFIInt, .v_int64 = value}; }

int publish(const char* name, Callback function) {
  TVMFFIByteArray key = {name, strlen(name)};
  TVMFFIObjectHandle made = NULL;
  return TVMFFIFunctionCreate(NULL, function, NULL, &made) || TVMFFIFunctionSetGlobal(&key, made, 1);
}

TVMFFIObjectHandle global_function(const char* name) {
  TVMFFIByteArray key = {name, strlen(name)};
  TVMFFIObjectHandle found = NULL;
  return TVMFFIFunctionGetGlobal(&key, &found) == 0 ? found : NULL;
}

TVMFFIObjectHandle module_function(Any module, const char* name) {
  Any arguments[3] = {module, text_argument(name), {.type_index = kTVMFFIBool, .v_int64 = 1}};
  Any found = {.type_index = kTVMFFINone};
  TVMFFIObjectHandle get = global_function("ffi.ModuleGetFunction");
  if (get == NULL || TVMFFIFunctionCall(get, arguments, 3, &found) != 0) return NULL;
  if (found.type_index == kTVMFFIFunction) return found.v_obj;
  complain("the module has no function %s", name);
  return NULL;
}

int complain(const char* format, ...) {
  char message[MOST_MESSAGE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  TVMFFIErrorSetRaisedFromCStr("BoardError", message);
  return -1;
}

void report_raised(const char* what) {
  TVMFFIObjectHandle error = NULL;
  TVMFFIErrorMoveFromRaised(&error);
  if (error == NULL) return;
  const TVMFFIErrorCell* cell = (const void*)((const char*)error + sizeof(TVMFFIObject));
  /* The message's first line says what; the rest is where in TVM. */
  const char* end = memchr(cell->message.data, '\n', cell->message.size);
  size_t length = end == NULL ? cell->message.size : (size_t)(end - cell->message.data);
  fprintf(stderr, "%s: %.*s\n", what, (int)length, cell->message.data);
}

int return_text(const char* text, Any* result) {
  TVMFFIByteArray bytes = {text, strlen(text)};
  return TVMFFIStringFromByteArray(&bytes, result);
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
