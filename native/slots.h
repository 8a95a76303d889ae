/* The hash tag of this shard: a number, as text, that hashes to a slot which the shard owns.
 *
 * Without a cluster it is the smallest one that hashes to slot 0 (`geartrain.keys.slot_tag(0)`), so that it stays the same.
 */
#ifndef GEARTRAIN_SLOTS_H
#define GEARTRAIN_SLOTS_H

#include "api.h"

const char *slots_tag(RedisModuleCtx *ctx);

/* Called now and then: whether the shard has another tag since the last call, because the slot went to another one. */
int slots_changed(RedisModuleCtx *ctx);

#endif
