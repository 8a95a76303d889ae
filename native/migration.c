/* Which command runs (a filter sees each one before it does), which slots arrive, and whether a key's slot is ours (the server
 * refuses calls for others). */
#include "migration.h"

#include <errno.h>

#include "events.h"
#include "slots.h"

static int in_cluster, migrating, arriving;

/* Slots that atomic migrations are bringing (1), and how many they are. */
static unsigned char imports[SLOTS];
static int import_count;

static void see(RedisModuleCommandFilterCtx *filter) {
    size_t length;
    const char *name = RM_StringPtrLen(RM_CommandFilterArgGet(filter, 0), &length);
    migrating = same_word(name, length, "migrate");
    arriving = same_word(name, length, "restore-asking");
}

static void on_migration(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event;
    const ValkeyModuleMigrationInfo *info = data;
    int begins = sub == VALKEYMODULE_SUBEVENT_IMPORT_STARTED;
    if (info == NULL || !(begins || sub == VALKEYMODULE_SUBEVENT_IMPORT_ABORTED ||
                          sub == VALKEYMODULE_SUBEVENT_IMPORT_COMPLETED)) {
        return;
    }
    for (uint32_t i = 0; i < info->range_count; i++) {
        for (int slot = info->ranges[i].first; slot >= 0 && slot <= info->ranges[i].last && slot < SLOTS; slot++) {
            import_count += (int)begins - (int)imports[slot];
            imports[slot] = (unsigned char)begins;
        }
    }
}

int migration_load(RedisModuleCtx *ctx) {
    in_cluster = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0;
    if (!in_cluster) return REDISMODULE_OK;
    /* Older servers have no such event, and no such migrations. */
    if (api_is_valkey()) events_listen(ctx, VALKEYMODULE_EVENT_ATOMIC_SLOT_MIGRATION, on_migration);
    return RM_RegisterCommandFilter(ctx, see, REDISMODULE_CMDFILTER_NOSELF) != NULL ? REDISMODULE_OK : REDISMODULE_ERR;
}

int migration_brings_slot(RedisModuleString *key) {
    if (import_count == 0) return 0;
    size_t length;
    const char *bytes = RM_StringPtrLen(key, &length);
    return imports[slots_of(bytes, length)];
}

int migration_brings(int class, RedisModuleString *key) {
    /* What expires or is evicted after RESTORE-ASKING, and before the next command, has not come with it. */
    if (arriving && (class & (REDISMODULE_NOTIFY_EXPIRED | REDISMODULE_NOTIFY_EVICTED)) == 0) return 1;
    return migration_brings_slot(key);
}

int migration_took(RedisModuleCtx *ctx, RedisModuleString *key) {
    if (!in_cluster) return 0;
    if (migrating) return 1;
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(ctx, "EXISTS", "s", key);
    if (reply != NULL) RM_FreeCallReply(reply);
    return reply == NULL && errno == EPERM;
}
