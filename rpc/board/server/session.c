#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back_end.h"
#include "folder.h"
#include "functions.h"
#include "orphans.h"
#include "relay.h"
#include "sockets.h"

/* A client that has closed its side may still be waited for by the process, which then ends by itself. */
enum { GRACE_MS = 1000, IDLE_SECONDS = 15, PROBE_SECONDS = 5, PROBES = 3 };

/* Notice clients whose machine vanished without a word. */
static void keep_alive(int socket) {
  int on = 1, idle = IDLE_SECONDS, interval = PROBE_SECONDS, probes = PROBES;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void limit(int resource, rlim_t most) {
  struct rlimit both = {most, most};
  setrlimit(resource, &both);
}

/* What the forked process does, until the client leaves. */
static void serve(const Session* session, const Room* room, int ended) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, room->most_bytes);
  /* Writing beyond the limit shall fail, not kill. */
  signal(SIGXFSZ, SIG_IGN);
  /* The server's other sockets are none of the client's business. */
  for (int descriptor = 3; descriptor < 256; ++descriptor)
    if (descriptor != session->inner && descriptor != ended) close(descriptor);
  fcntl(session->inner, F_SETFD, FD_CLOEXEC);
  if (chdir(session->folder) != 0) _exit(1);
  _exit(serve_functions(session->inner, session->folder, room->most_bytes, room->facts));
}

/* Put what checks and makes the codes of frames between the client and the session. */
static int open_inner(Session* session, const Client* client) {
  int ends[2];
  session->inner = session->socket;
  if (!client->secure) return 0;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  session->inner = ends[0];
  session->relay = start_relay(session->socket, ends[1], &client->agreement);
  close(ends[1]);
  if (session->relay > 0) return 0;
  session->relay = 0;
  return -1;
}

static int start_process(Session* session, const Room* room) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  fflush(stderr);
  session->process = fork();
  if (session->process == 0) serve(session, room, ends[1]);
  close(ends[1]);
  session->ended = ends[0];
  if (session->process > 0) return 0;
  session->process = 0;
  return -1;
}

int begin_session(Session* session, Client client, const Room* room) {
  *session = (Session){.socket = client.socket, .inner = -1, .lock = -1, .ended = -1};
  session->deadline = milliseconds() + (int64_t)(client.seconds * 1000);
  keep_alive(client.socket);
  session->lock = make_folder(room->parent, session->folder, sizeof(session->folder));
  if (session->lock < 0 || open_inner(session, &client) != 0 || start_process(session, room) != 0) {
    SAY("no session: %s: %s", session->folder, strerror(errno));
    end_session(session);
    return -1;
  }
  SAY("session begins, for at most %g s", client.seconds);
  return 0;
}

static int client_is_gone(const Session* session) {
  struct pollfd state = {.fd = session->socket, .events = POLLRDHUP};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

int watch_session(Session* session, const Room* room) {
  int status = 0;
  int64_t now = milliseconds();
  if (waitpid(session->process, &status, WNOHANG) == session->process) {
    if (WIFSIGNALED(status)) SAY("the session died of %s", strsignal(WTERMSIG(status)));
    kill(-session->process, SIGKILL); /* what it started */
    session->process = 0;
  } else if (now >= session->deadline) {
    SAY("the session's time is up");
    kill(-session->process, SIGKILL);
    waitpid(session->process, &status, 0);
    session->process = 0;
    tell_exception(session->inner, "RPCSessionTimeoutError: the session's time is up; ask for a longer one");
  } else if (session->left == 0 && client_is_gone(session)) {
    session->left = now;
    return 0;
  } else if (session->left != 0 && now - session->left > GRACE_MS) {
    SAY("the client is gone");
  } else if (bytes_in_folder(session->folder) > room->most_bytes) {
    SAY("the session's folder holds more than %llu bytes", (unsigned long long)room->most_bytes);
  } else {
    return 0;
  }
  end_session(session);
  return 1;
}

void end_session(Session* session) {
  if (session->process > 0) {
    kill(-session->process, SIGKILL);
    kill(session->process, SIGKILL);
    waitpid(session->process, NULL, 0);
  }
  session->process = 0;
  end_orphans(session->relay);
  if (session->inner >= 0 && session->inner != session->socket) close(session->inner);
  if (session->relay > 0) end_relay(session->relay);
  close(session->socket);
  if (session->ended >= 0) close(session->ended);
  if (session->lock >= 0) remove_folder(session->folder);
  if (session->lock >= 0) close(session->lock);
  SAY("session ended");
}
