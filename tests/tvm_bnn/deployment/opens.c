/* Try to load each file, within seconds, and print its status and line: opens PATH... */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bnn.h"

int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    bnn_model *model;
    alarm(20);
    bnn_status status = bnn_load(argv[i], 1, &model);
    if ((status == BNN_OK) != (model != NULL) || strlen(bnn_last_error()) > 255) return 1;
    printf("%d %s\n", status, status == BNN_OK ? "" : bnn_last_error());
    bnn_free(model);
  }
  return 0;
}
