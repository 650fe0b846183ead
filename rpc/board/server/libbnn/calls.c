/* Calls of a client, one after the other. All numbers are little-endian.
 *
 *   call    uint32 bytes that follow, then texts and numbers: the function's name, and its arguments
 *   text    'b', uint32 length, so many bytes
 *   number  'i', int64
 *   answer  uint32 bytes that follow, then 'n' (nothing), 'i' with an int64, 'b' with bytes to the end, or 'e' with an
 *           error's line to the end
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back_end.h"
#include "models.h"
#include "sockets.h"

enum { MOST_FUNCTIONS = 32, MOST_ARGUMENTS = 4, MOST_LINE = 512, MOST_CALL = (256 << 20) + (1 << 16) };

static struct {
  const char* name;
  Callback function;
} functions[MOST_FUNCTIONS];
static int known;

static char raised[MOST_LINE];

/* What an answer refers to, until the next one. */
static TVMFFIByteArray returned;

typedef struct {
  const char *at, *end;
} Rest;

int publish(const char* name, Callback function) {
  if (known == MOST_FUNCTIONS) return -1;
  functions[known].name = name;
  functions[known++].function = function;
  return 0;
}

void raise_error(const char* message) { snprintf(raised, sizeof(raised), "%s", message); }

int return_text(const char* text, Any* result) {
  size_t size = strlen(text);
  char* copy = realloc((char*)returned.data, size + 1);
  if (copy == NULL) return complain("no memory for an answer of %zu bytes", size);
  memcpy(copy, text, size + 1);
  returned = (TVMFFIByteArray){copy, size};
  *result = (Any){.type_index = kTVMFFIByteArrayPtr, .v_ptr = &returned};
  return 0;
}

static int answer(int socket, char kind, const void* data, size_t size) {
  uint32_t length = (uint32_t)size + 1;
  return send_all(socket, &length, sizeof(length)) || send_all(socket, &kind, 1) || send_all(socket, data, size);
}

static int take(Rest* rest, void* data, size_t size) {
  if ((size_t)(rest->end - rest->at) < size) return -1;
  memcpy(data, rest->at, size);
  rest->at += size;
  return 0;
}

/* Read an item; a text stays where it is, and `text` says where that is. */
static int take_item(Rest* rest, Any* item, TVMFFIByteArray* text) {
  char kind;
  uint32_t size;
  int64_t number;
  if (take(rest, &kind, 1) != 0) return -1;
  if (kind == 'i' && take(rest, &number, sizeof(number)) == 0) return *item = integer_argument(number), 0;
  if (kind != 'b' || take(rest, &size, sizeof(size)) != 0 || (size_t)(rest->end - rest->at) < size) return -1;
  *text = (TVMFFIByteArray){rest->at, size};
  *item = (Any){.type_index = kTVMFFIByteArrayPtr, .v_ptr = text};
  rest->at += size;
  return 0;
}

static Callback function_named(TVMFFIByteArray name) {
  for (int index = 0; index < known; ++index)
    if (strlen(functions[index].name) == name.size && memcmp(functions[index].name, name.data, name.size) == 0)
      return functions[index].function;
  return NULL;
}

/* Perform a call; -1 with an error set if it cannot be done. */
static int perform(const char* call, size_t size, Any* result) {
  Rest rest = {call, call + size};
  Any items[1 + MOST_ARGUMENTS];
  TVMFFIByteArray texts[1 + MOST_ARGUMENTS];
  int32_t count = 0;
  for (; rest.at < rest.end; ++count)
    if (count == 1 + MOST_ARGUMENTS || take_item(&rest, &items[count], &texts[count]) != 0)
      return complain("a call with arguments that are none");
  if (count == 0 || items[0].type_index == kTVMFFIInt) return complain("a call without a name");
  Callback function = function_named(texts[0]);
  if (function == NULL) return complain("there is no function of that name");
  return function(NULL, items + 1, count - 1, result);
}

/* Receive a call, perform it and answer; -1 if the client is gone, or cannot be understood any more. */
static int serve_call(int socket) {
  uint32_t size;
  if (receive_all(socket, &size, sizeof(size)) != 0) return -1;
  char* call = size > MOST_CALL ? NULL : malloc((size_t)size + 1);
  if (call == NULL) {
    raise_error("a call too large to be received");
    answer(socket, 'e', raised, strlen(raised));
    return -1;
  }
  Any result = {.type_index = kTVMFFINone};
  TVMFFIByteArray bytes;
  int failed = receive_all(socket, call, size);
  if (!failed) {
    if (perform(call, size, &result) != 0) failed = answer(socket, 'e', raised, strlen(raised));
    else if (as_bytes(&result, &bytes)) failed = answer(socket, 'b', bytes.data, bytes.size);
    else if (result.type_index == kTVMFFIInt) failed = answer(socket, 'i', &result.v_int64, sizeof(int64_t));
    else failed = answer(socket, 'n', NULL, 0);
  }
  free(call);
  return failed ? -1 : 0;
}

int serve_calls(int socket) {
  if (publish_models() != 0) return -1;
  while (serve_call(socket) == 0) continue;
  return 0;
}

void tell_exception(int socket, const char* message) { answer(socket, 'e', message, strlen(message)); }
