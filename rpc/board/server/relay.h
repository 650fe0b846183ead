/* Between a client whose messages carry codes and the session, which knows nothing of them. */

#ifndef TVM_BNN_RELAY_H
#define TVM_BNN_RELAY_H

#include <sys/types.h>

#include "secret.h"

/* Start the processes that pass on what is right, and return the first, which leads their group, or -1. They end with
 * either side; a frame that is not right ends both. */
pid_t start_relay(int client, int session, const Agreement* agreement);

/* Let what the session has said go out, but wait no longer than a moment, then end them. */
void end_relay(pid_t relay);

#endif
