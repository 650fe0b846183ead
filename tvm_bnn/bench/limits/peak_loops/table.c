/* The loops that this file was compiled with, best first; who calls one checks the flags. */
#include "peaks.h"

uint64_t read_portable(const void *, size_t, long);
DECLARE_LOOP(binary_portable)
DECLARE_LOOP(float_portable)
#if defined(__x86_64__)
uint64_t read_avx512(const void *, size_t, long);
uint64_t read_avx2(const void *, size_t, long);
DECLARE_LOOP(binary_vpopcntq)
DECLARE_LOOP(binary_vpopcntd)
DECLARE_LOOP(binary_nibble)
DECLARE_LOOP(binary_carry_save)
DECLARE_LOOP(binary_popcnt)
DECLARE_LOOP(float_avx512)
DECLARE_LOOP(float_avx2)
DECLARE_LOOP(int8_vnni)
DECLARE_LOOP(bfloat16_avx512)
#elif defined(__aarch64__)
DECLARE_LOOP(binary_neon)
DECLARE_LOOP(float_neon)
DECLARE_LOOP(int8_sdot)
#endif

#define ROW(name, quantity, isa, flags, operations, loop) {name, quantity, isa, flags, operations, loop, loop##_expected}

const compute_row compute_rows[] = {
#if defined(__x86_64__)
    ROW("AVX-512 vpopcntq, 64-bit lanes", "binary", "avx512-vpopcntdq", "avx512f avx512_vpopcntdq",
        6 * 64 * 32 * 64.0, binary_vpopcntq),
    ROW("AVX-512 vpopcntd, 32-bit lanes", "binary", "avx512-vpopcntdq", "avx512f avx512_vpopcntdq",
        6 * 64 * 32 * 64.0, binary_vpopcntd),
    ROW("AVX2 nibble shuffle", "binary", "avx2", "avx2", 4 * 24 * 8 * 64.0, binary_nibble),
    ROW("AVX2 carry-save", "binary", "avx2", "avx2", 2 * 128 * 4 * 64.0, binary_carry_save),
    ROW("scalar popcnt, 64 bits", "binary", "portable", "popcnt", 1 * 128 * 6 * 64.0, binary_popcnt),
    ROW("AVX-512 fma", "float32", "avx512-vpopcntdq", "avx512f", 8 * 12 * 16.0, float_avx512),
    ROW("AVX2 fma", "float32", "avx2", "avx2 fma", 8 * 12 * 8.0, float_avx2),
    ROW("AVX-512 vpdpbusd", "int8", "", "avx512f avx512_vnni", 8 * 12 * 64.0, int8_vnni),
    ROW("AVX-512 vdpbf16ps", "bfloat16", "", "avx512f avx512_bf16", 8 * 12 * 32.0, bfloat16_avx512),
#elif defined(__aarch64__)
    ROW("NEON eor, cnt, uadalp", "binary", "neon", "asimd", 4 * 64 * 8 * 64.0, binary_neon),
    ROW("NEON fmla", "float32", "neon", "asimd", 8 * 16 * 4.0, float_neon),
    ROW("NEON sdot", "int8", "", "asimddp", 8 * 16 * 16.0, int8_sdot),
#endif
    ROW("any, compiler's popcount", "binary", "portable", "", 2 * 64 * 2 * 64.0, binary_portable),
    ROW("any, multiply and add", "float32", "portable", "", 8 * 8 * 4.0, float_portable),
};
const int compute_count = sizeof compute_rows / sizeof compute_rows[0];

const read_row read_rows[] = {
#if defined(__x86_64__)
    {"AVX-512 loads", "avx512f", read_avx512},
    {"AVX2 loads", "avx2", read_avx2},
#endif
    {"128-bit loads", "", read_portable},
};
const int read_count = sizeof read_rows / sizeof read_rows[0];
