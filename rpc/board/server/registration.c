#include "registration.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "sockets.h"

/* The tracker's codes, tvm/rpc/base.py. */
enum { PUT = 3, UPDATE_INFO = 5, PENDING_MATCH_KEYS = 7 };
enum { ANSWER_MS = 3000, RANDOM_BYTES = 16, MOST_MESSAGE = 8192, MOST_ADDRESS = 300, MOST_HELLO = 512 };

static const int32_t MAGIC = 0x2F271;

/* A message travels as without a secret, its length before it, but in a frame. */
static int tell(Tracker* tracker, const char* message) {
  char whole[sizeof(int32_t) + MOST_MESSAGE];
  int32_t length = (int32_t)strlen(message);
  if (tracker->secret->size == 0) return send_text(tracker->socket, message);
  memcpy(whole, &length, sizeof(length));
  memcpy(whole + sizeof(length), message, (size_t)length);
  return send_frame(tracker->socket, &tracker->agreement.to_called, whole, sizeof(length) + (size_t)length);
}

static int hear(Tracker* tracker, char* answer, size_t capacity) {
  char whole[sizeof(int32_t) + MOST_MESSAGE];
  int32_t length;
  if (tracker->secret->size == 0) return receive_text(tracker->socket, answer, capacity);
  int size = receive_frame(tracker->socket, &tracker->agreement.to_caller, whole, sizeof(whole));
  if (size < (int)sizeof(length)) return -1;
  memcpy(&length, whole, sizeof(length));
  if (length != size - (int)sizeof(length) || (size_t)length >= capacity) return -1;
  memcpy(answer, whole + sizeof(length), (size_t)length);
  answer[length] = '\0';
  return 0;
}

static int succeeded(Tracker* tracker, const char* message) {
  char answer[64];
  return tell(tracker, message) == 0 && hear(tracker, answer, sizeof(answer)) == 0 && strcmp(answer, "0") == 0;
}

/* Say hello, and prove that we know the secret to a tracker that has proven it. */
static int agree_with(Tracker* tracker) {
  unsigned char random[NONCE], answer[sizeof(int32_t) + NONCE + DIGEST];
  char here[MOST_END], there[MOST_END], hello[MOST_HELLO], nonce[2 * NONCE + 1];
  const int32_t magic = SECURE_MAGIC;
  int32_t echoed;
  if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) return -1;
  for (int index = 0; index < NONCE; ++index) snprintf(nonce + 2 * index, 3, "%02x", random[index]);
  name_end(tracker->socket, 0, here);
  name_end(tracker->socket, 1, there);
  snprintf(hello, sizeof(hello), "lab:tracker -nonce=%s -from=%s -to=%s", nonce, here, there);
  if (send_all(tracker->socket, &magic, sizeof(magic)) != 0 || send_text(tracker->socket, hello) != 0) return -1;
  if (receive_all(tracker->socket, answer, sizeof(answer)) != 0) return -1;
  memcpy(&echoed, answer, sizeof(echoed));
  tracker->agreement = agree(tracker->secret, hello, answer + sizeof(int32_t));
  if (echoed != magic || !same_code(answer + sizeof(int32_t) + NONCE, tracker->agreement.called)) return -1;
  return send_all(tracker->socket, tracker->agreement.caller, DIGEST);
}

/* Begin as TVM's servers do. */
static int agree_plainly(Tracker* tracker) {
  int32_t magic = 0;
  if (send_all(tracker->socket, &MAGIC, sizeof(MAGIC)) != 0) return -1;
  return receive_all(tracker->socket, &magic, sizeof(magic)) == 0 && magic == MAGIC ? 0 : -1;
}

/* A JSON string, or null for the address that the tracker sees us under. */
static void quoted(const char* address, char* json) {
  snprintf(json, MOST_ADDRESS, *address == '\0' ? "null" : "\"%s\"", address);
}

int introduce(Tracker* tracker, const char* key, const char* address, int port, const char* facts) {
  char message[MOST_MESSAGE], from[MOST_ADDRESS];
  tracker->socket = connect_to(tracker->host, tracker->port, ANSWER_MS);
  if (tracker->socket < 0) return -1;
  quoted(address, from);
  snprintf(message, sizeof(message), "[%d, {\"key\": \"server:%s\", \"addr\": [%s, %d], \"facts\": %s}]", UPDATE_INFO,
           key, from, port, facts);
  int strange = tracker->secret->size > 0 ? agree_with(tracker) : agree_plainly(tracker);
  if (!strange && succeeded(tracker, message)) return 0;
  leave(tracker);
  return strange ? -2 : -1;
}

int offer(Tracker* tracker, const char* key, const char* address, int port, char* match_key) {
  unsigned char random[RANDOM_BYTES];
  char message[MOST_MESSAGE], from[MOST_ADDRESS];
  if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) return -1;
  int length = snprintf(match_key, MOST_MATCH_KEY, "%s:", key);
  for (int index = 0; index < RANDOM_BYTES; ++index)
    length += snprintf(match_key + length, (size_t)(MOST_MATCH_KEY - length), "%02x", random[index]);
  quoted(address, from);
  snprintf(message, sizeof(message), "[%d, \"%s\", [%d, \"%s\"], %s]", PUT, key, port, match_key, from);
  return succeeded(tracker, message) ? 0 : -1;
}

int still_offered(Tracker* tracker, const char* match_key) {
  char message[16], answer[MOST_MESSAGE];
  snprintf(message, sizeof(message), "[%d]", PENDING_MATCH_KEYS);
  if (tell(tracker, message) != 0 || hear(tracker, answer, sizeof(answer)) != 0) return -1;
  return *match_key != '\0' && strstr(answer, match_key) != NULL;
}

void leave(Tracker* tracker) {
  if (tracker->socket >= 0) close(tracker->socket);
  tracker->socket = -1;
}
