/* Events of the server, for several parts: the server keeps one callback for each event and module. */
#ifndef GEARTRAIN_EVENTS_H
#define GEARTRAIN_EVENTS_H

#include "api.h"

/* Call `callback` at each such event (REDISMODULE_EVENT_...), after those that were there before; one that is there stays where
 * it is. Whether it is so. A kind of event is asked for only once somebody needs it: with each key that is overwritten the
 * server goes over all that modules have asked for. */
int events_listen(RedisModuleCtx *ctx, uint64_t id, RedisModuleEventCallback callback);

#endif
