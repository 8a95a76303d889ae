/* Reading a whole value: by a command, or by walking through the key. */
#include "snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- a reply that is being written -------------------------------------------------------------------------------- */

typedef struct {
    char *bytes;
    size_t length, room;
    size_t items; /* of the outermost array */
} Reply;

static void add(Reply *reply, const char *bytes, size_t length) {
    if (reply->length + length > reply->room) {
        reply->room = 2 * (reply->length + length);
        reply->bytes = RM_Realloc(reply->bytes, reply->room);
    }
    memcpy(reply->bytes + reply->length, bytes, length);
    reply->length += length;
}

static void add_head(Reply *reply, char type, size_t number) {
    char head[32];
    add(reply, head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", type, number));
}

static void add_bulk(Reply *reply, const char *bytes, size_t length) {
    add_head(reply, '$', length);
    add(reply, bytes, length);
    add(reply, "\r\n", 2);
}

static void add_string(Reply *reply, RedisModuleString *string) {
    size_t length;
    const char *bytes = RM_StringPtrLen(string, &length);
    add_bulk(reply, bytes, length);
}

static RedisModuleString *taken(Reply *reply) {
    RedisModuleString *string = RM_CreateString(NULL, reply->bytes, reply->length);
    RM_Free(reply->bytes);
    return string;
}

/* What was added as one array: how many items it has is known at the end, and said at its beginning. */
static RedisModuleString *as_array(Reply *items) {
    Reply whole = {0};
    add_head(&whole, '*', items->items);
    if (items->length > 0) add(&whole, items->bytes, items->length);
    RM_Free(items->bytes);
    return taken(&whole);
}

/* -- walking through a key ---------------------------------------------------------------------------------------- */

static void walk_list(RedisModuleKey *key, Reply *reply) {
    long length = (long)RM_ValueLength(key);
    for (long at = 0; at < length; at++) {
        RedisModuleString *item = RM_ListGet(key, at);
        if (item == NULL) return;
        add_string(reply, item);
        RM_FreeString(NULL, item);
        reply->items++;
    }
}

/* Of a hash, a field and its value; of a set, a member. */
static void on_field(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value, void *data) {
    (void)key;
    Reply *reply = data;
    add_string(reply, field);
    if (value != NULL) add_string(reply, value);
    reply->items += value != NULL ? 2 : 1;
}

static void walk_fields(RedisModuleKey *key, Reply *reply) {
    RedisModuleScanCursor *cursor = RM_ScanCursorCreate();
    while (RM_ScanKey(key, cursor, on_field, reply) != 0) continue;
    RM_ScanCursorDestroy(cursor);
}

static void walk_scores(RedisModuleKey *key, Reply *reply) {
    for (int more = RM_ZsetFirstInScoreRange(key, -INFINITY, INFINITY, 0, 0) == REDISMODULE_OK &&
                    !RM_ZsetRangeEndReached(key);
         more; more = RM_ZsetRangeNext(key)) {
        double score;
        char text[64];
        RedisModuleString *member = RM_ZsetRangeCurrentElement(key, &score);
        if (member == NULL) break;
        add_string(reply, member);
        RM_FreeString(NULL, member);
        add_bulk(reply, text, (size_t)snprintf(text, sizeof text, "%.17g", score));
        reply->items += 2;
    }
    RM_ZsetRangeStop(key);
}

static void walk_stream(RedisModuleKey *key, Reply *reply) {
    RedisModuleStreamID id;
    long fields;
    if (RM_StreamIteratorStart(key, 0, NULL, NULL) != REDISMODULE_OK) return;
    while (RM_StreamIteratorNextID(key, &id, &fields) == REDISMODULE_OK) {
        add_head(reply, '*', 2);
        RedisModuleString *text = RM_CreateStringFromStreamID(NULL, &id), *field, *value;
        add_string(reply, text);
        RM_FreeString(NULL, text);
        add_head(reply, '*', (size_t)(2 * fields));
        while (RM_StreamIteratorNextField(key, &field, &value) == REDISMODULE_OK) {
            add_string(reply, field);
            add_string(reply, value);
            RM_FreeString(NULL, field);
            RM_FreeString(NULL, value);
        }
        reply->items++;
    }
    RM_StreamIteratorStop(key);
}

/* The server decodes a string where it is read in place. */
static void walk_string(RedisModuleKey *key, Reply *reply) {
    size_t length;
    const char *bytes = RM_StringDMA(key, &length, REDISMODULE_READ);
    add_bulk(reply, bytes, length);
}

static RedisModuleString *walk(RedisModuleCtx *ctx, RedisModuleString *name, int type) {
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK);
    Reply reply = {0};
    if (type == REDISMODULE_KEYTYPE_STRING) walk_string(key, &reply);
    else if (type == REDISMODULE_KEYTYPE_LIST) walk_list(key, &reply);
    else if (type == REDISMODULE_KEYTYPE_ZSET) walk_scores(key, &reply);
    else if (type == REDISMODULE_KEYTYPE_STREAM) walk_stream(key, &reply);
    else walk_fields(key, &reply);
    RM_CloseKey(key);
    return type == REDISMODULE_KEYTYPE_STRING ? taken(&reply) : as_array(&reply);
}

/* -- one value ---------------------------------------------------------------------------------------------------- */

static RedisModuleCallReply *ask(RedisModuleCtx *ctx, RedisModuleString *key, int type) {
    switch (type) {
    case REDISMODULE_KEYTYPE_STRING:
        return RM_Call(ctx, "GET", "s", key);
    case REDISMODULE_KEYTYPE_LIST:
        return RM_Call(ctx, "LRANGE", "scc", key, "0", "-1");
    case REDISMODULE_KEYTYPE_HASH:
        return RM_Call(ctx, "HGETALL", "s", key);
    case REDISMODULE_KEYTYPE_SET:
        return RM_Call(ctx, "SMEMBERS", "s", key);
    case REDISMODULE_KEYTYPE_ZSET:
        return RM_Call(ctx, "ZRANGE", "sccc", key, "0", "-1", "WITHSCORES");
    default:
        return RM_Call(ctx, "XRANGE", "scc", key, "-", "+");
    }
}

RedisModuleString *snapshot_of(RedisModuleCtx *ctx, RedisModuleString *name) {
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK);
    int type = key != NULL ? RM_KeyType(key) : REDISMODULE_KEYTYPE_EMPTY;
    if (key != NULL) RM_CloseKey(key);
    if (type == REDISMODULE_KEYTYPE_EMPTY || type == REDISMODULE_KEYTYPE_MODULE) return NULL;
    errno = 0;
    RedisModuleCallReply *reply = ask(ctx, name, type);
    if (reply == NULL) return errno == EPERM ? walk(ctx, name, type) : NULL;
    size_t length = 0;
    const char *bytes = RM_CallReplyProto(reply, &length);
    RedisModuleString *string = bytes != NULL ? RM_CreateString(NULL, bytes, length) : NULL;
    RM_FreeCallReply(reply);
    return string;
}
