#include "secret.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int read_secret(const char* path, Secret* secret) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) return -1;
  secret->size = fread(secret->bytes, 1, MOST_SECRET, file);
  int longer = fgetc(file) != EOF;
  fclose(file);
  while (secret->size > 0 && isspace(secret->bytes[secret->size - 1])) --secret->size;
  return secret->size > 0 && !longer ? 0 : -1;
}

static void derive(const unsigned char* key, const char* purpose, unsigned char* code) {
  Mac mac = begin_mac(key, DIGEST);
  add_to_mac(&mac, purpose, strlen(purpose));
  finish_mac(&mac, code);
}

Agreement agree(const Secret* secret, const char* hello, const unsigned char* nonce) {
  static const char WHAT[] = "tvm_bnn lab 1";
  unsigned char key[DIGEST];
  uint32_t length = (uint32_t)strlen(hello);
  Agreement made = {0};
  Mac mac = begin_mac(secret->bytes, secret->size);
  add_to_mac(&mac, WHAT, sizeof(WHAT));
  add_to_mac(&mac, &length, sizeof(length));
  add_to_mac(&mac, hello, length);
  add_to_mac(&mac, nonce, NONCE);
  finish_mac(&mac, key);
  derive(key, "called", made.called);
  derive(key, "caller", made.caller);
  derive(key, "to called", made.to_called.key);
  derive(key, "to caller", made.to_caller.key);
  return made;
}
