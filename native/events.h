/* Events of the server, for several parts: the server keeps one callback for each event and module. */
#ifndef GEARTRAIN_EVENTS_H
#define GEARTRAIN_EVENTS_H

#include "api.h"

/* Call `callback` at each such event (REDISMODULE_EVENT_...), after those that were there before. Whether it is so. */
int events_listen(RedisModuleCtx *ctx, uint64_t id, RedisModuleEventCallback callback);

#endif
