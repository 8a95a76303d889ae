/* Names of outboxes, and entries in them. */
#include "outbox.h"

#include <string.h>

#include "hash.h"
#include "hooks.h"
#include "slots.h"
#include "snapshot.h"

static RedisModuleString *type_names[8], *field_event, *field_key, *field_type, *field_value, *field_link;

/* Whether anybody may read what is replicated. `RM_Replicate` costs more than the entry itself (it looks the command up by
 * name), so it is left out while there can be no append-only file and no replica: each of them begins with a fork (for a
 * rewrite, or for the data that a new replica gets; what is written before the fork is in those data), with loaded data
 * (which may bring a replication history along), or with another role. Once it is set it stays. */
static int is_followed;

static struct {
    unsigned long long captured, dropped, failed;
} counters;

/* -- names -------------------------------------------------------------------------------------------------------- */

RedisModuleString *outbox_name(const char *tag, const Hook *hook, unsigned number) {
    size_t room = strlen(tag) + hook->id.length + 64;
    char *name = RM_Alloc(room);
    /* The number stands before the id, which may end with one. */
    int length = hook->partitions > 1 ? snprintf(name, room, "geartrain:{%s}:outbox-%u:", tag, number)
                                      : snprintf(name, room, "geartrain:{%s}:outbox:", tag);
    memcpy(name + length, hook->id.bytes, hook->id.length);
    RedisModuleString *string = RM_CreateString(NULL, name, (size_t)length + hook->id.length);
    RM_Free(name);
    return string;
}

int outbox_may_unlink(const char *key, size_t length, const char *id, size_t id_length) {
    static const char BEGINNING[] = "geartrain:{";
    size_t begin = sizeof BEGINNING - 1;
    return length > begin + id_length && memcmp(key, BEGINNING, begin) == 0 && key[length - id_length - 1] == ':' &&
           memcmp(key + length - id_length, id, id_length) == 0;
}

/* -- entries ------------------------------------------------------------------------------------------------------ */

static unsigned partition_of(const Hook *hook, RedisModuleString *key) {
    if (hook->partitions == 1) return 0;
    size_t length;
    const char *bytes = RM_StringPtrLen(key, &length);
    uint64_t hash = hash_bytes(HASH_BEGIN, bytes, length);
    return (unsigned)hash_place(hash, hook->partitions);
}

static int is_here(RedisModuleCtx *ctx, RedisModuleString *name) {
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK);
    int type = key != NULL ? RM_KeyType(key) : REDISMODULE_KEYTYPE_EMPTY;
    if (key != NULL) RM_CloseKey(key);
    return type != REDISMODULE_KEYTYPE_EMPTY;
}

/* The outbox of a key: its name, made when it is first needed. */
static RedisModuleString *outbox_of(RedisModuleCtx *ctx, Hook *hook, RedisModuleString *key) {
    unsigned at = partition_of(hook, key);
    if (!slots_settled() && hook->outboxes != NULL && hook->outboxes[at] != NULL && !is_here(ctx, hook->outboxes[at])) {
        /* It has been moved: under the same name another one would come into its way. */
        slots_renew(ctx, key);
        hooks_forget_outboxes();
    }
    if (hook->outboxes == NULL) hook->outboxes = RM_Calloc(hook->partitions, sizeof *hook->outboxes);
    if (hook->outboxes[at] == NULL) {
        hook->outboxes[at] = outbox_name(slots_tag(ctx), hook, at);
        slots_note_use(ctx);
    }
    return hook->outboxes[at];
}

/* Add the entry; whether it was added. */
static int add_entry(RedisModuleCtx *ctx, RedisModuleString *outbox, RedisModuleString **fields, long pairs,
                     unsigned long long limit, Hook *hook) {
    RedisModuleKey *key = RM_OpenKey(ctx, outbox, REDISMODULE_READ | REDISMODULE_WRITE);
    int type = RM_KeyType(key), added = 0;
    RedisModuleStreamID id;
    if (type != REDISMODULE_KEYTYPE_EMPTY && type != REDISMODULE_KEYTYPE_STREAM) {
        counters.failed++;
        if (hook->error == NULL) hook_error(hook, "the key of its outbox holds something else than a stream: delete it");
    } else if (limit > 0 && RM_ValueLength(key) >= limit) {
        counters.dropped++;
        hook->dropped++;
    } else if (RM_StreamAdd(key, REDISMODULE_STREAM_ADD_AUTOID, &id, fields, pairs) != REDISMODULE_OK) {
        counters.failed++;
        if (hook->error == NULL) hook_error(hook, "its outbox takes no entries any more (its last id is the largest)");
    } else {
        added = 1;
        if (hook->error != NULL) hook_error(hook, NULL);
    }
    RM_CloseKey(key);
    if (!added || !is_followed) return added;
    RedisModuleString *text = RM_CreateStringFromStreamID(NULL, &id);
    RM_Replicate(ctx, "XADD", "ssv", outbox, text, fields, (size_t)(2 * pairs));
    RM_FreeString(NULL, text);
    return 1;
}

int outbox_append(RedisModuleCtx *ctx, Hook *hook, const OutboxEntry *entry) {
    if (slots_tag_moved(ctx, entry->key)) hooks_forget_outboxes();
    RedisModuleString *fields[10] = {field_event, entry->event, field_key, entry->key, field_type, type_names[entry->type]};
    long pairs = 3;
    RedisModuleString *snapshot = hook->snapshot ? snapshot_of(ctx, entry->key) : NULL, *link = NULL;
    if (snapshot != NULL) {
        fields[2 * pairs] = field_value;
        fields[2 * pairs++ + 1] = snapshot;
    }
    if (entry->link != 0) {
        link = RM_CreateStringFromLongLong(NULL, (long long)entry->link);
        fields[2 * pairs] = field_link;
        fields[2 * pairs++ + 1] = link;
    }
    int added = add_entry(ctx, outbox_of(ctx, hook, entry->key), fields, pairs, hook->limit, hook);
    if (added) {
        counters.captured++;
        hook->captured++;
    }
    if (snapshot != NULL) RM_FreeString(NULL, snapshot);
    if (link != NULL) RM_FreeString(NULL, link);
    return added;
}

void outbox_is_followed(void) {
    is_followed = 1;
}

static RedisModuleString *constant(const char *text) {
    return RM_CreateString(NULL, text, strlen(text));
}

void outbox_load(void) {
    for (int i = 0; i < 8; i++) type_names[i] = constant(api_type_names[i]);
    field_event = constant("event");
    field_key = constant("key");
    field_type = constant("type");
    field_value = constant("value");
    field_link = constant("link");
}

void outbox_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "events_captured", counters.captured);
    RM_InfoAddFieldULongLong(ctx, "events_dropped", counters.dropped);
    RM_InfoAddFieldULongLong(ctx, "events_failed", counters.failed);
}
