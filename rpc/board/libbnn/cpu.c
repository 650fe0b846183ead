/* cpu.c: whether this CPU has the instructions that a model was compiled for. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#if defined(__x86_64__)

/* Read a file's next word; 1 after the last one of a line, -1 after the last one of the file. */
static int next_word(FILE *file, char word[32]) {
  size_t length = 0;
  for (int c; (c = getc(file)) != EOF;) {
    int ends = c == ' ' || c == '\t' || c == '\n';
    if (ends && length) return word[length] = 0, c == '\n';
    if (!ends && length < 31) word[length++] = (char)c;
  }
  return word[length] = 0, -1;
}

static int has(const char *feature) {
  FILE *file = fopen("/proc/cpuinfo", "re");
  if (file == NULL) return 0;
  char word[32];
  int found = 0, in_flags = 0;
  for (int end = 0; end >= 0 && !found;) {
    end = next_word(file, word);
    if (in_flags) found = strcmp(word, feature) == 0;
    if (strcmp(word, "flags") == 0) in_flags = 1;
    if (in_flags && end == 1) break;
  }
  fclose(file);
  return found;
}

#elif defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>

/* Not from /proc/cpuinfo, which is the host's under emulation. Bits of AT_HWCAP: asm/hwcap.h of Linux. */
static const struct {
  const char *name;
  int bit;
} FEATURES[] = {
#if defined(__aarch64__)
    {"asimd", 1}, {"asimdhp", 10}, {"asimdrdm", 12}, {"asimddp", 20}, {"sve", 22},
#else
    {"neon", 12}, {"vfpv4", 16},
#endif
};

static int has(const char *feature) {
  for (size_t i = 0; i < sizeof FEATURES / sizeof *FEATURES; ++i)
    if (strcmp(FEATURES[i].name, feature) == 0) return (int)(getauxval(AT_HWCAP) >> FEATURES[i].bit & 1);
  return 0;
}
#endif

const char *bnn_lacking_feature(const char *needs, char lacking[32]) {
  for (const char *end; (end = strchr(needs, ' ')) != NULL; needs = end + 1) {
    snprintf(lacking, 32, "%.*s", (int)(end - needs), needs);
    if (!has(lacking)) return lacking;
  }
  return NULL;
}
