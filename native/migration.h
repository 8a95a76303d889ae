/* Keys that move between the shards of a cluster: that is no event of theirs.
 *
 * Key by key (MIGRATE), that command deletes the key here, and RESTORE-ASKING makes it there. After an atomic migration, or a
 * change of the slot's owner, all of its keys are deleted when the slot is not ours any more. Valkey's atomic migration (9.0)
 * says which slots it brings; until they are ours, whatever is written to them here is its doing. Not told apart: what the
 * atomic migration of Redis (8.4) makes on the shard that gets the slot. Without a cluster this costs nothing.
 */
#ifndef GEARTRAIN_MIGRATION_H
#define GEARTRAIN_MIGRATION_H

#include "api.h"

int migration_load(RedisModuleCtx *ctx);

/* Whether the event of that class (REDISMODULE_NOTIFY_...) and key, which comes now, is because the key arrives from another
 * shard. */
int migration_brings(int class, RedisModuleString *key);

/* The same of the server's own migrations alone, whatever the event. */
int migration_brings_slot(RedisModuleString *key);

/* Whether a `del` event of that key, which comes now, is because the key has gone to another shard. */
int migration_took(RedisModuleCtx *ctx, RedisModuleString *key);

#endif
