/* Connections that have not yet said who they are. They may send anything, or nothing, and cost the server no wait.
 *
 * Without a secret, what a client sends is TVM's: int32 magic, int32 length, then "client:KEY:RANDOM -timeout=60", all
 * little-endian. With one, nothing of TVM's is spoken before both ends have proven that they know it (secret.h); the
 * text then says " -nonce=HEX -from=IP:PORT -to=IP:PORT -asked=HOST:PORT" too: who connects whom, as the client sees it.
 */

#ifndef TVM_BNN_HANDSHAKE_H
#define TVM_BNN_HANDSHAKE_H

#include <poll.h>
#include <stdint.h>

#include "secret.h"

enum {
  MOST_GREETING = 1024, /* bytes of the text; a client's is about 150 long */
  MOST_STRANGERS = 32   /* at a time; one more, and the oldest goes */
};

typedef struct {
  int socket;
  int64_t deadline;
  uint32_t received;
  char data[8 + MOST_GREETING + 1];
  int challenged;          /* it said hello, and we have answered */
  uint32_t proof_received; /* of its proof */
  unsigned char proof[DIGEST];
  Agreement agreement;
} Stranger;

typedef struct {
  Stranger all[MOST_STRANGERS];
  int count;
} Strangers;

/* What is expected of a client. */
typedef struct {
  const char* match_key; /* NULL: nobody is expected */
  const char* key;
  const Secret* secret;
  const char* address; /* that clients were told, if it is not the one that we see; else "" */
  int port;
  double most_seconds;
} Expected;

/* A client that was let in; socket is -1 if there is none. */
typedef struct {
  int socket;
  int left; /* the right one came, and went before it was greeted: its match key is spent */
  double seconds; /* of the session, at most */
  int secure;     /* everything travels in frames, as agreed */
  Agreement agreement;
} Client;

/* Take a connection in; `timeout_ms` is how long it has to introduce itself. */
void add_stranger(Strangers* strangers, int socket, int timeout_ms);

/* Fill in what to poll and return how many there are. */
int poll_strangers(const Strangers* strangers, struct pollfd* polled);

/* Read what has come, turn away who is wrong or late, and return a client if one is right. */
Client meet_strangers(Strangers* strangers, const Expected* expected);

#endif
