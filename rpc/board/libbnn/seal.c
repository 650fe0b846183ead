/* seal.c: a model's file is read once, checked as a whole, and what was checked is what will be loaded. */
#define _GNU_SOURCE
/* On 32 bits, a file with a large inode number could not be looked at otherwise. */
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "sha256.h"

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#elif defined(__arm__)
#define MACHINE "armv7l"
#else
#error "libbnn knows x86_64, aarch64 and armv7l"
#endif

static bnn_status read_file(const char *path, unsigned char **data, size_t *bytes) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat facts;
  if (file < 0) return bnn_fail(BNN_NO_FILE, "%s: %s", path, strerror(errno));
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close(file);
    return bnn_fail(BNN_NO_FILE, "%s: no regular file", path);
  }
  size_t size = (size_t)facts.st_size, have = 0;
  unsigned char *content = malloc(size + 1);
  while (content != NULL && have < size) {
    ssize_t count = read(file, content + have, size - have);
    if (count <= 0) break;
    have += (size_t)count;
  }
  close(file);
  if (content == NULL) return bnn_fail(BNN_NO_MEMORY, "%s: no memory for its %zu bytes", path, size);
  *data = content;
  *bytes = have;
  return BNN_OK;
}

static bnn_status check(const char *path, const unsigned char *data, size_t bytes, bnn_seal *seal) {
  if (bytes < sizeof *seal) return bnn_fail(BNN_DAMAGED, "%s is no deployed model, or was cut short", path);
  memcpy(seal, data + bytes - sizeof *seal, sizeof *seal);
  if (memcmp(seal->magic, "BNNMODEL", sizeof seal->magic) != 0)
    return bnn_fail(BNN_DAMAGED, "%s is no deployed model, or was cut short", path);
  unsigned char digest[32];
  bnn_sha256(data, bytes - sizeof digest, digest);
  if (memcmp(digest, seal->sha256, sizeof digest) != 0 || seal->library_bytes != bytes - sizeof *seal)
    return bnn_fail(BNN_DAMAGED, "%s is damaged: its content does not match its hash", path);
  seal->machine[sizeof seal->machine - 1] = seal->needs[sizeof seal->needs - 1] = 0;
  if (seal->format_version != BNN_FORMAT_VERSION)
    return bnn_fail(BNN_WRONG_VERSION, "%s has format %u, this libbnn reads %d: deploy it again", path,
                    (unsigned)seal->format_version, BNN_FORMAT_VERSION);
  if (strcmp(seal->machine, MACHINE) != 0)
    return bnn_fail(BNN_WRONG_MACHINE, "%s is for %s, this is %s", path, seal->machine, MACHINE);
  char lacking[32];
  if (bnn_lacking_feature(seal->needs, lacking) != NULL)
    return bnn_fail(BNN_WRONG_MACHINE, "%s needs instructions that this CPU lacks: %s", path, lacking);
  return BNN_OK;
}

/* Nobody else can change it; and each load gets a file of its own, which the loader does not take for another. */
static bnn_status copy_unnamed(const char *path, const unsigned char *data, size_t bytes, int *library) {
  int file = memfd_create("bnn_model", MFD_CLOEXEC);
  size_t done = 0;
  while (file >= 0 && done < bytes) {
    ssize_t count = write(file, data + done, bytes - done);
    if (count <= 0) break;
    done += (size_t)count;
  }
  if (file >= 0 && done == bytes) return *library = file, BNN_OK;
  bnn_status status = bnn_fail(BNN_NO_MEMORY, "%s: its %zu bytes cannot be copied: %s", path, bytes, strerror(errno));
  if (file >= 0) close(file);
  return status;
}

bnn_status bnn_open_checked(const char *path, int *library) {
  unsigned char *data = NULL;
  size_t bytes = 0;
  bnn_seal seal;
  bnn_status status = read_file(path, &data, &bytes);
  if (status == BNN_OK) status = check(path, data, bytes, &seal);
  if (status == BNN_OK) status = copy_unnamed(path, data, (size_t)seal.library_bytes, library);
  free(data);
  return status;
}
