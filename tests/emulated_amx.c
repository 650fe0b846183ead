/* What AMX does, for processors without it: eight registers of tiles, and the instructions that the kernels use.
 *
 * After Intel's Software Developer's Manual, volume 2: LDTILECFG, TILELOADD, TILESTORED, TDPBUSD, TILERELEASE. Where an
 * instruction would fault, emulated_faults() counts it, and nothing is done.
 */

#include <stdint.h>
#include <string.h>

enum { TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64, FIRST_SIZE = 16, FIRST_ROWS = 48 };

/* Each thread has registers of its own. */
static _Thread_local int configured;
static _Thread_local uint16_t row_bytes[TILES];
static _Thread_local uint8_t rows[TILES];
static _Thread_local uint8_t tile[TILES][MOST_ROWS][MOST_BYTES];
static int faults;
static int64_t multiplications;

int emulated_faults(void) { return faults; }
int64_t emulated_multiplications(void) { return multiplications; }

static int fault(void) {
  ++faults;
  return 0;
}

/* A register that an instruction may name: described, and not empty. */
static int usable(int number) {
  return configured && number >= 0 && number < TILES && rows[number] && row_bytes[number] ? 1 : fault();
}

void emulated_ldtilecfg(const uint8_t* description) {
  configured = 0;
  memset(tile, 0, sizeof tile);
  if (description[0] == 0) return;
  if (description[0] != 1) { fault(); return; }
  for (int i = 2; i < FIRST_SIZE; ++i) if (description[i]) { fault(); return; }
  for (int i = 0; i < TILES; ++i) {
    memcpy(&row_bytes[i], description + FIRST_SIZE + 2 * i, sizeof row_bytes[i]);
    rows[i] = description[FIRST_ROWS + i];
    if (row_bytes[i] > MOST_BYTES || rows[i] > MOST_ROWS || !row_bytes[i] != !rows[i]) { fault(); return; }
  }
  for (int i = FIRST_SIZE + 2 * TILES; i < FIRST_ROWS; ++i) if (description[i]) { fault(); return; }
  for (int i = FIRST_ROWS + TILES; i < 64; ++i) if (description[i]) { fault(); return; }
  configured = 1;
}

void emulated_tilerelease(void) {
  configured = 0;
  memset(tile, 0, sizeof tile);
}

void emulated_tileloadd64(int8_t number, const uint8_t* from, int64_t stride) {
  if (!usable(number)) return;
  memset(tile[number], 0, sizeof tile[number]);
  for (int row = 0; row < rows[number]; ++row) memcpy(tile[number][row], from + row * stride, row_bytes[number]);
}

void emulated_tilestored64(int8_t number, uint8_t* to, int64_t stride) {
  if (!usable(number)) return;
  for (int row = 0; row < rows[number]; ++row) memcpy(to + row * stride, tile[number][row], row_bytes[number]);
}

/* sums[m][n] += sum over k of unsigned a[m][k] * signed b[k / 4][4 * n + k % 4] */
void emulated_tdpbusd(int8_t sums, int8_t a, int8_t b) {
  if (!usable(sums) || !usable(a) || !usable(b)) return;
  int fits = row_bytes[a] % 4 == 0 && row_bytes[sums] % 4 == 0 && row_bytes[a] / 4 == rows[b] &&
             row_bytes[sums] == row_bytes[b] && rows[sums] == rows[a];
  if (!fits || sums == a || sums == b || a == b) { fault(); return; }
  ++multiplications;
  for (int m = 0; m < rows[sums]; ++m) {
    int32_t total[MOST_BYTES / 4];
    memcpy(total, tile[sums][m], sizeof total);
    for (int k = 0; k < row_bytes[a]; ++k)
      for (int n = 0; n < row_bytes[sums] / 4; ++n)
        total[n] += (int32_t)tile[a][m][k] * (int8_t)tile[b][k / 4][4 * n + k % 4];
    memcpy(tile[sums][m], total, row_bytes[sums]);
    memset(tile[sums][m] + row_bytes[sums], 0, MOST_BYTES - row_bytes[sums]);
  }
}
