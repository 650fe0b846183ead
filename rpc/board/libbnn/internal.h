/* internal.h: what the files of libbnn know of each other. */
#ifndef BNN_INTERNAL_H
#define BNN_INTERNAL_H

#include "bnn.h"
#include "model.h"

/* Initial-exec: the dynamic loader would otherwise allocate these at a thread's first access. */
#define BNN_THREAD_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))

/* bnn.c: bnn_run, which calls `done`, unless it is NULL, after each kernel with the kernel's name. */
typedef void (*bnn_observer)(const char *kernel);
bnn_status bnn_run_observed(bnn_model *model, bnn_observer done);

/* error.c: keep a line for bnn_last_error and return the status. */
bnn_status bnn_fail(bnn_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same about a file: its path, then what `format` says; the other way round where they do not fit into a line. */
bnn_status bnn_fail_file(bnn_status status, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* seal.c: read a file, check all of it, and return the library in it as an open file without a name. */
bnn_status bnn_open_checked(const char *path, int *library);

/* library.c: let the dynamic loader map such a file; it may be closed afterwards. `path` is for the error's line. */
bnn_status bnn_map_library(const char *path, int file, void **library);

/* cpu.c: NULL if this CPU has every feature of a list with a space after each, else the first that it lacks, copied
 * into `lacking`. */
const char *bnn_lacking_feature(const char *needs, char lacking[32]);

/* crew.c: the threads of one model, and the memory that its kernels ask for while they run. */
typedef struct bnn_crew bnn_crew;
bnn_crew *bnn_crew_start(int threads);
void bnn_crew_stop(bnn_crew *crew);
int bnn_crew_size(const bnn_crew *crew);
void bnn_crew_enter(bnn_crew *crew);          /* kernels that this thread calls belong to the crew from now on */
const char *bnn_crew_leave(void);             /* and no more; what a kernel complained of meanwhile, or "" */
unsigned bnn_crew_blocks(const bnn_crew *crew); /* how often memory had to be taken from the system */
void bnn_crew_connect(const bnn_imports *imports);

#endif
