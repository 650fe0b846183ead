/* Calls into TVM and from TVM, through the C interface of tvm-ffi.
 *
 * In C, because TVM's libraries bring libstdc++: a program with another C++ library beside it dies as soon as one of
 * them throws, even if the exception would never have left the library.
 */

#include <stdio.h>
#include <string.h>

#include "back_end.h"
#include "tvm_calls.h"

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

void raise_error(const char* message) { TVMFFIErrorSetRaisedFromCStr("BoardError", message); }

int return_text(const char* text, Any* result) {
  TVMFFIByteArray bytes = {text, strlen(text)};
  return TVMFFIStringFromByteArray(&bytes, result);
}

/* Write one line about the error that was raised to stderr. */
static void report_raised(const char* what) {
  TVMFFIObjectHandle error = NULL;
  TVMFFIErrorMoveFromRaised(&error);
  if (error == NULL) return;
  const TVMFFIErrorCell* cell = (const void*)((const char*)error + sizeof(TVMFFIObject));
  /* The message's first line says what; the rest is where in TVM. */
  const char* end = memchr(cell->message.data, '\n', cell->message.size);
  size_t length = end == NULL ? cell->message.size : (size_t)(end - cell->message.data);
  fprintf(stderr, "%s: %.*s\n", what, (int)length, cell->message.data);
}

int serve_calls(int socket) {
  Any argument = integer_argument(socket), nothing = {.type_index = kTVMFFINone};
  TVMFFIObjectHandle loop = global_function("rpc.ServerLoop");
  if (loop != NULL && TVMFFIFunctionCall(loop, &argument, 1, &nothing) == 0) return 0;
  report_raised("session");
  return -1;
}

void tell_exception(int socket, const char* message) {
  Any arguments[2] = {integer_argument(socket), text_argument(message)}, nothing = {.type_index = kTVMFFINone};
  TVMFFIObjectHandle tell = global_function("rpc.ReturnException");
  if (tell != NULL && TVMFFIFunctionCall(tell, arguments, 2, &nothing) != 0) report_raised("the client is gone");
}
