/* What is said about a command of a function that the server refused because of where its keys are. */
#ifndef GEARTRAIN_FOREIGN_H
#define GEARTRAIN_FOREIGN_H

#include "api.h"

/* Whether an error number of RM_Call is about the cluster: the server's own words for it say too little. */
int foreign_is(int number);

/* What it means, as an error line; valid until the next call. `argv` is the command without its name. */
const char *foreign_text(RedisModuleCtx *ctx, int number, const char *command, RedisModuleString **argv, size_t argc);

#endif
