/* See the header. */
#include "subscription.h"

#include <string.h>

#include "hooks.h"

enum {
    ALWAYS = REDISMODULE_NOTIFY_GENERIC | REDISMODULE_NOTIFY_MODULE,
    MOST = 16 /* subscriptions at a time: each brings at least one class that was not there */
};

static const struct {
    int class;
    const char *name;
    const char *events; /* with a space at both ends; only those that come in no other class but ALWAYS's, in any version */
} CLASSES[] = {
    {REDISMODULE_NOTIFY_GENERIC, "generic",
     " del expire persist rename_from rename_to restore copy_to move_from move_to lrem "},
    {REDISMODULE_NOTIFY_STRING, "string", " set setrange append incrby incrbyfloat setbit "},
    {REDISMODULE_NOTIFY_LIST, "list", " lpush rpush lpop rpop linsert lset ltrim lrem "},
    {REDISMODULE_NOTIFY_SET, "set", " sadd srem spop sinterstore sunionstore sdiffstore "},
    {REDISMODULE_NOTIFY_HASH, "hash", " hset hdel hincrby hincrbyfloat "},
    {REDISMODULE_NOTIFY_ZSET, "zset", " zadd zincr zrem zremrangebyscore zremrangebyrank zpopmin zpopmax "},
    {REDISMODULE_NOTIFY_EXPIRED, "expired", " expired "},
    {REDISMODULE_NOTIFY_EVICTED, "evicted", " evicted "},
    {REDISMODULE_NOTIFY_STREAM, "stream", " xadd xdel xtrim "},
    {REDISMODULE_NOTIFY_MODULE, "module", " "},
    {REDISMODULE_NOTIFY_KEY_MISS, "keymiss", " keymiss "},
};
enum { COUNT = sizeof CLASSES / sizeof *CLASSES };

static RedisModuleCtx *base;
static RedisModuleNotificationFunc told;
static int subscribed[MOST], subscription_count, doubtful;

/* But key misses, which come with reads: only whoever names them is told of them. */
static int every_class(void) {
    int classes = 0;
    for (int i = 0; i < COUNT; i++) classes |= CLASSES[i].class;
    return classes & ~REDISMODULE_NOTIFY_KEY_MISS;
}

/* The classes of one event's name (` set `, with the spaces): 0 where it is not known. */
static int classes_of_name(const char *name, size_t length) {
    int classes = 0;
    for (int i = 0; i < COUNT; i++) {
        if (memmem(CLASSES[i].events, strlen(CLASSES[i].events), name, length) != NULL) classes |= CLASSES[i].class;
    }
    return classes;
}

static int classes_of(const Hook *hook) {
    if (hook->reader == READER_COMMAND) return 0;
    if (hook->reader == READER_STREAM) return ALWAYS | REDISMODULE_NOTIFY_STREAM;
    if (hook->events.length == 0) return every_class();
    int classes = ALWAYS;
    const char *word = hook->events.bytes;
    for (const char *end; (end = strchr(word + 1, ' ')) != NULL; word = end) {
        int found = classes_of_name(word, (size_t)(end - word) + 1);
        if (end == word + 1) continue; /* two spaces in a row */
        classes |= found != 0 ? found : every_class();
    }
    return classes;
}

static void subscribe(int classes) {
    if (classes == 0 || RM_SubscribeToKeyspaceEvents(base, classes, told) != REDISMODULE_OK) return;
    subscribed[subscription_count++] = classes;
}

static int present(void) {
    int classes = 0;
    for (int i = 0; i < subscription_count; i++) classes |= subscribed[i];
    return classes;
}

int subscription_load(RedisModuleCtx *ctx, RedisModuleNotificationFunc callback) {
    base = RM_GetDetachedThreadSafeContext(ctx);
    told = callback;
    return REDISMODULE_OK;
}

void subscription_want(const Hook *hook) {
    subscribe(classes_of(hook) & ~present());
}

void subscription_doubt(void) {
    doubtful = 1;
}

static void add_classes(Hook *hook, void *data) {
    *(int *)data |= classes_of(hook);
}

void subscription_settle(void) {
    if (!doubtful || RM_UnsubscribeFromKeyspaceEvents == NULL) return;
    doubtful = 0;
    int wanted = 0;
    hooks_each(add_classes, &wanted);
    if (wanted == present()) return;
    /* Each ends as it began: the server looks for the same classes. */
    for (int i = 0; i < subscription_count; i++) RM_UnsubscribeFromKeyspaceEvents(base, subscribed[i], told);
    subscription_count = 0;
    subscribe(wanted);
}

void subscription_info(RedisModuleInfoCtx *ctx) {
    char text[COUNT * 16] = "";
    for (int i = 0; i < COUNT; i++) {
        if (!(present() & CLASSES[i].class)) continue;
        if (text[0] != '\0') strcat(text, "+");
        strcat(text, CLASSES[i].name);
    }
    RM_InfoAddFieldCString(ctx, "events_of", text);
}
