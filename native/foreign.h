/* Commands that others have us call, and where their keys are: in a cluster those of one slot alone can be called, and of a
 * slot that this shard serves.
 *
 * While a client's command with keys runs, servers take the slot of *every* key that is looked up to be that command's, without
 * looking at the key (Valkey 9.1, Redis 8.2: `getKeySlot`). A key of another slot, though of this shard, would be written where
 * nobody finds it. So what runs within such a command is bound to its slot; what runs after it (jobs), or of its own accord
 * (timers), is not.
 */
#ifndef GEARTRAIN_FOREIGN_H
#define GEARTRAIN_FOREIGN_H

#include "api.h"

enum { FOREIGN_FREE = -1, FOREIGN_NO_KEYS = -2 };

/* Bind calls to a slot, to no keys at all, or to nothing; returns what they were bound to. */
int foreign_bind(int slot);

/* What calls are to be bound to while a client's command runs. */
int foreign_slot(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Whether they are bound: then scripts, whose keys nobody knows before, cannot be called. */
int foreign_is_bound(void);

/* Why a command must not be called, as an error line that is valid until the next call: its keys are in several slots; or
 * calls are bound to another one. NULL: it may. To be asked before each call in a cluster (it costs nothing elsewhere): Valkey 9 keeps such a refusal in a client
 * that it uses again for other calls, and refuses them too. */
const char *foreign_several(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc);

/* Whether an error number of RM_Call is about the cluster: the server's own words for it say too little. */
int foreign_is(int number);

/* What it means, as `foreign_several`. `argv` is the command without its name. */
const char *foreign_text(RedisModuleCtx *ctx, int number, const char *command, RedisModuleString **argv, size_t argc);

#endif
