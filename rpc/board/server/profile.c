#include "profile.h"

#include <stdio.h>
#include <string.h>

enum { MOST_POSITIONS = 1024, MOST_NAME = 160 };

/* By position in a run: a kernel that serves several layers is called several times. */
static struct {
  const char* name;
  int64_t calls, ns;
} positions[MOST_POSITIONS];
static int position;

void forget_profile(void) { memset(positions, 0, sizeof(positions)); }

void begin_profiled_run(void) { position = 0; }

void note_kernel(const char* name, int64_t ns) {
  if (position == MOST_POSITIONS) return;
  positions[position].name = name;
  positions[position].ns += ns;
  ++positions[position++].calls;
}

void write_profile(char* text, size_t capacity) {
  size_t at = 0;
  text[0] = '\0';
  for (int index = 0; index < MOST_POSITIONS && positions[index].calls > 0 && at + MOST_NAME + 64 < capacity; ++index)
    at += (size_t)snprintf(text + at, capacity - at, "%.*s %lld %lld\n", MOST_NAME, positions[index].name,
                           (long long)positions[index].calls, (long long)positions[index].ns);
  forget_profile();
}
