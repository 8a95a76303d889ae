/* Commands on keys of other shards; the header has the theory. */
#include "foreign.h"

#include <errno.h>
#include <string.h>

#include "slots.h"

enum { FEW = 16 };

static int bound = FOREIGN_FREE;

/* The command's first key, NULL where it has none; and whether there are others in other slots. */
static RedisModuleString *first_key(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc,
                                    int *several) {
    RedisModuleString *few[FEW];
    RedisModuleString **words = argc < FEW ? few : RM_Alloc((argc + 1) * sizeof *words);
    words[0] = RM_CreateString(NULL, command, strlen(command));
    for (size_t i = 0; i < argc; i++) words[i + 1] = argv[i];
    int count = 0;
    int *places = RM_GetCommandKeys(ctx, words, (int)argc + 1, &count);
    RedisModuleString *first = places != NULL && count > 0 ? words[places[0]] : NULL;
    size_t length;
    const char *bytes = first != NULL ? RM_StringPtrLen(first, &length) : NULL;
    unsigned slot = bytes != NULL && count > 1 ? slots_of(bytes, length) : 0;
    for (int i = 1; i < count && places != NULL; i++) {
        bytes = RM_StringPtrLen(words[places[i]], &length);
        if (slots_of(bytes, length) != slot) *several = 1;
    }
    api_free_given(places);
    RM_FreeString(NULL, words[0]);
    if (words != few) RM_Free(words);
    return first;
}

int foreign_bind(int slot) {
    int before = bound;
    bound = slot;
    return before;
}

int foreign_is_bound(void) {
    return bound != FOREIGN_FREE;
}

/* Why a key is not one that calls are bound to, or NULL. */
static const char *outside(const RedisModuleString *key) {
    size_t length;
    const char *bytes = RM_StringPtrLen(key, &length);
    if (bound == FOREIGN_FREE || slots_of(bytes, length) == (unsigned)bound) return NULL;
    return "CROSSSLOT in a cluster the function of a hooked command reaches the keys of that command's slot alone: give them the "
           "same part in braces";
}

int foreign_slot(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (!slots_in_cluster(ctx)) return FOREIGN_FREE;
    int count = 0, *places = RM_GetCommandKeys(ctx, argv, argc, &count);
    /* Of a transaction or script the other commands may have keys. */
    int within = (RM_GetContextFlags(ctx) & (REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_MULTI)) != 0;
    int slot = within ? FOREIGN_NO_KEYS : FOREIGN_FREE;
    if (places != NULL && count > 0) {
        size_t length;
        const char *key = RM_StringPtrLen(argv[places[0]], &length);
        slot = (int)slots_of(key, length);
    }
    api_free_given(places);
    return slot;
}

const char *foreign_several(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc) {
    static char text[200];
    int several = 0;
    if (!slots_in_cluster(ctx) || (argc < 2 && bound == FOREIGN_FREE)) return NULL;
    const RedisModuleString *key = first_key(ctx, command, argv, argc, &several);
    if (!several) return key != NULL ? outside(key) : NULL;
    snprintf(text, sizeof text, "CROSSSLOT the command's keys are in several slots of the cluster: give them one part in braces, "
                                "as `{%s}`", slots_tag(ctx));
    return text;
}

int foreign_is(int number) {
    return number == EPERM || number == ENETDOWN || number == EROFS;
}

static const char *elsewhere(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc) {
    static char text[512];
    int several = 0;
    size_t length = 0;
    RedisModuleString *key = first_key(ctx, command, argv, argc, &several);
    const char *bytes = key != NULL ? RM_StringPtrLen(key, &length) : "";
    snprintf(text, sizeof text,
             "MOVED the key '%.100s' is in slot %u, which this shard does not serve; a function of mode='sync' reaches the keys of "
             "its own shard: put `{%s}`, which hashtag() gives, into the key's name, or register with mode='async'",
             bytes, slots_of(bytes, length), slots_tag(ctx));
    for (char *c = text; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    return text;
}

const char *foreign_text(RedisModuleCtx *ctx, int number, const char *command, RedisModuleString **argv, size_t argc) {
    switch (number) {
    case EROFS:
        return "READONLY the cluster is down, and takes reads alone";
    case ENETDOWN:
        return "CLUSTERDOWN the cluster is down";
    default:
        return elsewhere(ctx, command, argv, argc);
    }
}
