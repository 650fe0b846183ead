/* QEMU plugin: how often each block of translated code is executed, and what is in it.
 *
 *   qemu-aarch64 -plugin count_instructions.so,out=FILE ...
 *
 * FILE gets a line for each block that ran: address in hexadecimal, executions in decimal, the code in hexadecimal, in
 * the order in which it lies in memory. A block that was translated twice has two lines.
 *
 * Debian ships no qemu-plugin.h, so what is needed of it stands here, as of API version 1 (QEMU 4.2 to 8).
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb*));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb*, void (*)(unsigned, void*), int flags, void*);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void*), void*);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb*);
extern struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
extern const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn*);

EXPORT int qemu_plugin_version = 1;

typedef struct Block {
  struct Block* next;
  uint64_t address, executions;
  size_t size;
  unsigned char code[];
} Block;

static Block* blocks;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static const char* out_path;

/* Threads may lose a count to each other here: artifacts are counted with one thread. */
static void count(unsigned processor, void* block) {
  (void)processor;
  ++((Block*)block)->executions;
}

static void watch(plugin_id id, struct qemu_plugin_tb* translated) {
  (void)id;
  size_t instructions = qemu_plugin_tb_n_insns(translated), size = 0;
  for (size_t i = 0; i < instructions; ++i) size += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(translated, i));
  Block* block = calloc(1, sizeof(Block) + size);
  if (block == NULL) abort();
  block->address = qemu_plugin_tb_vaddr(translated);
  for (size_t i = 0; i < instructions; ++i) {
    const struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(translated, i);
    memcpy(block->code + block->size, qemu_plugin_insn_data(instruction), qemu_plugin_insn_size(instruction));
    block->size += qemu_plugin_insn_size(instruction);
  }
  pthread_mutex_lock(&guard);
  block->next = blocks;
  blocks = block;
  pthread_mutex_unlock(&guard);
  qemu_plugin_register_vcpu_tb_exec_cb(translated, count, NO_REGISTERS, block);
}

static void write_counts(plugin_id id, void* unused) {
  (void)id;
  (void)unused;
  FILE* out = fopen(out_path, "w");
  if (out == NULL) return; /* who reads it misses it */
  for (const Block* block = blocks; block != NULL; block = block->next) {
    if (block->executions == 0) continue;
    fprintf(out, "%" PRIx64 " %" PRIu64 " ", block->address, block->executions);
    for (size_t i = 0; i < block->size; ++i) fprintf(out, "%02x", block->code[i]);
    fputc('\n', out);
  }
  fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void* info, int argc, char** argv) {
  (void)info;
  for (int i = 0; i < argc; ++i)
    if (strncmp(argv[i], "out=", 4) == 0) out_path = strdup(argv[i] + 4);
  if (out_path == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, watch);
  qemu_plugin_register_atexit_cb(id, write_counts, NULL);
  return 0;
}
