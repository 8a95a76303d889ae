/* Keys that move between the shards of a cluster: that is no event of theirs.
 *
 * Key by key (MIGRATE), that command deletes the key here, and RESTORE-ASKING makes it there. After an atomic migration, or a
 * change of the slot's owner, all of its keys are deleted when the slot is not ours any more. Not told apart: what an
 * atomic migration makes on the shard that gets the slot. Without a cluster this costs nothing.
 */
#ifndef GEARTRAIN_MIGRATION_H
#define GEARTRAIN_MIGRATION_H

#include "api.h"

int migration_load(RedisModuleCtx *ctx);

/* Whether the event that comes now is because the key arrives from another shard. */
int migration_brings(void);

/* Whether a `del` event of that key, which comes now, is because the key has gone to another shard. */
int migration_took(RedisModuleCtx *ctx, RedisModuleString *key);

#endif
