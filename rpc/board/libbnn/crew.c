/* crew.c: the threads that share a model's large layers, and the memory that kernels borrow while they run.
 *
 * Kernels call back without saying for whom, so each thread knows the crew and the place in it that it works for.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

enum {
  MOST_BLOCKS = 16,
  SPINS = 1 << 14 /* looks at the next round before a thread goes to sleep: waking it takes longer than a layer */
};

typedef struct {
  bnn_crew *crew;
  pthread_t thread;
  char complaint[160];
  struct {
    void *data;
    size_t bytes;
    int lent;
  } blocks[MOST_BLOCKS];
  unsigned taken;
  int number;
} worker;

struct bnn_crew {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  atomic_uint round;
  atomic_int pending, failed, stopping;
  bnn_task task;
  void *data;
  int tasks, size, started;
  pid_t owner; /* the process that has the threads: a fork's child has none of them */
  int alone;   /* this process is another */
  worker workers[];
};

BNN_THREAD_LOCAL worker *current;

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void do_share(worker *me) {
  bnn_crew *crew = me->crew;
  bnn_group group = {NULL, crew->tasks};
  for (int task = me->number; task < crew->tasks; task += crew->alone ? 1 : crew->size)
    if (crew->task(task, &group, crew->data) != 0) atomic_store(&crew->failed, 1);
}

static void wait_for_round(bnn_crew *crew, unsigned seen) {
  for (int spin = 0; spin < SPINS; ++spin) {
    if (atomic_load(&crew->round) != seen) return;
    pause_briefly();
  }
  pthread_mutex_lock(&crew->lock);
  while (atomic_load(&crew->round) == seen) pthread_cond_wait(&crew->wake, &crew->lock);
  pthread_mutex_unlock(&crew->lock);
}

static void *work(void *argument) {
  worker *me = current = argument;
  for (unsigned seen = 0;; ++seen) {
    wait_for_round(me->crew, seen);
    if (atomic_load(&me->crew->stopping)) return NULL;
    do_share(me);
    atomic_fetch_sub(&me->crew->pending, 1);
  }
}

static void start_round(bnn_crew *crew) {
  pthread_mutex_lock(&crew->lock);
  atomic_fetch_add(&crew->round, 1);
  pthread_cond_broadcast(&crew->wake);
  pthread_mutex_unlock(&crew->lock);
}

/* ---- what kernels call ---- */

static int launch(bnn_task task, void *data, int tasks) {
  bnn_crew *crew = current->crew;
  crew->task = task;
  crew->data = data;
  crew->tasks = tasks > 0 ? tasks : crew->size;
  atomic_store(&crew->failed, 0);
  atomic_store(&crew->pending, crew->alone ? 0 : crew->size - 1);
  if (crew->size > 1 && !crew->alone) start_round(crew);
  do_share(current);
  for (int spin = 0; atomic_load(&crew->pending) > 0; ++spin) spin < SPINS ? pause_briefly() : (void)sched_yield();
  return atomic_load(&crew->failed) ? -1 : 0;
}

static void *allocate(int device_type, int device, uint64_t bytes, int code, int bits) {
  (void)device_type, (void)device, (void)code, (void)bits;
  for (int i = 0; i < MOST_BLOCKS; ++i)
    if (current->blocks[i].data != NULL && !current->blocks[i].lent && current->blocks[i].bytes >= bytes)
      return current->blocks[i].lent = 1, current->blocks[i].data;
  for (int i = 0; i < MOST_BLOCKS; ++i) {
    if (current->blocks[i].data != NULL) continue;
    size_t size = (size_t)(bytes / BNN_ALIGNMENT + 1) * BNN_ALIGNMENT;
    current->blocks[i].data = aligned_alloc(BNN_ALIGNMENT, size);
    if (current->blocks[i].data == NULL) return NULL;
    current->blocks[i].bytes = size;
    current->taken++;
    return current->blocks[i].lent = 1, current->blocks[i].data;
  }
  return NULL;
}

static int release(int device_type, int device, void *data) {
  (void)device_type, (void)device;
  for (int i = 0; i < MOST_BLOCKS; ++i)
    if (current->blocks[i].data == data) return current->blocks[i].lent = 0;
  return -1;
}

static void complain(const char *kind, const char **parts, int32_t count) {
  size_t at = (size_t)snprintf(current->complaint, sizeof current->complaint, "%s: ", kind);
  for (int32_t i = 0; i < count && at < sizeof current->complaint; ++i)
    at += (size_t)snprintf(current->complaint + at, sizeof current->complaint - at, "%s", parts[i]);
}

void bnn_crew_connect(const bnn_imports *imports) {
  if (imports->allocate != NULL) *imports->allocate = (void *)allocate;
  if (imports->release != NULL) *imports->release = (void *)release;
  if (imports->launch != NULL) *imports->launch = (void *)launch;
  *imports->complain = complain;
}

/* ---- what bnn.c calls ---- */

void bnn_crew_enter(bnn_crew *crew) {
  current = &crew->workers[0];
  crew->alone = crew->size > 1 && getpid() != crew->owner;
  if (crew->alone) /* the fork may have come in the middle of a run, whose kernels will give nothing back here */
    for (int i = 0; i < MOST_BLOCKS; ++i) current->blocks[i].lent = 0;
  for (int i = 0; i < crew->size; ++i) crew->workers[i].complaint[0] = 0;
}

const char *bnn_crew_leave(void) {
  bnn_crew *crew = current->crew;
  current = NULL;
  for (int i = 0; i < crew->size; ++i)
    if (crew->workers[i].complaint[0]) return crew->workers[i].complaint;
  return "";
}

int bnn_crew_size(const bnn_crew *crew) { return crew->size; }

unsigned bnn_crew_blocks(const bnn_crew *crew) {
  unsigned taken = 0;
  for (int i = 0; i < crew->size; ++i) taken += crew->workers[i].taken;
  return taken;
}

bnn_crew *bnn_crew_start(int threads) {
  bnn_crew *crew = calloc(1, sizeof *crew + sizeof(worker) * (size_t)threads);
  if (crew == NULL) return NULL;
  crew->size = threads;
  crew->started = 1;
  crew->owner = getpid();
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->wake, NULL);
  for (int i = 0; i < threads; ++i) crew->workers[i].crew = crew, crew->workers[i].number = i;
  for (; crew->started < threads; ++crew->started) {
    worker *next = &crew->workers[crew->started];
    if (pthread_create(&next->thread, NULL, work, next) != 0) return bnn_crew_stop(crew), NULL;
  }
  return crew;
}

/* In a fork's child nobody can be joined; and the lock, which somebody may have held, is left alone. */
static void end_threads(bnn_crew *crew) {
  if (crew->size > 1 && getpid() != crew->owner) return;
  atomic_store(&crew->stopping, 1);
  start_round(crew);
  for (int i = 1; i < crew->started; ++i) pthread_join(crew->workers[i].thread, NULL);
  pthread_cond_destroy(&crew->wake);
  pthread_mutex_destroy(&crew->lock);
}

void bnn_crew_stop(bnn_crew *crew) {
  if (crew == NULL) return;
  end_threads(crew);
  for (int i = 0; i < crew->size; ++i)
    for (int block = 0; block < MOST_BLOCKS; ++block) free(crew->workers[i].blocks[block].data);
  free(crew);
}
