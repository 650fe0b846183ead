/* What clients do with deployed models, beside what they do with any. */

#ifndef TVM_BNN_MODELS_H
#define TVM_BNN_MODELS_H

/* Make it known to clients; 0 on success. */
int publish_models(void);

#endif
