#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Many strangers at once must not make the kernel turn the right client away. */
enum { BACKLOG = 1024 };

int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct addrinfo* resolve(const char* host, int port) {
  char service[16];
  snprintf(service, sizeof(service), "%d", port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  return getaddrinfo(host, service, &hints, &found) == 0 ? found : NULL;
}

static int port_of(int socket) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  if (getsockname(socket, (struct sockaddr*)&address, &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6*)&address)->sin6_port);
  return ntohs(((struct sockaddr_in*)&address)->sin_port);
}

int listen_on(const char* host, int* port) {
  struct addrinfo* address = resolve(host, *port);
  if (address == NULL) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (listener >= 0) setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (listener >= 0 &&
      (bind(listener, address->ai_addr, address->ai_addrlen) != 0 || listen(listener, BACKLOG) != 0)) {
    int reason = errno;
    close(listener);
    errno = reason;
    listener = -1;
  }
  freeaddrinfo(address);
  if (listener >= 0) *port = port_of(listener);
  return listener;
}

/* Wait for a connection that was begun without blocking. */
static int finish_connecting(int socket, int timeout_ms) {
  struct pollfd ready = {.fd = socket, .events = POLLOUT};
  int error = 0;
  socklen_t size = sizeof(error);
  if (poll(&ready, 1, timeout_ms) <= 0) return -1;
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return -1;
  return 0;
}

int connect_to(const char* host, int port, int timeout_ms) {
  struct addrinfo* address = resolve(host, port);
  if (address == NULL) return -1;
  int made = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int failed = made < 0 || (connect(made, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) ||
               finish_connecting(made, timeout_ms) != 0;
  freeaddrinfo(address);
  if (failed) {
    if (made >= 0) close(made);
    return -1;
  }
  int on = 1;
  struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  fcntl(made, F_SETFL, fcntl(made, F_GETFL) & ~O_NONBLOCK);
  setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return made;
}

void name_end(int socket, int other, char* name) {
  static const char MAPPED[] = "::ffff:";
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  char host[64] = "", port[8] = "";
  int failed = other ? getpeername(socket, (struct sockaddr*)&address, &size)
                     : getsockname(socket, (struct sockaddr*)&address, &size);
  if (!failed) getnameinfo((struct sockaddr*)&address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
  int mapped = strncmp(host, MAPPED, strlen(MAPPED)) == 0;
  snprintf(name, MOST_END, "%s:%s", host + (mapped ? strlen(MAPPED) : 0), port);
}

int send_all(int socket, const void* data, size_t count) {
  for (const char* at = data; count > 0;) {
    ssize_t sent = send(socket, at, count, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    at += sent;
    count -= (size_t)sent;
  }
  return 0;
}

int receive_all(int socket, void* data, size_t count) {
  for (char* at = data; count > 0;) {
    ssize_t received = recv(socket, at, count, 0);
    if (received <= 0) return -1;
    at += received;
    count -= (size_t)received;
  }
  return 0;
}

int send_text(int socket, const char* text) {
  int32_t length = (int32_t)strlen(text);
  return send_all(socket, &length, sizeof(length)) || send_all(socket, text, (size_t)length);
}

int receive_text(int socket, char* text, size_t capacity) {
  int32_t length;
  if (receive_all(socket, &length, sizeof(length)) != 0 || length < 0 || (size_t)length >= capacity) return -1;
  text[length] = '\0';
  return receive_all(socket, text, (size_t)length);
}
