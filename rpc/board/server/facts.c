#define _GNU_SOURCE
#include "facts.h"

#include <ctype.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>

#include "back_end.h"

enum { MOST_LINE = 4096 };

/* Append `"name": "value", `; characters that JSON or a terminal could trip over become question marks. */
static void add_text(char* json, const char* name, const char* value) {
  size_t at = strlen(json);
  at += (size_t)snprintf(json + at, MOST_FACTS - at, "\"%s\": \"", name);
  for (; *value != '\0' && at < MOST_FACTS - 8; ++value)
    json[at++] = isprint((unsigned char)*value) && *value != '"' && *value != '\\' ? *value : '?';
  snprintf(json + at, MOST_FACTS - at, "\", ");
}

/* Copy what follows "name :" in /proc/cpuinfo. */
static void cpuinfo(const char* name, char* value) {
  char line[MOST_LINE];
  FILE* file = fopen("/proc/cpuinfo", "r");
  *value = '\0';
  while (file != NULL && *value == '\0' && fgets(line, sizeof(line), file) != NULL) {
    char* colon = strchr(line, ':');
    size_t length = strlen(name);
    if (colon == NULL || strncmp(line, name, length) != 0 || !isspace((unsigned char)line[length])) continue;
    snprintf(value, MOST_LINE, "%s", colon + (colon[1] == ' ' ? 2 : 1));
    value[strcspn(value, "\n")] = '\0';
  }
  if (file != NULL) fclose(file);
}

static void model(const char* emulated, char* value) {
  FILE* file = *emulated == '\0' ? fopen("/proc/device-tree/model", "r") : NULL;
  *value = '\0';
  if (*emulated != '\0') snprintf(value, MOST_LINE, "emulated %s", emulated);
  if (file != NULL) value[fread(value, 1, 255, file)] = '\0';
  if (file != NULL) fclose(file);
  if (*value == '\0') cpuinfo("model name", value);
}

#if defined(__aarch64__) || defined(__arm__)
/* From the kernel or the emulator, not from /proc/cpuinfo, which under emulation is the host's. */
static void features(char* value) {
  static const struct {
    unsigned long bit;
    const char* name;
  } KNOWN[] = {
#ifdef __aarch64__
      {1UL << 1, "asimd"}, {1UL << 10, "asimdhp"}, {1UL << 20, "asimddp"}, {1UL << 22, "sve"},
#else
      {1UL << 12, "neon"}, {1UL << 16, "vfpv4"},
#endif
  };
  unsigned long has = getauxval(AT_HWCAP);
  *value = '\0';
  for (size_t index = 0; index < sizeof(KNOWN) / sizeof(*KNOWN); ++index)
    if (has & KNOWN[index].bit) strcat(strcat(value, *value == '\0' ? "" : " "), KNOWN[index].name);
#ifdef __aarch64__
  if (getauxval(AT_HWCAP2) & 1UL << 13) strcat(value, " i8mm");
#endif
}
#else
static void features(char* value) { cpuinfo("flags", value); }
#endif

/* What programs here are made for: a 64-bit kernel says aarch64, also to a 32-bit system. */
static const char* machine(const struct utsname* system) {
#ifdef __arm__
  (void)system;
  return "armv7l";
#else
  return system->machine;
#endif
}

void describe_board(const char* emulated, int asks_secret, char* json) {
  char text[MOST_LINE];
  struct utsname system;
  cpu_set_t cores;
  Versions there = versions();
  uname(&system);
  sched_getaffinity(0, sizeof(cores), &cores);
  snprintf(json, MOST_FACTS, "{\"cores\": %d, \"asks_secret\": %s, \"bnn_format\": %d, ", CPU_COUNT(&cores),
           asks_secret ? "true" : "false", there.bnn_format);
  add_text(json, "machine", machine(&system));
  model(emulated, text);
  add_text(json, "model", text);
  features(text);
  add_text(json, "features", text);
  add_text(json, "kernel", system.release);
  add_text(json, "libc", gnu_get_libc_version());
  add_text(json, "ffi_version", there.ffi);
  add_text(json, "tvm_version", there.tvm);
  add_text(json, "emulated", emulated);
  json[strlen(json) - 2] = '}';
  json[strlen(json) - 1] = '\0';
}
