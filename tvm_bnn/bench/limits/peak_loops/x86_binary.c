/* Binary peaks of x86: xor, count, add, as register tiles that read their operands from the first-level cache. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "peaks.h"

#define VPOPCNT __attribute__((target("avx512f,avx512vpopcntdq")))
#define AVX2 __attribute__((target("avx2")))

/* 6 x 4 accumulators of the 32 registers. The bound is 3 instructions per 512 bits. */
#define VPOPCNT_LOOP(name, broadcast, count, add, total)                                              \
    VPOPCNT double name(long rounds) {                                                                \
        double sum = 0;                                                                               \
        for (long round = 0; round < rounds; round++) {                                               \
            NEW_ROUND();                                                                              \
            __m512i counts[6][4];                                                                     \
            for (int i = 0; i < 6; i++)                                                               \
                for (int j = 0; j < 4; j++) counts[i][j] = _mm512_setzero_si512();                    \
            for (int step = 0; step < 64; step++) {                                                   \
                __m512i weights[4];                                                                   \
                for (int j = 0; j < 4; j++) weights[j] = _mm512_loadu_si512(weight_bits + (step * 4 + j) * 8); \
                for (int i = 0; i < 6; i++) {                                                         \
                    __m512i pixel = broadcast(pixel_bits[i * 64 + step]);                             \
                    for (int j = 0; j < 4; j++)                                                       \
                        counts[i][j] = add(counts[i][j], count(_mm512_xor_si512(pixel, weights[j]))); \
                }                                                                                     \
            }                                                                                         \
            __m512i all = _mm512_setzero_si512();                                                     \
            for (int i = 0; i < 6; i++)                                                               \
                for (int j = 0; j < 4; j++) all = add(all, counts[i][j]);                             \
            sum += (double)total(all);                                                                \
        }                                                                                             \
        return sum;                                                                                   \
    }                                                                                                 \
    EXPECT_MISMATCHES(name, 6, 64, 32)

VPOPCNT_LOOP(binary_vpopcntq, _mm512_set1_epi64, _mm512_popcnt_epi64, _mm512_add_epi64, _mm512_reduce_add_epi64)
VPOPCNT_LOOP(binary_vpopcntd, _mm512_set1_epi32, _mm512_popcnt_epi32, _mm512_add_epi32, _mm512_reduce_add_epi32)

/* Counts of the bytes of x: a table of the 16 nibbles, looked up twice (Mula, "SSSE3: fast popcount"). */
AVX2 static inline __m256i nibble_counts(__m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)), _mm256_shuffle_epi8(table, upper));
}

AVX2 static inline double total_of_bytes(__m256i counts) {
    __m256i sums = _mm256_sad_epu8(counts, _mm256_setzero_si256());
    return (double)(_mm256_extract_epi64(sums, 0) + _mm256_extract_epi64(sums, 1) + _mm256_extract_epi64(sums, 2) +
                    _mm256_extract_epi64(sums, 3));
}

/* 24 steps of at most 8 mismatches a byte: no byte overflows before it is summed. 8 instructions per 256 bits. */
AVX2 double binary_nibble(long rounds) {
    double sum = 0;
    for (long round = 0; round < rounds; round++) {
        NEW_ROUND();
        __m256i counts[4][2];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 2; j++) counts[i][j] = _mm256_setzero_si256();
        for (int step = 0; step < 24; step++) {
            for (int i = 0; i < 4; i++) {
                __m256i pixel = _mm256_set1_epi64x((long long)pixel_bits[i * 24 + step]);
                for (int j = 0; j < 2; j++) {
                    __m256i weight = _mm256_loadu_si256((const __m256i *)(weight_bits + (step * 2 + j) * 4));
                    counts[i][j] = _mm256_add_epi8(counts[i][j], nibble_counts(_mm256_xor_si256(pixel, weight)));
                }
            }
        }
        __m256i all = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 2; j++)
                all = _mm256_add_epi64(all, _mm256_sad_epu8(counts[i][j], _mm256_setzero_si256()));
        sum += (double)(_mm256_extract_epi64(all, 0) + _mm256_extract_epi64(all, 1) + _mm256_extract_epi64(all, 2) +
                        _mm256_extract_epi64(all, 3));
    }
    return sum;
}
EXPECT_MISMATCHES(binary_nibble, 4, 24, 8)

/* A full adder of bits: a + b + *sum becomes *sum and the carry that is returned. */
AVX2 static inline __m256i carry(__m256i *sum, __m256i a, __m256i b) {
    __m256i either = _mm256_xor_si256(a, b);
    __m256i carried = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(either, *sum));
    *sum = _mm256_xor_si256(either, *sum);
    return carried;
}

#define TAP(k) _mm256_xor_si256(_mm256_set1_epi64x((long long)pixel[k]), _mm256_loadu_si256(weight + (k)))

/* Carry-save addition: eight words cost seven full adders and one count (Harley and Seal; Mula, Kurz, Lemire 2018). */
AVX2 double binary_carry_save(long rounds) {
    double sum = 0;
    for (long round = 0; round < rounds; round++) {
        NEW_ROUND();
        for (int i = 0; i < 2; i++) {
            const __m256i zero = _mm256_setzero_si256();
            __m256i ones = zero, twos = zero, fours = zero, eights = zero;
            for (int step = 0; step < 128; step += 8) {
                const uint64_t *pixel = pixel_bits + i * 128 + step;
                const __m256i *weight = (const __m256i *)weight_bits + step;
                __m256i two_a = carry(&ones, TAP(0), TAP(1)), two_b = carry(&ones, TAP(2), TAP(3));
                __m256i four_a = carry(&twos, two_a, two_b);
                two_a = carry(&ones, TAP(4), TAP(5)), two_b = carry(&ones, TAP(6), TAP(7));
                __m256i four_b = carry(&twos, two_a, two_b);
                eights = _mm256_add_epi8(eights, nibble_counts(carry(&fours, four_a, four_b)));
            }
            __m256i rest = _mm256_add_epi8(nibble_counts(fours), nibble_counts(fours));
            rest = _mm256_add_epi8(rest, nibble_counts(twos));
            rest = _mm256_add_epi8(_mm256_add_epi8(rest, rest), nibble_counts(ones));
            sum += 8 * total_of_bytes(eights) + total_of_bytes(rest);
        }
    }
    return sum;
}
EXPECT_MISMATCHES(binary_carry_save, 2, 128, 4)

/* One pixel against six weights: of the small tiles that fit 16 registers, gcc and clang both make most of this one. */
__attribute__((target("popcnt"))) double binary_popcnt(long rounds) {
    double sum = 0;
    for (long round = 0; round < rounds; round++) {
        NEW_ROUND();
        uint64_t counts[6] = {0}, all = 0;
        for (int step = 0; step < 128; step++)
            for (int j = 0; j < 6; j++)
                counts[j] += (uint64_t)__builtin_popcountll(pixel_bits[step] ^ weight_bits[step * 6 + j]);
        for (int j = 0; j < 6; j++) all += counts[j];
        sum += (double)all;
    }
    return sum;
}
EXPECT_MISMATCHES(binary_popcnt, 1, 128, 6)
#endif
