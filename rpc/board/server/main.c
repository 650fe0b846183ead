/* board_server: offer this board to a tracker and serve one client at a time. It needs neither Python nor a compiler.
 *
 * One loop waits for everything: the tracker, strangers who connect, and the session, which is a process of its own.
 * Nothing that a stranger does makes it wait, and nothing that a session does can end it.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "facts.h"
#include "folder.h"
#include "handshake.h"
#include "registration.h"
#include "session.h"
#include "sockets.h"

enum { TICK_MS = 500, HANDSHAKE_MS = 5000, RETRY_MS = 2000, UNCLAIMED_PINGS = 3, OTHERS = 4 };

typedef struct {
  const char *key, *host, *address, *folder, *emulated;
  int port, ping_ms;
  double session_seconds;
  uint64_t most_bytes;
} Options;

typedef struct {
  Options options;
  Secret secret;
  Tracker tracker;
  Strangers strangers;
  Session session;
  int listener, unclaimed;
  int64_t next_contact;
  char match_key[MOST_MATCH_KEY]; /* empty: not on offer */
  char facts[MOST_FACTS];
} Server;

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static void drop_tracker(Server* server, const char* why) {
  SAY("tracker %s:%d: %s, trying again", server->tracker.host, server->tracker.port, why);
  leave(&server->tracker);
  server->match_key[0] = '\0';
  server->next_contact = milliseconds() + (server->options.ping_ms < RETRY_MS ? server->options.ping_ms : RETRY_MS);
}

static void put_on_offer(Server* server) {
  const Options* options = &server->options;
  server->unclaimed = 0;
  if (offer(&server->tracker, options->key, options->address, options->port, server->match_key) != 0)
    drop_tracker(server, "it is gone");
}

/* A client may take an offer and never come: then it is made again. */
static void check_offer(Server* server) {
  int standing = still_offered(&server->tracker, server->match_key);
  if (standing < 0) {
    drop_tracker(server, "it is gone");
  } else if (server->session.process == 0) {
    server->unclaimed = standing ? 0 : server->unclaimed + 1;
    if (server->unclaimed >= UNCLAIMED_PINGS) put_on_offer(server);
  }
}

static void keep_contact(Server* server) {
  const Options* options = &server->options;
  if (milliseconds() < server->next_contact) return;
  server->next_contact = milliseconds() + options->ping_ms;
  if (server->tracker.socket >= 0) {
    check_offer(server);
    return;
  }
  int failed = introduce(&server->tracker, options->key, options->address, options->port, server->facts);
  if (failed) {
    drop_tracker(server, failed == -2 ? "it is none, or has another secret" : "not reached");
  } else {
    SAY("registered as '%s' with %s:%d", options->key, server->tracker.host, server->tracker.port);
    if (server->session.process == 0) put_on_offer(server);
  }
}

static void wait_for_something(const Server* server) {
  struct pollfd polled[MOST_STRANGERS + OTHERS];
  int count = poll_strangers(&server->strangers, polled);
  int64_t rest = server->next_contact - milliseconds();
  polled[count++] = (struct pollfd){.fd = server->listener, .events = POLLIN};
  if (server->session.process > 0) polled[count++] = (struct pollfd){.fd = server->session.ended, .events = POLLIN};
  /* Only its end is of interest: answers are read where they are expected. */
  if (server->tracker.socket >= 0) polled[count++] = (struct pollfd){.fd = server->tracker.socket, .events = POLLRDHUP};
  poll(polled, (nfds_t)count, rest < 0 ? 0 : rest < TICK_MS ? (int)rest : TICK_MS);
}

static void take_connections(Server* server) {
  for (int accepted = 0; accepted < MOST_STRANGERS; ++accepted) {
    int socket = accept(server->listener, NULL, NULL);
    if (socket < 0) return;
    add_stranger(&server->strangers, socket, HANDSHAKE_MS);
  }
}

