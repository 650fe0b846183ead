/* Processes that a session started and left: they become the server's children, being their nearest reaper. */

#ifndef TVM_BNN_ORPHANS_H
#define TVM_BNN_ORPHANS_H

#include <sys/types.h>

/* Kill all children of this process but one (0: all), and theirs, until none is left. What forks faster than it is killed
 * is given up after a while. */
void end_orphans(pid_t except);

#endif
