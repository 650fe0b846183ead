/* Multiply-accumulate peaks of x86 in registers: float32, int8 and bfloat16. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "peaks.h"

enum { CHAINS = 12, REPEATS = 8 };

/* CHAINS independent chains hide the latency; half and one are read once, behind the compiler's back. */
#define FMA_LOOP(name, isa, vector, lanes, set, fma)                                                  \
    __attribute__((target(isa))) double name(long rounds) {                                           \
        vector x[CHAINS], factor = set(half), term = set(one);                                        \
        for (int i = 0; i < CHAINS; i++) x[i] = set((float)i);                                        \
        for (long round = 0; round < rounds; round++)                                                 \
            for (int repeat = 0; repeat < REPEATS; repeat++)                                          \
                for (int i = 0; i < CHAINS; i++) x[i] = fma(x[i], factor, term);                      \
        double sum = 0;                                                                               \
        for (int i = 0; i < CHAINS; i++) {                                                            \
            float values[lanes];                                                                      \
            __builtin_memcpy(values, &x[i], sizeof values);                                           \
            for (int lane = 0; lane < (lanes); lane++) sum += values[lane];                           \
        }                                                                                             \
        return sum;                                                                                   \
    }                                                                                                 \
    EXPECT_SETTLED(name, CHAINS * (lanes))

FMA_LOOP(float_avx512, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps)
FMA_LOOP(float_avx2, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps)

/* vpdpbusd: four products of an unsigned and a signed byte a lane. */
__attribute__((target("avx512f,avx512vnni"))) double int8_vnni(long rounds) {
    __m512i x[CHAINS], ones = _mm512_set1_epi32(four_ones);
    for (int i = 0; i < CHAINS; i++) x[i] = _mm512_setzero_si512();
    for (long round = 0; round < rounds; round++)
        for (int repeat = 0; repeat < REPEATS; repeat++)
            for (int i = 0; i < CHAINS; i++) x[i] = _mm512_dpbusd_epi32(x[i], ones, ones);
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) {
        uint32_t values[16];
        __builtin_memcpy(values, &x[i], sizeof values);
        for (int lane = 0; lane < 16; lane++) sum += values[lane];
    }
    return sum;
}
EXPECT_SUM(int8_vnni, REPEATS *CHAINS * 16.0 * 4)

/* vdpbf16ps: two products a lane. 0x3F80 is 1, so a lane grows by 2 and stays exact up to 2^24. */
__attribute__((target("avx512f,avx512bf16"))) double bfloat16_avx512(long rounds) {
    __m512 x[CHAINS];
    volatile int32_t two_ones = 0x3F803F80;
    __m512bh ones = (__m512bh)_mm512_set1_epi32(two_ones);
    for (int i = 0; i < CHAINS; i++) x[i] = _mm512_setzero_ps();
    for (long round = 0; round < rounds; round++)
        for (int repeat = 0; repeat < REPEATS; repeat++)
            for (int i = 0; i < CHAINS; i++) x[i] = _mm512_dpbf16_ps(x[i], ones, ones);
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) {
        float values[16];
        __builtin_memcpy(values, &x[i], sizeof values);
        for (int lane = 0; lane < 16; lane++) sum += values[lane];
    }
    return sum;
}
EXPECT_SUM(bfloat16_avx512, REPEATS *CHAINS * 16.0 * 2)
#endif
