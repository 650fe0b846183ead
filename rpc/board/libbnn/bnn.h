/* bnn.h: run a model that tvm_bnn compiled, from C and from whatever calls C.
 *
 *   bnn_model *model;
 *   if (bnn_load("digits.bnn", 1, &model) != BNN_OK) puts(bnn_last_error());
 *   bnn_input(model, 0, BNN_FLOAT32, image, sizeof image);
 *   bnn_run(model);
 *   bnn_output(model, 0, BNN_FLOAT32, scores, sizeof scores);
 *   bnn_free(model);
 *
 * Every function that can fail returns a status, BNN_OK being 0, and leaves one line about it for bnn_last_error().
 * A wrong call never crashes and never changes the model. What does crash, as anywhere in C: an address that is not
 * NULL and not one's own, or a model that was freed.
 *
 * Threads: any number of models may be loaded and run at the same time, also several from one file. One model is used
 * by one thread at a time, not always the same. bnn_load starts the threads that a model shares its large layers out
 * to; they sleep between calls.
 *
 * fork: threads belong to the process that bnn_load started them in. In a child that fork made, a model answers as
 * before, by its one thread, and bnn_free gives its memory back; load it there where it shall have threads again. A
 * model that another thread is in the middle of loading or freeing at that moment is lost to the child.
 *
 * Memory: bnn_load takes all of it. bnn_input, bnn_run and bnn_output allocate nothing.
 */
#ifndef BNN_H
#define BNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a program compiled against an older header could go wrong with the library. bnn_load refuses then. */
#define BNN_ABI_VERSION 1

#if defined(__GNUC__)
#define BNN_API __attribute__((visibility("default")))
#else
#define BNN_API
#endif

typedef struct bnn_model bnn_model;

typedef enum {
  BNN_OK = 0,
  BNN_BAD_ARGUMENT = 1,  /* a NULL, an index, a type or a size that does not fit */
  BNN_NO_FILE = 2,       /* the file cannot be opened or read, or is a pipe, a device, a folder */
  BNN_DAMAGED = 3,       /* it is no deployed model, was cut short, or changed */
  BNN_WRONG_VERSION = 4, /* it, or the calling program, is of another version than the library */
  BNN_WRONG_MACHINE = 5, /* it is for another architecture, or for instructions that this CPU lacks */
  BNN_NO_MEMORY = 6,     /* no memory, or no threads */
  BNN_NOT_READY = 7,     /* bnn_run before every input was set, or bnn_output before bnn_run */
  BNN_FAILED = 8         /* a kernel failed; nothing that fits the model makes one fail */
} bnn_status;

/* DLPack's code of the kind, times 256, plus the bits. */
typedef enum {
  BNN_INT8 = 0x0008,
  BNN_INT16 = 0x0010,
  BNN_INT32 = 0x0020,
  BNN_INT64 = 0x0040,
  BNN_UINT8 = 0x0108,
  BNN_UINT16 = 0x0110,
  BNN_UINT32 = 0x0120,
  BNN_UINT64 = 0x0140,
  BNN_FLOAT32 = 0x0220,
  BNN_FLOAT64 = 0x0240,
  BNN_BOOL = 0x0608 /* one byte, 0 or 1 */
} bnn_type;

/* An input or output. What it points to lives as long as the model. Values lie row by row, without gaps. */
typedef struct {
  const char *name;
  bnn_type type;
  int32_t rank;
  const int64_t *shape; /* `rank` extents */
  size_t bytes;         /* of all values together */
} bnn_tensor;

/* The version of the library, to be compared with BNN_ABI_VERSION. */
BNN_API int bnn_abi_version(void);

/* The line about the last call that failed in this thread, at most 255 bytes; "" before the first. Valid until the next
 * that fails. Of a path that is too long for it, the end is shown, behind the reason. */
BNN_API const char *bnn_last_error(void);

/* Load a model and run it on zeros, twice as a rule, which takes all the memory that later calls need.
 *   path     file that `tvm_bnn.compile --deploy` wrote; all of it is hashed before any of it is executed, and no
 *            descriptor stays open
 *   threads  that large layers are shared out to, 1 to 256
 *   model    receives the model, or NULL
 * Returns BNN_OK, BNN_BAD_ARGUMENT, BNN_NO_FILE, BNN_DAMAGED, BNN_WRONG_VERSION, BNN_WRONG_MACHINE, BNN_NO_MEMORY. */
#define bnn_load(path, threads, model) bnn_load_version((path), (threads), (model), BNN_ABI_VERSION)
BNN_API bnn_status bnn_load_version(const char *path, int threads, bnn_model **model, int abi_version);

/* Give everything back; NULL is allowed. */
BNN_API void bnn_free(bnn_model *model);

/* Of a loaded model; "" and 0 for NULL. */
BNN_API const char *bnn_name(const bnn_model *model);
BNN_API int bnn_threads(const bnn_model *model);
BNN_API int bnn_input_count(const bnn_model *model);
BNN_API int bnn_output_count(const bnn_model *model);

/* Describe an input or output. Returns BNN_OK or BNN_BAD_ARGUMENT. */
BNN_API bnn_status bnn_input_tensor(const bnn_model *model, int index, bnn_tensor *tensor);
BNN_API bnn_status bnn_output_tensor(const bnn_model *model, int index, bnn_tensor *tensor);

/* Copy the values of an input; they stay until they are set again. `type` and `bytes` must be the tensor's own.
 * Returns BNN_OK or BNN_BAD_ARGUMENT. */
BNN_API bnn_status bnn_input(bnn_model *model, int index, bnn_type type, const void *data, size_t bytes);

/* Run the model. Returns BNN_OK, BNN_BAD_ARGUMENT, BNN_NOT_READY or BNN_FAILED. */
BNN_API bnn_status bnn_run(bnn_model *model);

/* Copy the values of an output, as the last bnn_run left them. `type` and `bytes` must be the tensor's own.
 * Returns BNN_OK, BNN_BAD_ARGUMENT or BNN_NOT_READY. */
BNN_API bnn_status bnn_output(const bnn_model *model, int index, bnn_type type, void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
