/* One subscription for each event; a short list of who wants it. */
#include "events.h"

enum { KINDS = 32, LISTENERS = 8 };

static struct {
    RedisModuleEventCallback callbacks[LISTENERS];
    int count;
} kinds[KINDS];

static void pass_on(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    if (event.id >= KINDS) return;
    for (int i = 0; i < kinds[event.id].count; i++) kinds[event.id].callbacks[i](ctx, event, sub, data);
}

int events_listen(RedisModuleCtx *ctx, uint64_t id, RedisModuleEventCallback callback) {
    if (id >= KINDS) return 0;
    for (int i = 0; i < kinds[id].count; i++) {
        if (kinds[id].callbacks[i] == callback) return 1;
    }
    if (kinds[id].count == LISTENERS) return 0;
    if (kinds[id].count == 0) {
        RedisModuleEvent event = {id, 1};
        if (RM_SubscribeToServerEvent(ctx, event, pass_on) != REDISMODULE_OK) return 0;
    }
    kinds[id].callbacks[kinds[id].count++] = callback;
    return 1;
}
