#include "handshake.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

static const int32_t MAGIC = 0xFF271, MISMATCH = 0xFF271 + 2, SECURE = SECURE_MAGIC, ELSEWHERE = SECURE_MAGIC + 1;

enum { HEADER = 8, INCOMPLETE = 0, RIGHT = 1, WRONG = -1, MOST_PREFIX = 160, MOST_NAME = 320 };

/* What a greeting says; texts point into it, and are NULL where it does not say them. */
typedef struct {
  const char *name, *nonce, *from, *to, *asked;
  double seconds; /* 0: no limit was asked for */
} Greeting;

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
static int read_greeting(Stranger* stranger, int32_t magic) {
  for (;;) {
    uint32_t wanted = HEADER;
    if (stranger->received >= sizeof(int32_t) && number_at(stranger, 0) != magic) return WRONG;
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

static int read_seconds(const char* text, double* seconds) {
  char* end = NULL;
  *seconds = strtod(text, &end);
  return *text != '\0' && *end == '\0' && isfinite(*seconds) && *seconds >= 0;
}

/* Take a greeting apart, in place; 0 if it says what none says. */
static int understood(char* text, Greeting* greeting) {
  static const char* const NAMES[] = {"-nonce=", "-from=", "-to=", "-asked="};
  const char** values[] = {&greeting->nonce, &greeting->from, &greeting->to, &greeting->asked};
  char* rest = NULL;
  *greeting = (Greeting){.name = strtok_r(text, " ", &rest)};
  if (greeting->name == NULL) return 0;
  for (char* option = strtok_r(NULL, " ", &rest); option != NULL; option = strtok_r(NULL, " ", &rest)) {
    int known = strncmp(option, "-timeout=", 9) == 0;
    if (known && !read_seconds(option + 9, &greeting->seconds)) return 0;
    for (size_t index = 0; index < sizeof(NAMES) / sizeof(*NAMES) && !known; ++index) {
      size_t length = strlen(NAMES[index]);
      if ((known = strncmp(option, NAMES[index], length) == 0)) *values[index] = option + length;
    }
    if (!known) return 0;
  }
  return 1;
}

/* Read a copy of what a stranger said; 0 unless it is the client that is expected. */
static int is_expected(const Stranger* stranger, const Expected* expected, char* copy, Greeting* greeting) {
  char wanted[MOST_PREFIX];
  int32_t length = number_at(stranger, 4);
  if (expected->match_key == NULL || !is_printable(stranger->data + HEADER, length)) return 0;
  memcpy(copy, stranger->data + HEADER, (size_t)length);
  copy[length] = '\0';
  snprintf(wanted, sizeof(wanted), "client:%s", expected->match_key);
  return understood(copy, greeting) && strcmp(greeting->name, wanted) == 0;
}

static double seconds_granted(const Greeting* greeting, const Expected* expected) {
  int shorter = greeting->seconds > 0 && greeting->seconds < expected->most_seconds;
  return shorter ? greeting->seconds : expected->most_seconds;
}

/* Whether an "IP:PORT" is of a loopback. */
static int is_near(const char* end) { return strncmp(end, "127.", 4) == 0 || strncmp(end, "::1:", 4) == 0; }

/* Whether the client means this server, and we see the client where it sees itself.
 *
 * Both ends of a tunnel are on loopbacks, and what comes out of it has another port than what went in; where we listen
 * is the same on both sides all the same.
 */
static int same_ends(int socket, const Greeting* greeting, const Expected* expected) {
  char here[MOST_END], there[MOST_END], told[MOST_NAME];
  name_end(socket, 0, here);
  name_end(socket, 1, there);
  snprintf(told, sizeof(told), "%s:%d", expected->address, expected->port);
  int meant = strcmp(greeting->to, here) == 0;
  int as_told = *expected->address != '\0' && strcmp(greeting->asked, told) == 0;
  int from = strcmp(greeting->from, there) == 0 || (is_near(there) && is_near(greeting->to));
  return from && (meant || as_told);
}

/* Answer a hello with our proof; -1 if it is none, or not for us. */
static int challenge(Stranger* stranger, const Expected* expected) {
  char copy[MOST_GREETING + 1];
  unsigned char answer[sizeof(int32_t) + NONCE + DIGEST];
  Greeting greeting;
  if (!is_expected(stranger, expected, copy, &greeting) || greeting.nonce == NULL || strlen(greeting.nonce) != 2 * NONCE ||
      greeting.from == NULL || greeting.to == NULL || greeting.asked == NULL) {
    send_all(stranger->socket, &MISMATCH, sizeof(MISMATCH));
    return -1;
  }
  if (!same_ends(stranger->socket, &greeting, expected)) {
    send_all(stranger->socket, &ELSEWHERE, sizeof(ELSEWHERE));
    return -1;
  }
  unsigned char* nonce = answer + sizeof(int32_t);
  if (getrandom(nonce, NONCE, 0) != NONCE) return -1;
  stranger->data[HEADER + number_at(stranger, 4)] = '\0';
  stranger->agreement = agree(expected->secret, stranger->data + HEADER, nonce);
  memcpy(answer, &SECURE, sizeof(SECURE));
  memcpy(nonce + NONCE, stranger->agreement.called, DIGEST);
  stranger->challenged = 1;
  return send_all(stranger->socket, answer, sizeof(answer));
}

/* Read the proof of a stranger that was challenged, as far as it is there. */
static int read_proof(Stranger* stranger) {
  while (stranger->proof_received < DIGEST) {
    ssize_t got = recv(stranger->socket, stranger->proof + stranger->proof_received, DIGEST - stranger->proof_received, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return INCOMPLETE;
    if (got <= 0) return WRONG;
    stranger->proof_received += (uint32_t)got;
  }
  return same_code(stranger->proof, stranger->agreement.caller) ? RIGHT : WRONG;
}

/* Go on with a stranger as far as it has come: RIGHT if it may be let in. */
static int hear(Stranger* stranger, const Expected* expected, double* seconds) {
  char copy[MOST_GREETING + 1];
  Greeting greeting;
  int secure = expected->secret->size > 0;
  if (!stranger->challenged) {
    int said = read_greeting(stranger, secure ? SECURE : MAGIC);
    if (said == WRONG && secure && stranger->received >= sizeof(int32_t) && number_at(stranger, 0) == MAGIC)
      send_all(stranger->socket, &MISMATCH, sizeof(MISMATCH));
    if (said != RIGHT) return said;
    if (secure && challenge(stranger, expected) != 0) return WRONG;
  }
  if (secure) {
    int proven = read_proof(stranger);
    if (proven != RIGHT) return proven;
  }
  /* A hello that was right may have become late: its match key has served another one meanwhile. */
  if (!is_expected(stranger, expected, copy, &greeting)) {
    send_all(stranger->socket, &MISMATCH, sizeof(MISMATCH));
    return WRONG;
  }
  *seconds = seconds_granted(&greeting, expected);
  return RIGHT;
}

static int welcome(Client* client, const char* key) {
  char name[MOST_PREFIX];
  snprintf(name, sizeof(name), "server:%s", key);
  fcntl(client->socket, F_SETFL, fcntl(client->socket, F_GETFL) & ~O_NONBLOCK);
  if (client->secure) return send_frame(client->socket, &client->agreement.to_caller, name, strlen(name));
  return send_all(client->socket, &MAGIC, sizeof(MAGIC)) || send_text(client->socket, name);
}

Client meet_strangers(Strangers* strangers, const Expected* expected) {
  int64_t now = milliseconds();
  for (int index = strangers->count - 1; index >= 0; --index) {
    Stranger* stranger = &strangers->all[index];
    double seconds = 0;
    int said = hear(stranger, expected, &seconds);
    if (said == INCOMPLETE && now < stranger->deadline) continue;
    if (said != RIGHT) {
      turn_away(strangers, index);
      continue;
    }
    Client client = {.socket = stranger->socket, .seconds = seconds, .secure = expected->secret->size > 0,
                     .agreement = stranger->agreement};
    if (welcome(&client, expected->key) != 0) {
      turn_away(strangers, index);
      return (Client){.socket = -1, .left = 1};
    }
    forget(strangers, index);
    return client;
  }
  return (Client){.socket = -1};
}
