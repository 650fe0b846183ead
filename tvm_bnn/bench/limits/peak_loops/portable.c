/* Peaks of a processor of which nothing is known, and the arithmetic that every loop is checked against. */
#include "peaks.h"

uint64_t pixel_bits[PIXEL_WORDS];
uint64_t weight_bits[WEIGHT_WORDS];
volatile float half = 0.5f, one = 1.0f;
volatile int32_t four_ones = 0x01010101;

/* Multiplication by odd constants scatters bits well enough for words to disagree in about half of them. */
__attribute__((constructor)) static void fill(void) {
    for (uint64_t i = 0; i < PIXEL_WORDS; i++)
        pixel_bits[i] = ((i + 1) * 0x9E3779B97F4A7C15u >> 48) * 0x0001000100010001u;
    for (uint64_t i = 0; i < WEIGHT_WORDS; i++) weight_bits[i] = (i + 1) * 0xC2B2AE3D27D4EB4Fu;
}

double mismatches(long rounds, int pixels, int steps, int words) {
    double sum = 0;
    for (int step = 0; step < steps; step++)
        for (int i = 0; i < pixels; i++)
            for (int j = 0; j < words; j++)
                sum += __builtin_popcountll(pixel_bits[i * steps + step] ^ weight_bits[step * words + j]);
    return sum * (double)rounds;
}

double binary_portable(long rounds) {
    double sum = 0;
    for (long round = 0; round < rounds; round++) {
        NEW_ROUND();
        uint64_t counts[2][2] = {{0}}, all = 0;
        for (int step = 0; step < 64; step++)
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++)
                    counts[i][j] +=
                        (uint64_t)__builtin_popcountll(pixel_bits[i * 64 + step] ^ weight_bits[step * 2 + j]);
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) all += counts[i][j];
        sum += (double)all;
    }
    return sum;
}
EXPECT_MISMATCHES(binary_portable, 2, 64, 2)

/* Four lanes of whatever vectors the architecture starts with (SSE2, NEON). */
double float_portable(long rounds) {
    enum { CHAINS = 8, REPEATS = 8 };
    typedef float lanes __attribute__((vector_size(16)));
    lanes x[CHAINS], factor = (lanes){0} + half, term = (lanes){0} + one;
    for (int i = 0; i < CHAINS; i++) x[i] = (lanes){0} + (float)i;
    for (long round = 0; round < rounds; round++)
        for (int repeat = 0; repeat < REPEATS; repeat++)
            for (int i = 0; i < CHAINS; i++) x[i] = x[i] * factor + term;
    double sum = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int lane = 0; lane < 4; lane++) sum += x[i][lane];
    return sum;
}
EXPECT_SETTLED(float_portable, 8 * 4)
