/* Calls from their making to their end; the header has their states. */
#include "calls.h"

#include <string.h>

#include "events.h"
#include "lanes.h"
#include "resp.h"
#include "serving.h"
#include "workers.h"

/* How long a call waits for somebody to serve its lane; a worker that the server has started is waited for longer: on a busy
 * machine it needs its time. */
enum { BUCKETS = 256, PATIENCE_US = 10000000, PATIENCE_FOR_OURS_US = 30000000 };

static const char NOBODY[] = "ERR nobody answers this command here: start a worker (`geartrain worker`), or have the server "
                             "start one (`loadmodule geartrain.so workers 1`)";
static const char NOT_YET[] = "ERR the workers of this server do not answer this command (yet): its log says how they fare";

static Call *ids[BUCKETS];
static uint64_t last_id;

static struct {
    size_t waiting, running;
    unsigned long long answered, failed, abandoned;
} counters;

/* -- a call's life ------------------------------------------------------------------------------------------------ */

static void free_call(Call *call) {
    for (int i = 0; i < call->argc; i++) RM_FreeString(NULL, call->argv[i]);
    RM_Free(call->argv);
    if (call->user != NULL) RM_FreeString(NULL, call->user);
    if (call->answer != NULL) RM_FreeString(NULL, call->answer);
    RM_Free(call->registration.bytes);
    RM_Free(call);
}

/* A running call is nobody's any more. */
static void take_back(Call *call) {
    Call **at = &ids[call->id % BUCKETS];
    while (*at != call) at = &(*at)->next_id;
    *at = call->next_id;
    serving_lose(call->serving, call);
    counters.running--;
}

/* Out of every list and table; the call itself stays. */
static void detach(Call *call) {
    if (call->state == CALL_RUNNING) {
        take_back(call);
    } else {
        lane_take_out(call);
        counters.waiting--;
    }
    call->state = CALL_ENDED;
    lane_leave(call);
}

int calls_end(Call *call, RedisModuleString *answer, const char *error) {
    RedisModuleBlockedClient *client = call->client;
    detach(call);
    if (client == NULL) {
        free_call(call);
        return 0;
    }
    call->answer = answer != NULL ? RM_HoldString(NULL, answer) : NULL;
    call->error = error;
    call->client = NULL;
    counters.answered += answer != NULL;
    counters.failed += answer == NULL;
    RM_UnblockClient(client, call);
    return 1;
}

/* The client has gone. */
static void abandon(Call *call) {
    RedisModuleBlockedClient *client = call->client;
    call->client = NULL;
    counters.abandoned++;
    if (call->state != CALL_RUNNING) {
        detach(call);
        free_call(call);
    }
    RM_UnblockClient(client, NULL);
}

static int on_reply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const Call *call = RM_GetBlockedClientPrivateData(ctx);
    if (call->answer == NULL) return RM_ReplyWithError(ctx, call->error);
    size_t length;
    const char *bytes = RM_StringPtrLen(call->answer, &length);
    resp_reply(ctx, bytes, length);
    return REDISMODULE_OK;
}

static void on_free(RedisModuleCtx *ctx, void *data) {
    (void)ctx;
    free_call(data);
}

/* An ENDED call is on its way to its client, and is freed with it. */
static void on_disconnect(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    (void)ctx;
    Call *call = RM_BlockClientGetPrivateData(client);
    if (call != NULL && call->state != CALL_ENDED) abandon(call);
}

/* There is no time after which a client gives up: this is CLIENT UNBLOCK. */
static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    Call *call = RM_GetBlockedClientPrivateData(ctx);
    if (call != NULL && call->state != CALL_ENDED) abandon(call);
    return RM_ReplyWithError(ctx, "UNBLOCKED the call was given up, by CLIENT UNBLOCK");
}

/* -- making one --------------------------------------------------------------------------------------------------- */

const char *calls_refusal(RedisModuleCtx *ctx) {
    int flags = RM_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_DENY_BLOCKING)) != 0) {
        return "ERR no such command within MULTI or a script: its answer comes from another process";
    }
    if ((flags & REDISMODULE_CTX_FLAGS_SLAVE) != 0) {
        return "READONLY this server is a replica: the workers that answer serve its primary";
    }
    return NULL;
}

