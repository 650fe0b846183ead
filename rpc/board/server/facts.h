/* What the board is, as a JSON object. */

#ifndef TVM_BNN_FACTS_H
#define TVM_BNN_FACTS_H

enum { MOST_FACTS = 6144 };

/* Write the object; `emulated` names the processor that an emulator plays, or is empty on a real board. */
void describe_board(const char* emulated, int asks_secret, char* json);

#endif
