/* Commands that others have us call, and where their keys are: in a cluster those of one slot alone can be called, and of a
 * slot that this shard serves. */
#ifndef GEARTRAIN_FOREIGN_H
#define GEARTRAIN_FOREIGN_H

#include "api.h"

/* Why a command must not be called, as an error line that is valid until the next call: its keys are in several slots. NULL:
 * it may. To be asked before each call in a cluster (it costs nothing elsewhere): Valkey 9 keeps such a refusal in a client
 * that it uses again for other calls, and refuses them too. */
const char *foreign_several(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc);

/* Whether an error number of RM_Call is about the cluster: the server's own words for it say too little. */
int foreign_is(int number);

/* What it means, as `foreign_several`. `argv` is the command without its name. */
const char *foreign_text(RedisModuleCtx *ctx, int number, const char *command, RedisModuleString **argv, size_t argc);

#endif
