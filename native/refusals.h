/* What cannot be called for others, and what the server's refusals mean. */
#ifndef GEARTRAIN_REFUSALS_H
#define GEARTRAIN_REFUSALS_H

#include "api.h"

/* What a call that gave no reply at all means, by its error number: an error line without the mark before it. */
const char *refusal_text(int number);

/* Whether a command is about the connection that sends it: there is none where we call it, and the server is not made for it
 * (PSYNC would end it). Transactions are among them: a function is one, with what caused it. */
int refusal_is_of_a_connection(const char *name, size_t length);

#endif
