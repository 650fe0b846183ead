/* Programs that become daemons close every descriptor: no model is taken for another, and none of theirs is closed.
 * closes MODEL OTHER_MODEL */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bnn.h"

static void close_all(void) {
  for (int file = 3; file < 64; ++file) close(file);
}

static int is_open(int file) { return fcntl(file, F_GETFD) >= 0; }

int main(int argc, char **argv) {
  bnn_model *models[6];
  if (argc != 3) return 2;
  for (int i = 0; i < 6; ++i) {
    if (bnn_load(argv[1 + i % 2], 1 + i % 3, &models[i]) != BNN_OK) return fputs(bnn_last_error(), stderr), 3;
    if (strcmp(bnn_name(models[i]), bnn_name(models[i % 2])) != 0) return 4;
    close_all();
  }
  if (strcmp(bnn_name(models[0]), bnn_name(models[1])) == 0) return 5;
  int files[8];
  for (int i = 0; i < 8; ++i)
    if ((files[i] = open(argv[1], O_RDONLY)) < 0) return 6;
  for (int i = 0; i < 6; ++i) bnn_free(models[i]);
  for (int i = 0; i < 8; ++i)
    if (!is_open(files[i])) return fprintf(stderr, "bnn_free closed descriptor %d\n", files[i]), 7;
  return 0;
}
