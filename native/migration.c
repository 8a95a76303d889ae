/* Which command runs (a filter sees each one before it does), and whether a key's slot is ours (the server refuses calls for
 * others). */
#include "migration.h"

#include <errno.h>

enum { NOT_OUR_OWN_CALLS = 1 };

static int in_cluster, migrating, arriving;

static void see(RedisModuleCommandFilterCtx *filter) {
    size_t length;
    const char *name = RM_StringPtrLen(RM_CommandFilterArgGet(filter, 0), &length);
    migrating = same_word(name, length, "migrate");
    arriving = same_word(name, length, "restore-asking");
}

int migration_load(RedisModuleCtx *ctx) {
    in_cluster = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0;
    if (!in_cluster) return REDISMODULE_OK;
    return RM_RegisterCommandFilter(ctx, see, NOT_OUR_OWN_CALLS) != NULL ? REDISMODULE_OK : REDISMODULE_ERR;
}

int migration_brings(void) {
    return arriving;
}

int migration_took(RedisModuleCtx *ctx, RedisModuleString *key) {
    if (!in_cluster) return 0;
    if (migrating) return 1;
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(ctx, "EXISTS", "s", key);
    if (reply != NULL) RM_FreeCallReply(reply);
    return reply == NULL && errno == EPERM;
}
