/* Connections that serve: found by their client's id; the header has the theory. */
#include "serving.h"

#include <string.h>

#include "events.h"

enum { BUCKETS = 256, IDLE_US = 10000000 };

static const char GONE[] = "ERR the worker that executed this has gone: its connection ended before it had answered";

static Serving *servings[BUCKETS];
static size_t serving_count;

static Serving **place_of(unsigned long long client_id) {
    Serving **at = &servings[client_id % BUCKETS];
    while (*at != NULL && (*at)->client_id != client_id) at = &(*at)->next;
    return at;
}

/* -- seats -------------------------------------------------------------------------------------------------------- */

static void sit(Seat *seat) {
    Lane *lane = seat->lane;
    seat->next = NULL;
    if (lane->seats == NULL) {
        seat->previous = seat;
        lane->seats = seat;
        return;
    }
    /* The first one's `previous` is the last. */
    Seat *last = lane->seats->previous;
    seat->previous = last;
    last->next = seat;
    lane->seats->previous = seat;
}

static void rise(Seat *seat) {
    Lane *lane = seat->lane;
    Seat *next = seat->next;
    if (lane->seats == seat) {
        lane->seats = next;
        if (next != NULL) next->previous = seat->previous;
        return;
    }
    seat->previous->next = next;
    *(next != NULL ? &next->previous : &lane->seats->previous) = seat->previous;
}

static int is_serving(const Serving *serving, uint64_t now) {
    return serving->waiting != NULL || serving->running.count > 0 || now - serving->seen < IDLE_US;
}

int serving_is_served(Lane *lane) {
    uint64_t now = RM_MonotonicMicroseconds();
    for (Seat *seat = lane->seats; seat != NULL; seat = seat->next) {
        if (is_serving(seat->serving, now)) return 1;
    }
    return 0;
}

void serving_wake(Lane *lane) {
    for (Seat *seat = lane->seats; seat != NULL && lane->waiting.count > 0; seat = seat->next) {
        RedisModuleBlockedClient *client = seat->serving->waiting;
        if (client == NULL) continue;
        seat->serving->waiting = NULL;
        seat->serving->seen = RM_MonotonicMicroseconds();
        rise(seat);
        sit(seat);
        RM_UnblockClient(client, NULL);
        return;
    }
}

void serving_lose(Serving *serving, Call *call) {
    if (serving == NULL) return;
    call_list_remove(&serving->running, call);
    call->serving = NULL;
    serving->seen = RM_MonotonicMicroseconds();
}

/* -- a connection's life ------------------------------------------------------------------------------------------ */

/* No lanes any more. Whoever was woken instead of others may go without having taken anything: these are woken. */
static void leave_lanes(Serving *serving) {
    uint64_t now = RM_MonotonicMicroseconds();
    for (int i = 0; i < serving->count; i++) {
        Lane *lane = serving->seats[i].lane;
        rise(&serving->seats[i]);
        lane->served_until = now;
        serving_wake(lane);
        lane_settle(lane);
    }
    serving->count = 0;
}

static int has_lanes(const Serving *serving, RedisModuleString **names, int count) {
    if (serving->count != count) return 0;
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *name = RM_StringPtrLen(names[i], &length);
        if (!same_text(&serving->seats[i].lane->name, name, length)) return 0;
    }
    return 1;
}

static Serving *new_serving(unsigned long long client_id, RedisModuleString **names, int count) {
    Serving *serving = RM_Calloc(1, sizeof *serving + (size_t)count * sizeof *serving->seats);
    serving->client_id = client_id;
    serving->count = count;
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *name = RM_StringPtrLen(names[i], &length);
        serving->seats[i] = (Seat){.lane = lane_named(name, length, 1), .serving = serving};
        sit(&serving->seats[i]);
    }
    return serving;
}