static Call *new_call(RedisModuleCtx *ctx, const CallWish *wish) {
    Call *call = RM_Calloc(1, sizeof *call);
    call->id = ++last_id;
    call->lane = lane_named(wish->lane, wish->lane_length, 1);
    call->db = RM_GetSelectedDb(ctx);
    call->resp = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_RESP3) != 0 ? 3 : 2;
    call->user = RM_GetCurrentUserName(ctx);
    call->argc = wish->argc;
    call->argv = RM_Alloc(((size_t)wish->argc + 1) * sizeof *call->argv);
    for (int i = 0; i < wish->argc; i++) call->argv[i] = RM_HoldString(NULL, wish->argv[i]);
    const Text *registration = wish->registration;
    call->registration = registration != NULL ? text_of(registration->bytes, registration->length) : text_of("", 0);
    return call;
}

int calls_make(RedisModuleCtx *ctx, const CallWish *wish) {
    const char *refusal = calls_refusal(ctx);
    if (refusal != NULL) return RM_ReplyWithError(ctx, refusal);
    RedisModuleBlockedClient *client = RM_BlockClient(ctx, on_reply, on_timeout, on_free, 0);
    if (client == NULL) return REDISMODULE_OK;
    Call *call = new_call(ctx, wish);
    call->client = client;
    RM_BlockClientSetPrivateData(client, call);
    RM_SetDisconnectCallback(client, on_disconnect);
    counters.waiting++;
    lane_enter(call, wish->in_order && wish->registration != NULL);
    if (call->state == CALL_WAITING && !serving_is_served(call->lane)) workers_want();
    return REDISMODULE_OK;
}

/* -- to workers, and back ----------------------------------------------------------------------------------------- */

Call *calls_running(uint64_t id) {
    Call *call = ids[id % BUCKETS];
    while (call != NULL && call->id != id) call = call->next_id;
    return call;
}

Call *calls_take(Lane *lane, struct Serving *serving) {
    Call *call = lane->waiting.first;
    if (call == NULL) return NULL;
    call_list_remove(&lane->waiting, call);
    counters.waiting--;
    counters.running++;
    call->state = CALL_RUNNING;
    call->next_id = ids[call->id % BUCKETS];
    ids[call->id % BUCKETS] = call;
    call->serving = serving;
    return call;
}

void calls_return(Call *call) {
    if (call->client == NULL) {
        calls_end(call, NULL, NULL);
        return;
    }
    take_back(call);
    counters.waiting++;
    call->state = CALL_WAITING;
    call->since = RM_MonotonicMicroseconds();
    call_list_prepend(&call->lane->waiting, call);
    serving_wake(call->lane);
}

/* -- lanes that nobody serves ------------------------------------------------------------------------------------- */

/* Give up what has waited too long in a lane while nobody served it. The first is the oldest, but for returned ones. */
static void give_up(Lane *lane, uint64_t now) {
    uint64_t patience = workers_running() > 0 ? PATIENCE_FOR_OURS_US : PATIENCE_US;
    while (lane->waiting.first != NULL) {
        Call *call = lane->waiting.first;
        uint64_t begin = call->since > lane->served_until ? call->since : lane->served_until;
        if (now < begin + patience) return;
        int last = lane->calls == 1;
        calls_end(call, NULL, workers_wanted() > 0 ? NOT_YET : NOBODY);
        if (last) return;
    }
}

static void look_at(Lane *lane, void *data) {
    const uint64_t *now = data;
    if (lane->waiting.count > 0 && !serving_is_served(lane)) give_up(lane, *now);
}

static void on_cron(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)sub, (void)data;
    if (counters.waiting == 0) return;
    uint64_t now = RM_MonotonicMicroseconds();
    lanes_each(look_at, &now);
}

int calls_load(RedisModuleCtx *ctx) {
    return events_listen(ctx, REDISMODULE_EVENT_CRON_LOOP, on_cron) ? REDISMODULE_OK : REDISMODULE_ERR;
}

void calls_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "calls_waiting", counters.waiting);
    RM_InfoAddFieldULongLong(ctx, "calls_running", counters.running);
    RM_InfoAddFieldULongLong(ctx, "calls_answered", counters.answered);
    RM_InfoAddFieldULongLong(ctx, "calls_failed", counters.failed);
    RM_InfoAddFieldULongLong(ctx, "calls_abandoned", counters.abandoned);
    serving_info(ctx);
}
