/* How a server tells the tracker that it is there and free. The protocol is that of TVM's tracker, in frames where there
 * is a secret (secret.h). */

#ifndef TVM_BNN_REGISTRATION_H
#define TVM_BNN_REGISTRATION_H

#include "secret.h"

enum { MOST_KEY = 64, MOST_MATCH_KEY = MOST_KEY + 40 };

typedef struct {
  const char* host;
  int port;
  int socket; /* -1 while there is no connection */
  const Secret* secret;
  Agreement agreement; /* of this connection, where there is a secret */
} Tracker;

/* Make a connection and introduce the server; `facts` is a JSON object. 0 on success, -2 if what listens there
 * is no tracker of this lab. */
int introduce(Tracker* tracker, const char* key, const char* address, int port, const char* facts);

/* Offer the server to one client, under a new match key that nobody can guess. 0 on success. */
int offer(Tracker* tracker, const char* key, const char* address, int port, char* match_key);

/* Whether the offer still stands: 1, or 0 if a client has taken it, or -1 if the tracker is gone. */
int still_offered(Tracker* tracker, const char* match_key);

/* Close the connection. */
void leave(Tracker* tracker);

#endif
