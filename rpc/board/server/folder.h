/* A session's folder: made, how large it is, and away with it. Its lock ends with the process that made it, however that
 * ends, so that what a server left when it was killed can be told from what another one works in. */

#ifndef TVM_BNN_FOLDER_H
#define TVM_BNN_FOLDER_H

#include <stddef.h>
#include <stdint.h>

/* Make a session's folder and write its name, of `capacity` bytes; its lock, a descriptor, or -1 with errno set. */
int make_folder(const char* parent, char* path, size_t capacity);

/* Delete what servers that are gone left in a folder: sessions' folders of this user that nobody has locked. */
void sweep_folders(const char* parent);

/* Bytes of all files in a folder and those below it. */
uint64_t bytes_in_folder(const char* path);

/* Delete a folder with everything in it; links are deleted, not followed. */
void remove_folder(const char* path);

/* Whether a name is that of a file directly in the folder: no path, and no hidden file. */
int is_plain_name(const char* name);

#endif
