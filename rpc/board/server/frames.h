/* Messages that nobody in between can change, repeat, leave out or add to: each carries a code over its number and content.
 *
 *   frame  uint32 length, so many bytes, 32 bytes: HMAC-SHA-256 of the frame's number (uint64), length and content
 */

#ifndef TVM_BNN_FRAMES_H
#define TVM_BNN_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "hmac.h"

enum { MOST_FRAME = 1 << 16 };

/* One direction of a connection: its key, and how many frames have gone that way. */
typedef struct {
  unsigned char key[DIGEST];
  uint64_t frames;
} Direction;

/* Send a frame of 1 to MOST_FRAME bytes; 0 on success. */
int send_frame(int socket, Direction* direction, const void* data, size_t size);

/* Receive a frame; its size, or -1 if the connection ended or the frame is not the one that was sent. */
int receive_frame(int socket, Direction* direction, void* data, size_t capacity);

#endif
