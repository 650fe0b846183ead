/* A session's folder: how large it is, and away with it. */

#ifndef TVM_BNN_FOLDER_H
#define TVM_BNN_FOLDER_H

#include <stdint.h>

/* Bytes of all files in a folder and those below it. */
uint64_t bytes_in_folder(const char* path);

/* Delete a folder with everything in it; links are deleted, not followed. */
void remove_folder(const char* path);

/* Whether a name is that of a file directly in the folder: no path, and no hidden file. */
int is_plain_name(const char* name);

#endif
