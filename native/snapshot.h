/* The value of a key as the bytes of the reply (RESP2) to the command that reads all of it: GET, LRANGE, HGETALL, SMEMBERS,
 * ZRANGE with scores, XRANGE.
 *
 * It is that command's reply, unless the server refuses the command: in a slot that is only on its way here, clients reach
 * keys after ASKING, and modules do not. There the key itself is walked through; then a hash's field that has expired and is
 * not deleted yet may be among the others.
 */
#ifndef GEARTRAIN_SNAPSHOT_H
#define GEARTRAIN_SNAPSHOT_H

#include "api.h"

/* NULL: there is no such key, or its type has no such command. */
RedisModuleString *snapshot_of(RedisModuleCtx *ctx, RedisModuleString *key);

#endif
