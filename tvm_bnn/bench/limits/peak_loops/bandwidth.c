/* Read memory as fast as vectors can: eight loads in flight, folded by xor so that none can be dropped. */
#include "peaks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define READ_LOOP(name, attribute, vector)                                                          \
    attribute uint64_t name(const void *buffer, size_t bytes, long passes) {                        \
        enum { IN_FLIGHT = 8, WORDS = sizeof(vector) / sizeof(uint64_t) };                          \
        vector folded[IN_FLIGHT] = {{0}};                                                           \
        for (long pass = 0; pass < passes; pass++) {                                                \
            NEW_ROUND();                                                                            \
            const vector *from = buffer;                                                            \
            for (size_t i = 0; i + IN_FLIGHT <= bytes / sizeof(vector); i += IN_FLIGHT)             \
                for (int k = 0; k < IN_FLIGHT; k++) folded[k] ^= from[i + (size_t)k];               \
        }                                                                                           \
        uint64_t sum = 0;                                                                           \
        for (int k = 0; k < IN_FLIGHT; k++)                                                         \
            for (int word = 0; word < WORDS; word++) sum ^= folded[k][word];                        \
        return sum;                                                                                 \
    }

typedef uint64_t two_words __attribute__((vector_size(16), may_alias, aligned(8)));
READ_LOOP(read_portable, , two_words)

#if defined(__x86_64__)
typedef uint64_t eight_words __attribute__((vector_size(64), may_alias, aligned(8)));
typedef uint64_t four_words __attribute__((vector_size(32), may_alias, aligned(8)));
READ_LOOP(read_avx512, __attribute__((target("avx512f"))), eight_words)
READ_LOOP(read_avx2, __attribute__((target("avx2"))), four_words)
#endif
