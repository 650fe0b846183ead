/* Functions that TVM's runtime has, by name. */

#ifndef TVM_BNN_TVM_CALLS_H
#define TVM_BNN_TVM_CALLS_H

#include "calls.h"

/* Return TVM's function of that name, or NULL. */
TVMFFIObjectHandle global_function(const char* name);

/* Return a module's function of that name, or NULL with an error set. */
TVMFFIObjectHandle module_function(Any module, const char* name);

#endif
