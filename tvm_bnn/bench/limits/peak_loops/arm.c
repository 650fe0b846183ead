/* Peaks of 64-bit ARM: eor, cnt, uadalp; fmla; sdot. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "peaks.h"

/* 4 x 4 accumulators of the 32 registers; 64 steps add at most 16 each to a 16-bit lane. 3 instructions per 128 bits. */
double binary_neon(long rounds) {
    double sum = 0;
    for (long round = 0; round < rounds; round++) {
        NEW_ROUND();
        uint16x8_t counts[4][4];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) counts[i][j] = vdupq_n_u16(0);
        for (int step = 0; step < 64; step++) {
            uint8x16_t weights[4];
            for (int j = 0; j < 4; j++) weights[j] = vld1q_u8((const uint8_t *)(weight_bits + (step * 4 + j) * 2));
            for (int i = 0; i < 4; i++) {
                uint8x16_t pixel = vreinterpretq_u8_u16(vld1q_dup_u16((const uint16_t *)(pixel_bits + i * 64 + step)));
                for (int j = 0; j < 4; j++)
                    counts[i][j] = vpadalq_u8(counts[i][j], vcntq_u8(veorq_u8(pixel, weights[j])));
            }
        }
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) sum += vaddlvq_u16(counts[i][j]);
    }
    return sum;
}
EXPECT_MISMATCHES(binary_neon, 4, 64, 8)

enum { CHAINS = 16, REPEATS = 8 };

double float_neon(long rounds) {
    float32x4_t x[CHAINS], factor = vdupq_n_f32(half), term = vdupq_n_f32(one);
    for (int i = 0; i < CHAINS; i++) x[i] = vdupq_n_f32((float)i);
    for (long round = 0; round < rounds; round++)
        for (int repeat = 0; repeat < REPEATS; repeat++)
            /* fmla adds to its third operand: the recurrence runs through the factor, x = 1 + x * half. */
            for (int i = 0; i < CHAINS; i++) x[i] = vfmaq_f32(term, x[i], factor);
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += (double)vaddvq_f32(x[i]);
    return sum;
}
EXPECT_SETTLED(float_neon, CHAINS * 4)

/* sdot: four products of signed bytes a lane. */
__attribute__((target("arch=armv8.2-a+dotprod"))) double int8_sdot(long rounds) {
    int32x4_t x[CHAINS];
    int8x16_t ones = vreinterpretq_s8_s32(vdupq_n_s32(four_ones));
    for (int i = 0; i < CHAINS; i++) x[i] = vdupq_n_s32(0);
    for (long round = 0; round < rounds; round++)
        for (int repeat = 0; repeat < REPEATS; repeat++)
            for (int i = 0; i < CHAINS; i++) x[i] = vdotq_s32(x[i], ones, ones);
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) {
        uint32_t values[4];
        __builtin_memcpy(values, &x[i], sizeof values);
        for (int lane = 0; lane < 4; lane++) sum += values[lane];
    }
    return sum;
}
EXPECT_SUM(int8_sdot, REPEATS *CHAINS * 4.0 * 4)
#endif