static void notice_lost_tracker(Server* server) {
  char byte;
  if (server->tracker.socket >= 0 && recv(server->tracker.socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
    drop_tracker(server, "it is gone");
}

static void step(Server* server, const Room* room) {
  const Options* options = &server->options;
  keep_contact(server);
  wait_for_something(server);
  notice_lost_tracker(server);
  take_connections(server);
  int idle = server->session.process == 0;
  Expected expected = {.match_key = idle && server->match_key[0] != '\0' ? server->match_key : NULL,
                       .key = options->key,
                       .secret = &server->secret,
                       .address = options->address,
                       .port = options->port,
                       .most_seconds = options->session_seconds};
  Client client = meet_strangers(&server->strangers, &expected);
  int ended = client.left || (!idle && watch_session(&server->session, room));
  if (client.socket >= 0) {
    server->match_key[0] = '\0';
    ended = begin_session(&server->session, client, room) != 0;
  }
  if (ended && server->tracker.socket >= 0) put_on_offer(server);
}

static int is_key(const char* key) {
  size_t length = strlen(key);
  return length > 0 && length <= MOST_KEY &&
         strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

/* An address goes into messages as it is. */
static int is_address(const char* address) { return strlen(address) < 256 && strpbrk(address, "\"\\ ") == NULL; }

static int read_tracker(char* text, Tracker* tracker) {
  char* colon = text == NULL ? NULL : strrchr(text, ':');
  if (colon == NULL || atoi(colon + 1) <= 0) return -1;
  *colon = '\0';
  tracker->host = text;
  tracker->port = atoi(colon + 1);
  tracker->socket = -1;
  return 0;
}

static int refuse(const char* what) {
  SAY("%s", what);
  fputs("usage: board_server --key KEY --tracker HOST:PORT [--host 127.0.0.1] [--port 0] [--address SEEN_AS]\n"
        "       [--folder /tmp] [--upload-bytes 268435456] [--session-seconds 600] [--ping-ms 2000] [--secret-file FILE]\n"
        "       [--emulated CPU]\n",
        stderr);
  return 2;
}

static int read_options(Server* server, int count, char** words) {
  Options* options = &server->options;
  char* tracker = NULL;
  *options = (Options){"", "127.0.0.1", "", "/tmp", "", 0, 2000, 600, 256 << 20};
  if (count % 2 == 0) return refuse("every option takes a value");
  for (int index = 1; index + 1 < count; index += 2) {
    char *name = words[index], *value = words[index + 1];
    if (strcmp(name, "--key") == 0) options->key = value;
    else if (strcmp(name, "--tracker") == 0) tracker = value;
    else if (strcmp(name, "--host") == 0) options->host = value;
    else if (strcmp(name, "--port") == 0) options->port = atoi(value);
    else if (strcmp(name, "--address") == 0) options->address = value;
    else if (strcmp(name, "--folder") == 0) options->folder = value;
    else if (strcmp(name, "--upload-bytes") == 0) options->most_bytes = strtoull(value, NULL, 10);
    else if (strcmp(name, "--session-seconds") == 0) options->session_seconds = atof(value);
    else if (strcmp(name, "--ping-ms") == 0) options->ping_ms = atoi(value);
    else if (strcmp(name, "--emulated") == 0) options->emulated = value;
    else if (strcmp(name, "--secret-file") == 0) {
      if (read_secret(value, &server->secret) != 0) return refuse("the file of the secret cannot be read, or is empty");
    } else return refuse("there is no such option");
  }
  if (!is_key(options->key)) return refuse("a key has 1 to 64 letters, digits, dots, dashes and underscores");
  server->tracker.secret = &server->secret;
  if (read_tracker(tracker, &server->tracker) != 0) return refuse("the tracker is given as HOST:PORT");
  if (!is_address(options->address)) return refuse("the address is not one");
  if (options->ping_ms < 10 || !(options->session_seconds > 0) || options->most_bytes == 0)
    return refuse("times and sizes must be positive");
  return 0;
}

int main(int count, char** words) {
  static Server server;
  int wrong = read_options(&server, count, words);
  if (wrong) return wrong;
  Options* options = &server.options;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  signal(SIGHUP, stop); /* the end of the SSH connection that it was started through */
  setenv("TVM_NUM_THREADS", "1", 0);
  server.listener = listen_on(options->host, &options->port);
  if (server.listener < 0) {
    SAY("%s:%d: %s", options->host, options->port, strerror(errno));
    return 1;
  }
  static char folder[PATH_MAX];
  if (realpath(options->folder, folder) == NULL) {
    SAY("the folder '%s': %s", options->folder, strerror(errno));
    return 1;
  }
  sweep_folders(folder);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a session starts and leaves becomes ours, to be ended */
  describe_board(options->emulated, server.secret.size > 0, server.facts);
  SAY("listening on %s:%d", options->host, options->port);
  if (server.secret.size == 0) SAY("no secret: whoever reaches that address runs code here; --secret-file FILE asks for one");
  Room room = {.parent = folder, .most_bytes = options->most_bytes, .facts = server.facts};
  while (!stopped) step(&server, &room);
  if (server.session.process > 0) end_session(&server.session);
  return 0;
}
