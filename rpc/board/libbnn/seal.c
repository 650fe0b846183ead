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

#define MAGIC "BNNMODEL"

/* Code reaches its constants within 2 GB: no model is as large as that, whatever the file system says of it. */
enum { MOST_BYTES = 0x7fffffff };

/* Open a file without waiting: whoever would write into a pipe, or speak through a device, may never come. */
static bnn_status open_regular(const char *path, int *file, size_t *bytes) {
  *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat facts;
  if (*file < 0 && errno == ENXIO) return bnn_fail_file(BNN_NO_FILE, path, ": no regular file"); /* a socket */
  if (*file < 0) return bnn_fail_file(BNN_NO_FILE, path, ": %s", strerror(errno));
  bnn_status status = BNN_OK;
  if (fstat(*file, &facts) != 0 || !S_ISREG(facts.st_mode))
    status = bnn_fail_file(BNN_NO_FILE, path, ": no regular file");
  else if (facts.st_size > MOST_BYTES)
    status = bnn_fail_file(BNN_DAMAGED, path, " is no deployed model: it is larger than 2 GB");
  if (status != BNN_OK) return close(*file), status;
  *bytes = (size_t)facts.st_size;
  return BNN_OK;
}

/* Read until the content is full or the file ends; how many bytes that were, or -1. */
static ssize_t read_all(int file, unsigned char *content, size_t size) {
  size_t have = 0;
  while (have < size) {
    ssize_t count = read(file, content + have, size - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) break;
    have += (size_t)count;
  }
  return (ssize_t)have;
}

/* Whether a file ends as a deployed model does: not each large file shall be read before it is refused. */
static int ends_with_seal(int file, size_t size) {
  char magic[8];
  if (size < sizeof(bnn_seal)) return 0;
  ssize_t count = pread(file, magic, sizeof magic, (off_t)(size - sizeof(bnn_seal)));
  return count < 0 || (count == sizeof magic && memcmp(magic, MAGIC, sizeof magic) == 0); /* reading it says why not */
}

static bnn_status read_file(const char *path, unsigned char **data, size_t *bytes) {
  int file;
  size_t size = 0;
  bnn_status status = open_regular(path, &file, &size);
  if (status != BNN_OK) return status;
  if (!ends_with_seal(file, size)) {
    close(file);
    return bnn_fail_file(BNN_DAMAGED, path, " is no deployed model, or was cut short");
  }
  unsigned char *content = malloc(size + 1);
  ssize_t have = content == NULL ? 0 : read_all(file, content, size);
  int reason = errno;
  close(file);
  if (content == NULL) return bnn_fail_file(BNN_NO_MEMORY, path, ": no memory for its %zu bytes", size);
  if (have < 0) return free(content), bnn_fail_file(BNN_NO_FILE, path, ": %s", strerror(reason));
  *data = content;
  *bytes = (size_t)have;
  return BNN_OK;
}

static bnn_status check(const char *path, const unsigned char *data, size_t bytes, bnn_seal *seal) {
  if (bytes < sizeof *seal) return bnn_fail_file(BNN_DAMAGED, path, " is no deployed model, or was cut short");
  memcpy(seal, data + bytes - sizeof *seal, sizeof *seal);
  if (memcmp(seal->magic, MAGIC, sizeof seal->magic) != 0)
    return bnn_fail_file(BNN_DAMAGED, path, " is no deployed model, or was cut short");
  unsigned char digest[32];
  bnn_sha256(data, bytes - sizeof digest, digest);
  if (memcmp(digest, seal->sha256, sizeof digest) != 0 || seal->library_bytes != bytes - sizeof *seal)
    return bnn_fail_file(BNN_DAMAGED, path, " is damaged: its content does not match its hash");
  seal->machine[sizeof seal->machine - 1] = seal->needs[sizeof seal->needs - 1] = 0;
  if (seal->format_version != BNN_FORMAT_VERSION)
    return bnn_fail_file(BNN_WRONG_VERSION, path, " has format %u, this libbnn reads %d: deploy it again",
                         (unsigned)seal->format_version, BNN_FORMAT_VERSION);
  if (strcmp(seal->machine, MACHINE) != 0)
    return bnn_fail_file(BNN_WRONG_MACHINE, path, " is for %s, this is %s", seal->machine, MACHINE);
  char lacking[32];
  if (bnn_lacking_feature(seal->needs, lacking) != NULL)
    return bnn_fail_file(BNN_WRONG_MACHINE, path, " needs instructions that this CPU lacks: %s", lacking);
  return BNN_OK;
}

/* Nobody else can change it, and each load gets a file of its own. */
static bnn_status copy_unnamed(const char *path, const unsigned char *data, size_t bytes, int *library) {
  int file = memfd_create("bnn_model", MFD_CLOEXEC);
  size_t done = 0;
  while (file >= 0 && done < bytes) {
    ssize_t count = write(file, data + done, bytes - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += (size_t)count;
  }
  if (file >= 0 && done == bytes) return *library = file, BNN_OK;
  bnn_status status =
      bnn_fail_file(BNN_NO_MEMORY, path, ": its %zu bytes cannot be copied: %s", bytes, strerror(errno));
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
