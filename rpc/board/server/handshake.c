#include "handshake.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

static const int32_t MAGIC = 0xFF271, MISMATCH = 0xFF271 + 2;

enum { HEADER = 8, INCOMPLETE = 0, RIGHT = 1, WRONG = -1, MOST_PREFIX = 160 };

static void forget(Strangers* strangers, int index) {
  strangers->all[index] = strangers->all[--strangers->count];
}

static void turn_away(Strangers* strangers, int index) {
  close(strangers->all[index].socket);
  forget(strangers, index);
}

void add_stranger(Strangers* strangers, int socket, int timeout_ms) {
  if (strangers->count == MOST_STRANGERS) {
    int oldest = 0;
    for (int index = 1; index < strangers->count; ++index)
      if (strangers->all[index].deadline < strangers->all[oldest].deadline) oldest = index;
    turn_away(strangers, oldest);
  }
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
  strangers->all[strangers->count++] = (Stranger){.socket = socket, .deadline = milliseconds() + timeout_ms};
}

int poll_strangers(const Strangers* strangers, struct pollfd* polled) {
  for (int index = 0; index < strangers->count; ++index)
    polled[index] = (struct pollfd){.fd = strangers->all[index].socket, .events = POLLIN};
  return strangers->count;
}

static int32_t number_at(const Stranger* stranger, int offset) {
  int32_t number;
  memcpy(&number, stranger->data + offset, sizeof(number));
  return number;
}

/* Read what is there, but nothing beyond the greeting: what follows it is for the session. */
static int read_greeting(Stranger* stranger) {
  for (;;) {
    uint32_t wanted = HEADER;
    if (stranger->received >= sizeof(int32_t) && number_at(stranger, 0) != MAGIC) return WRONG;
    if (stranger->received >= HEADER) {
      int32_t length = number_at(stranger, 4);
      if (length < 1 || length > MOST_GREETING) return WRONG;
      wanted += (uint32_t)length;
    }
    if (stranger->received == wanted && wanted > HEADER) return RIGHT;
    ssize_t got = recv(stranger->socket, stranger->data + stranger->received, wanted - stranger->received, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return INCOMPLETE;
    if (got <= 0) return WRONG;
    stranger->received += (uint32_t)got;
  }
}

static int is_printable(const char* text, int32_t length) {
  for (int32_t index = 0; index < length; ++index)
    if (!isprint((unsigned char)text[index])) return 0;
  return 1;
}

/* Return how long the session may take, or a negative number if the client is not the one expected. */
static double seconds_granted(Stranger* stranger, const Expected* expected) {
  char *text = stranger->data + HEADER, *rest = NULL, wanted[MOST_PREFIX];
  if (expected->match_key == NULL || !is_printable(text, number_at(stranger, 4))) return -1;
  text[number_at(stranger, 4)] = '\0';
  snprintf(wanted, sizeof(wanted), "client:%s", expected->match_key);
  char* name = strtok_r(text, " ", &rest);
  if (name == NULL || strcmp(name, wanted) != 0) return -1;
  double seconds = expected->most_seconds;
  int proven = expected->secret->size == 0;
  for (char* option = strtok_r(NULL, " ", &rest); option != NULL; option = strtok_r(NULL, " ", &rest)) {
    if (strncmp(option, "-timeout=", 9) == 0) {
      char* end = NULL;
      double asked = strtod(option + 9, &end);
      if (*end != '\0' || !isfinite(asked) || asked < 0) return -1;
      if (asked > 0 && asked < seconds) seconds = asked;
    } else if (strncmp(option, "-proof=", 7) == 0) {
      proven = proven || proves(expected->secret, wanted, option + 7);
    } else {
      return -1;
    }
  }
  return proven ? seconds : -1;
}

static int welcome(int socket, const char* key) {
  char name[MOST_PREFIX];
  snprintf(name, sizeof(name), "server:%s", key);
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK);
  return send_all(socket, &MAGIC, sizeof(MAGIC)) || send_text(socket, name);
}

Client meet_strangers(Strangers* strangers, const Expected* expected) {
  int64_t now = milliseconds();
  for (int index = strangers->count - 1; index >= 0; --index) {
    Stranger* stranger = &strangers->all[index];
    int said = read_greeting(stranger);
    if (said == INCOMPLETE && now < stranger->deadline) continue;
    double seconds = said == RIGHT ? seconds_granted(stranger, expected) : -1;
    if (said == RIGHT && seconds < 0) send_all(stranger->socket, &MISMATCH, sizeof(MISMATCH));
    if (seconds < 0) {
      turn_away(strangers, index);
      continue;
    }
    if (welcome(stranger->socket, expected->key) != 0) {
      turn_away(strangers, index);
      return (Client){.socket = -1, .left = 1};
    }
    Client client = {.socket = stranger->socket, .seconds = seconds};
    forget(strangers, index);
    return client;
  }
  return (Client){.socket = -1};
}
