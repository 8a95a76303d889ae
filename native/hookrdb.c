/* Hooks in the RDB, and the tags that were used: an auxiliary field before the keys, written where there is any hook. */
#include <string.h>

#include "hooks.h"
#include "slots.h"

enum { ENCODING = 3 }; /* 1: before hooks of commands; 2: before tags that were used */

static void save_text(RedisModuleIO *rdb, const Text *text) {
    RM_SaveStringBuffer(rdb, text->bytes, text->length);
}

static void save_hook(Hook *hook, void *data) {
    RedisModuleIO *rdb = data;
    save_text(rdb, &hook->id);
    save_text(rdb, &hook->version);
    save_text(rdb, &hook->pattern);
    save_text(rdb, &hook->events);
    save_text(rdb, &hook->types);
    save_text(rdb, &hook->user);
    save_text(rdb, &hook->definition);
    RM_SaveUnsigned(rdb, (uint64_t)hook->db);
    RM_SaveUnsigned(rdb, (uint64_t)hook->reader);
    RM_SaveUnsigned(rdb, (uint64_t)hook->mode);
    RM_SaveUnsigned(rdb, (uint64_t)hook->snapshot);
    RM_SaveUnsigned(rdb, (uint64_t)hook->value);
    RM_SaveUnsigned(rdb, hook->partitions);
    RM_SaveUnsigned(rdb, hook->limit);
    save_text(rdb, &hook->command);
    save_text(rdb, &hook->keyprefix);
    save_text(rdb, &hook->commands);
    save_text(rdb, &hook->environment);
    RM_SaveUnsigned(rdb, hook->order);
    save_text(rdb, &hook->trigger);
    RM_SaveUnsigned(rdb, (uint64_t)hook->in_order);
}

static void aux_save(RedisModuleIO *rdb, int when) {
    (void)when;
    if (hooks_count() == 0) return;
    RM_SaveUnsigned(rdb, hooks_count());
    hooks_each(save_hook, rdb);
    const UsedTag *used[USED_TAGS];
    unsigned count = slots_used(used);
    RM_SaveUnsigned(rdb, count);
    for (unsigned i = 0; i < count; i++) {
        RM_SaveStringBuffer(rdb, used[i]->tag, strlen(used[i]->tag));
        RM_SaveUnsigned(rdb, used[i]->since);
    }
}

static Text load_text(RedisModuleIO *rdb) {
    size_t length = 0;
    char *bytes = RM_LoadStringBuffer(rdb, &length);
    Text text = bytes != NULL ? text_of(bytes, length) : text_of("", 0);
    api_free_given(bytes);
    return text;
}

static Hook *load_hook(RedisModuleIO *rdb, int encoding) {
    Hook *hook = RM_Calloc(1, sizeof *hook);
    hook->id = load_text(rdb);
    hook->version = load_text(rdb);
    hook->pattern = load_text(rdb);
    hook->events = load_text(rdb);
    hook->types = load_text(rdb);
    hook->user = load_text(rdb);
    hook->definition = load_text(rdb);
    hook->db = (int)RM_LoadUnsigned(rdb);
    uint64_t reader = RM_LoadUnsigned(rdb);
    hook->reader = reader <= READER_COMMAND ? (int)reader : READER_KEYS;
    hook->mode = RM_LoadUnsigned(rdb) != 0;
    hook->snapshot = RM_LoadUnsigned(rdb) != 0;
    hook->value = RM_LoadUnsigned(rdb) != 0;
    hook->partitions = (unsigned)RM_LoadUnsigned(rdb);
    hook->limit = RM_LoadUnsigned(rdb);
    int has_commands = encoding > 1;
    hook->command = has_commands ? load_text(rdb) : text_of("", 0);
    hook->keyprefix = has_commands ? load_text(rdb) : text_of("", 0);
    hook->commands = has_commands ? load_text(rdb) : text_of("", 0);
    hook->environment = has_commands ? load_text(rdb) : text_of("", 0);
    if (has_commands) hook->order = RM_LoadUnsigned(rdb);
    hook->trigger = has_commands ? load_text(rdb) : text_of("", 0);
    hook->in_order = has_commands && RM_LoadUnsigned(rdb) != 0;
    return hook;
}

static void load_used(RedisModuleIO *rdb) {
    slots_forget_used();
    uint64_t count = RM_LoadUnsigned(rdb);
    for (uint64_t i = 0; i < count && !RM_IsIOError(rdb); i++) {
        Text tag = load_text(rdb);
        slots_note_used(tag.bytes, tag.length, RM_LoadUnsigned(rdb));
        text_replace(&tag, (Text){NULL, 0});
    }
}

static int aux_load(RedisModuleIO *rdb, int encoding, int when) {
    (void)when;
    if (encoding < 1 || encoding > ENCODING) return REDISMODULE_ERR;
    hooks_flush(-1);
    uint64_t count = RM_LoadUnsigned(rdb);
    for (uint64_t i = 0; i < count && !RM_IsIOError(rdb); i++) {
        Hook *hook = load_hook(rdb, encoding);
        if (RM_IsIOError(rdb) || hook->partitions == 0 || hook->partitions > MOST_PARTITIONS || !hooks_put(hook)) {
            hook_free(hook);
            return REDISMODULE_ERR;
        }
    }
    if (encoding > 2) load_used(rdb);
    return RM_IsIOError(rdb) ? REDISMODULE_ERR : REDISMODULE_OK;
}

int hookrdb_load(RedisModuleCtx *ctx) {
    RedisModuleTypeMethods methods = {
        .version = 5,
        .aux_load = aux_load,
        .aux_save2 = aux_save,
        .aux_save_triggers = REDISMODULE_AUX_BEFORE_RDB,
    };
    RedisModuleType *type = RM_CreateDataType(ctx, "geartrain", ENCODING, &methods);
    return type != NULL ? REDISMODULE_OK : REDISMODULE_ERR;
}
