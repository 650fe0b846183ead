/* A session: one client, served by a process of its own in a folder of its own, which both go when it ends. */

#ifndef TVM_BNN_SESSION_H
#define TVM_BNN_SESSION_H

#include <stdint.h>
#include <sys/types.h>

#include "handshake.h"

enum { MOST_PATH = 4096 };

typedef struct {
  pid_t process; /* 0: there is no session */
  int socket; /* of the client */
  int inner;  /* what the session reads and writes: the same, or one that a relay passes on */
  pid_t relay; /* 0: there is none */
  int lock;   /* of the folder */
  int ended; /* becomes readable when the process ends */
  int64_t deadline, left; /* when the time is up, and when the client was found to be gone (0: it is there) */
  char folder[MOST_PATH];
} Session;

typedef struct {
  const char* parent; /* of the folders */
  uint64_t most_bytes;
  const char* facts;
} Room;

/* Serve a client; returns -1 if that is impossible. The client's socket is the session's from then on. */
int begin_session(Session* session, Client client, const Room* room);

/* Look after a session: end it if its process has ended, its client is gone, its time is up, or its folder is too large.
 * Returns 1 if it ended. */
int watch_session(Session* session, const Room* room);

/* End it at once. */
void end_session(Session* session);

#endif
