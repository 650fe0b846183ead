#include "frames.h"

#include <string.h>

#include "sockets.h"

static void code_of(Direction* direction, const void* data, uint32_t size, unsigned char* code) {
  Mac mac = begin_mac(direction->key, DIGEST);
  add_to_mac(&mac, &direction->frames, sizeof(direction->frames));
  add_to_mac(&mac, &size, sizeof(size));
  add_to_mac(&mac, data, size);
  finish_mac(&mac, code);
  ++direction->frames;
}

int send_frame(int socket, Direction* direction, const void* data, size_t size) {
  unsigned char frame[sizeof(uint32_t) + MOST_FRAME + DIGEST];
  uint32_t length = (uint32_t)size;
  if (size == 0 || size > MOST_FRAME) return -1;
  memcpy(frame, &length, sizeof(length));
  memcpy(frame + sizeof(length), data, size);
  code_of(direction, data, length, frame + sizeof(length) + size);
  return send_all(socket, frame, sizeof(length) + size + DIGEST);
}

int receive_frame(int socket, Direction* direction, void* data, size_t capacity) {
  unsigned char sent[DIGEST], code[DIGEST];
  uint32_t length;
  if (receive_all(socket, &length, sizeof(length)) != 0 || length == 0 || length > MOST_FRAME || length > capacity)
    return -1;
  if (receive_all(socket, data, length) != 0 || receive_all(socket, sent, DIGEST) != 0) return -1;
  code_of(direction, data, length, code);
  return same_code(sent, code) ? (int)length : -1;
}
