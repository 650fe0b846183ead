/* What the loops share: their data, the rows of the table, and what keeps a compiler from being too clever.
 *
 * A binary loop computes the mismatches of `pixels` words with `words` words at each of `steps` steps, all combinations:
 * a register tile of a convolution, without its epilogue. The words of `pixel_bits` repeat their lowest 16 bits, so that
 * a broadcast of 16, 32 or 64 bits gives the same vector and all loops must count the same mismatches.
 */
#ifndef TVM_BNN_PEAKS_H
#define TVM_BNN_PEAKS_H

#include <stddef.h>
#include <stdint.h>

enum { PIXEL_WORDS = 512, WEIGHT_WORDS = 2048 };

/* Hidden, or position-independent code would look their addresses up in the middle of a loop. */
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN uint64_t pixel_bits[PIXEL_WORDS];
extern HIDDEN uint64_t weight_bits[WEIGHT_WORDS];
/* Volatile, so that no loop is folded into its result: a recurrence x = x * half + one settles at 2, exactly. */
extern volatile float half, one;
extern volatile int32_t four_ones;

/* Everything in memory may have changed: a round must not be hoisted out of the loop over rounds. */
#define NEW_ROUND() __asm__ volatile("" ::: "memory")

/* One compute loop; `run` returns a checksum over all rounds, which must equal what `expected` says. */
typedef struct {
    const char *name;
    const char *quantity; /* binary, float32, int8 or bfloat16 */
    const char *isa;      /* the instruction set whose kernels it bounds, empty if we have none */
    const char *flags;    /* of /proc/cpuinfo, separated by spaces */
    double operations;    /* multiply-accumulates a round */
    double (*run)(long rounds);
    double (*expected)(long rounds);
} compute_row;

/* One way to read memory; `run` returns the xor of all 64-bit words, once for an odd number of passes. */
typedef struct {
    const char *name;
    const char *flags;
    uint64_t (*run)(const void *buffer, size_t bytes, long passes);
} read_row;

double mismatches(long rounds, int pixels, int steps, int words);

/* Defines the expected checksum of a binary loop. */
#define EXPECT_MISMATCHES(loop, pixels, steps, words) \
    double loop##_expected(long rounds) { return mismatches(rounds, pixels, steps, words); }

/* Defines the expected checksum of a float loop: every lane has settled at 2. */
#define EXPECT_SETTLED(loop, lanes) \
    double loop##_expected(long rounds) { return rounds < 8 ? -1.0 : 2.0 * (lanes); }

/* Defines the expected checksum of an integer loop that adds as much in every round. */
#define EXPECT_SUM(loop, a_round) \
    double loop##_expected(long rounds) { return (double)rounds * (a_round); }

#define DECLARE_LOOP(loop)      \
    double loop(long rounds); \
    double loop##_expected(long rounds);

#endif
