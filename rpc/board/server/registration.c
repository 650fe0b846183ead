#include "registration.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "sockets.h"

/* The tracker's codes, tvm/rpc/base.py. */
enum { PUT = 3, UPDATE_INFO = 5, PENDING_MATCH_KEYS = 7 };
enum { ANSWER_MS = 3000, RANDOM_BYTES = 16, MOST_MESSAGE = 8192, MOST_ADDRESS = 300 };

static const int32_t MAGIC = 0x2F271;

static int succeeded(Tracker* tracker, const char* message) {
  char answer[64];
  return send_text(tracker->socket, message) == 0 && receive_text(tracker->socket, answer, sizeof(answer)) == 0 &&
         strcmp(answer, "0") == 0;
}

/* A JSON string, or null for the address that the tracker sees us under. */
static void quoted(const char* address, char* json) {
  snprintf(json, MOST_ADDRESS, *address == '\0' ? "null" : "\"%s\"", address);
}

int introduce(Tracker* tracker, const char* key, const char* address, int port, const char* facts) {
  char message[MOST_MESSAGE], from[MOST_ADDRESS];
  int32_t magic = 0;
  tracker->socket = connect_to(tracker->host, tracker->port, ANSWER_MS);
  if (tracker->socket < 0) return -1;
  quoted(address, from);
  snprintf(message, sizeof(message), "[%d, {\"key\": \"server:%s\", \"addr\": [%s, %d], \"facts\": %s}]", UPDATE_INFO,
           key, from, port, facts);
  if (send_all(tracker->socket, &MAGIC, sizeof(MAGIC)) == 0 &&
      receive_all(tracker->socket, &magic, sizeof(magic)) == 0 && magic == MAGIC && succeeded(tracker, message))
    return 0;
  leave(tracker);
  return -1;
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
  if (send_text(tracker->socket, message) != 0 || receive_text(tracker->socket, answer, sizeof(answer)) != 0) return -1;
  return *match_key != '\0' && strstr(answer, match_key) != NULL;
}

void leave(Tracker* tracker) {
  if (tracker->socket >= 0) close(tracker->socket);
  tracker->socket = -1;
}