/* The connection ends. */
static void end(Serving **at) {
    Serving *serving = *at;
    *at = serving->next;
    serving_count--;
    RedisModuleBlockedClient *waiting = serving->waiting;
    serving->waiting = NULL;
    if (waiting != NULL) RM_UnblockClient(waiting, NULL);
    while (serving->running.first != NULL) calls_end(serving->running.first, NULL, GONE);
    leave_lanes(serving);
    RM_Free(serving);
}

static void on_client(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event;
    const RedisModuleClientInfo *client = data;
    if (sub != REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED || client == NULL) return;
    Serving **at = place_of(client->id);
    if (*at != NULL) end(at);
}

Serving *serving_of(RedisModuleCtx *ctx, RedisModuleString **names, int count) {
    unsigned long long client_id = RM_GetClientId(ctx);
    Serving **at = place_of(client_id), *before = *at;
    if (before != NULL && has_lanes(before, names, count)) return before;
    if (!events_listen(ctx, REDISMODULE_EVENT_CLIENT_CHANGE, on_client)) return NULL;
    Serving *serving = new_serving(client_id, names, count);
    if (before != NULL) {
        serving->running = before->running;
        for (Call *call = serving->running.first; call != NULL; call = call->next) call->serving = serving;
        serving->next = before->next;
        leave_lanes(before);
        RM_Free(before);
    } else {
        serving_count++;
    }
    return *at = serving;
}

/* -- waiting ------------------------------------------------------------------------------------------------------ */

static void reply_call(RedisModuleCtx *ctx, const Call *call) {
    RM_ReplyWithArray(ctx, 7);
    RM_ReplyWithLongLong(ctx, (long long)call->id);
    RM_ReplyWithStringBuffer(ctx, call->lane->name.bytes, call->lane->name.length);
    RM_ReplyWithLongLong(ctx, call->db);
    if (call->user != NULL) RM_ReplyWithString(ctx, call->user);
    else RM_ReplyWithCString(ctx, "");
    RM_ReplyWithLongLong(ctx, call->resp);
    RM_ReplyWithStringBuffer(ctx, call->registration.bytes, call->registration.length);
    RM_ReplyWithArray(ctx, call->argc);
    for (int i = 0; i < call->argc; i++) RM_ReplyWithString(ctx, call->argv[i]);
}

int serving_reply(RedisModuleCtx *ctx, Serving *serving) {
    serving->seen = RM_MonotonicMicroseconds();
    for (int i = 0; i < serving->count; i++) {
        Call *call = calls_take(serving->seats[i].lane, serving);
        if (call == NULL) continue;
        call_list_append(&serving->running, call);
        reply_call(ctx, call);
        return 1;
    }
    return 0;
}

static int on_woken(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    Serving *serving = *place_of(RM_GetClientId(ctx));
    if (serving != NULL && serving_reply(ctx, serving)) return REDISMODULE_OK;
    return RM_ReplyWithNull(ctx);
}

/* It does not wait any more, and has not been woken. */
static void stop_waiting(RedisModuleBlockedClient *client) {
    Serving *serving = client != NULL ? RM_BlockClientGetPrivateData(client) : NULL;
    if (serving == NULL || serving->waiting != client) return;
    serving->waiting = NULL;
    serving->seen = RM_MonotonicMicroseconds();
    RM_UnblockClient(client, NULL);
}

static int on_time(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    Serving *serving = *place_of(RM_GetClientId(ctx));
    if (serving != NULL) stop_waiting(serving->waiting);
    return RM_ReplyWithNull(ctx);
}

static void on_disconnect(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    (void)ctx;
    stop_waiting(client);
}

void serving_wait(RedisModuleCtx *ctx, Serving *serving, long long timeout_ms) {
    RedisModuleBlockedClient *client = RM_BlockClient(ctx, on_woken, on_time, NULL, timeout_ms);
    if (client == NULL) return;
    RM_BlockClientSetPrivateData(client, serving);
    RM_SetDisconnectCallback(client, on_disconnect);
    serving->waiting = client;
}

void serving_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "calls_servers", serving_count);
}
