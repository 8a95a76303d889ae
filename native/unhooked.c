/* The connections that are not hooked: a set of clients' ids, which the server tells of when they go. */
#include "unhooked.h"

#include "events.h"

enum { BUCKETS = 64 };

typedef struct Client {
    struct Client *next;
    uint64_t id;
} Client;

static Client *buckets[BUCKETS];
static int count;

static Client **place_of(uint64_t id) {
    Client **at = &buckets[id % BUCKETS];
    while (*at != NULL && (*at)->id != id) at = &(*at)->next;
    return at;
}

int unhooked_has(uint64_t client) {
    return count > 0 && *place_of(client) != NULL;
}

static void on_client(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event;
    if (sub != REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED || data == NULL) return;
    Client **at = place_of(((RedisModuleClientInfo *)data)->id), *client = *at;
    if (client == NULL) return;
    *at = client->next;
    RM_Free(client);
    count--;
}

static int unhooked_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv;
    if (argc != 1) return RM_WrongArity(ctx);
    if (!events_listen(ctx, REDISMODULE_EVENT_CLIENT_CHANGE, on_client)) {
        return RM_ReplyWithError(ctx, "ERR the server does not tell when clients go");
    }
    uint64_t id = RM_GetClientId(ctx);
    Client **at = place_of(id);
    if (*at == NULL) {
        *at = RM_Calloc(1, sizeof **at);
        (*at)->id = id;
        count++;
    }
    return RM_ReplyWithSimpleString(ctx, "OK");
}

int unhooked_load(RedisModuleCtx *ctx) {
    return api_command(ctx, "geartrain.unhooked", unhooked_command);
}
