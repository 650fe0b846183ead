/* Sockets that never wait longer than they were told to, and the clock that tells. */

#ifndef TVM_BNN_SOCKETS_H
#define TVM_BNN_SOCKETS_H

#include <stdint.h>
#include <stdio.h>

/* Milliseconds on a clock that nobody sets: a board without a battery starts in 1970 and jumps when it hears the time. */
int64_t milliseconds(void);

/* Return a listening socket, or -1 with errno set. *port is 0 for any, and is then the one that was given. */
int listen_on(const char* host, int* port);

/* Return a connected socket that blocks for at most `timeout_ms` in every later call, or -1. */
int connect_to(const char* host, int port, int timeout_ms);

/* Write "IP:PORT" of this end of a connection, or of the other; an IPv4 address in IPv6's form becomes itself. */
enum { MOST_END = 80 };
void name_end(int socket, int other, char* name);

/* Send or receive exactly `count` bytes; 0 on success. */
int send_all(int socket, const void* data, size_t count);
int receive_all(int socket, void* data, size_t count);

/* Send or receive text with its length before it, an int32; 0 on success. Received text ends with a zero byte. */
int send_text(int socket, const char* text);
int receive_text(int socket, char* text, size_t capacity);

#define PROGRAM "board_server"

/* In one piece, so that the lines of several servers on one terminal stay lines. */
#define SAY(format, ...) fprintf(stderr, PROGRAM ": " format "\n", ##__VA_ARGS__)

#endif
