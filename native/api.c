/* The module API by name: the context's first field is the function that finds the others. */
#include "api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const api_type_names[8] = {"none", "string", "list", "hash", "set", "zset", "module", "stream"};

#define GEARTRAIN_DEFINE(name, result, parameters) result(*RM_##name) parameters;
GEARTRAIN_NEEDED(GEARTRAIN_DEFINE)
GEARTRAIN_OPTIONAL(GEARTRAIN_DEFINE)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED_MEMORY
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WATCHED_MEMORY
#endif

static void (*server_free)(void *);
static void *(*valkey_alloc)(size_t);

typedef int (*Finder)(const char *name, void *pointer);

const char *api_resolve(RedisModuleCtx *ctx) {
    Finder find;
    memcpy(&find, (const void *)ctx, sizeof find);
    const char *missing = NULL;
#define FIND_OPTIONAL(name, result, parameters) find("RedisModule_" #name, &RM_##name);
#define FIND_NEEDED(name, result, parameters)                                                                          \
    if (find("RedisModule_" #name, &RM_##name) != REDISMODULE_OK && missing == NULL) missing = #name;
    GEARTRAIN_NEEDED(FIND_NEEDED)
    GEARTRAIN_OPTIONAL(FIND_OPTIONAL)
    server_free = RM_Free;
    find("ValkeyModule_Alloc", &valkey_alloc);
#ifdef WATCHED_MEMORY
    /* AddressSanitizer does not see what the server's own allocator gives. */
    RM_Alloc = malloc;
    RM_Calloc = calloc;
    RM_Realloc = realloc;
    RM_Free = free;
#endif
    return missing;
}

int api_is_valkey(void) {
    return valkey_alloc != NULL;
}

void api_free_given(void *memory) {
    if (memory != NULL) server_free(memory);
}

int api_command_of(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc handler, const char *flags, int keys,
                   const char *categories) {
    if (RM_CreateCommand(ctx, name, handler, flags, keys, keys, keys != 0) != REDISMODULE_OK) return REDISMODULE_ERR;
    RedisModuleCommand *command = RM_GetCommand(ctx, name);
    return command != NULL ? RM_SetCommandACLCategories(command, categories) : REDISMODULE_ERR;
}

int api_command(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc handler) {
    return api_command_of(ctx, name, handler, "admin may-replicate", 0, "admin dangerous slow");
}

int api_writes_paused(void) {
    return RM_AvoidReplicaTraffic != NULL && RM_AvoidReplicaTraffic();
}

int same_word(const char *a, size_t a_length, const char *b) {
    return strlen(b) == a_length && strncasecmp(a, b, a_length) == 0;
}
