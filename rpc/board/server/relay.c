#include "relay.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockets.h"

/* For an answer that tells the client why its session ended. */
enum { FAREWELL_MS = 500, TICK_US = 2000 };

static void pass_inward(int client, int session, Direction direction) {
  static char data[MOST_FRAME];
  int size;
  while ((size = receive_frame(client, &direction, data, sizeof(data))) > 0)
    if (send_all(session, data, (size_t)size) != 0) break;
  shutdown(session, SHUT_WR);
}

static void pass_outward(int client, int session, Direction direction) {
  static char data[MOST_FRAME];
  ssize_t size;
  while ((size = recv(session, data, sizeof(data), 0)) > 0)
    if (send_frame(client, &direction, data, (size_t)size) != 0) break;
  shutdown(client, SHUT_WR);
}

/* Two processes, so that neither direction ever waits for the other. */
static void relay(int client, int session, const Agreement* agreement) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pid_t inward = fork();
  if (inward == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pass_inward(client, session, agreement->to_called);
    _exit(0);
  }
  if (inward > 0) pass_outward(client, session, agreement->to_caller);
  _exit(0);
}

pid_t start_relay(int client, int session, const Agreement* agreement) {
  pid_t made = fork();
  if (made != 0) return made;
  setpgid(0, 0);
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  for (int descriptor = 3; descriptor < 256; ++descriptor)
    if (descriptor != client && descriptor != session) close(descriptor);
  relay(client, session, agreement);
  return -1;
}

void end_relay(pid_t relay) {
  int64_t end = milliseconds() + FAREWELL_MS;
  int gone = 0;
  while (!(gone = waitpid(relay, NULL, WNOHANG) != 0) && milliseconds() < end) usleep(TICK_US);
  kill(-relay, SIGKILL);
  if (!gone) {
    kill(relay, SIGKILL);
    waitpid(relay, NULL, 0);
  }
}
