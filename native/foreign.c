/* Commands on keys of other shards: the header says it. */
#include "foreign.h"

#include <errno.h>
#include <string.h>

#include "slots.h"

int foreign_is(int number) {
    return number == EPERM || number == ENETDOWN || number == EROFS;
}

/* The command's first key, and whether there are others in other slots; NULL: the server does not tell its keys. */
static RedisModuleString *first_key(RedisModuleCtx *ctx, RedisModuleString **words, int count, int *several) {
    int key_count = 0;
    int *places = RM_GetCommandKeys(ctx, words, count, &key_count);
    RedisModuleString *first = places != NULL && key_count > 0 ? words[places[0]] : NULL;
    for (int i = 0; i < key_count && places != NULL; i++) {
        size_t length, first_length;
        const char *key = RM_StringPtrLen(words[places[i]], &length), *other = RM_StringPtrLen(first, &first_length);
        if (slots_of(key, length) != slots_of(other, first_length)) *several = 1;
    }
    if (places != NULL) RM_Free(places);
    return first;
}

static const char *elsewhere(RedisModuleCtx *ctx, const char *command, RedisModuleString **argv, size_t argc) {
    static char text[512];
    RedisModuleString **words = RM_Alloc((argc + 1) * sizeof *words);
    words[0] = RM_CreateString(NULL, command, strlen(command));
    for (size_t i = 0; i < argc; i++) words[i + 1] = argv[i];
    int several = 0;
    size_t length = 0;
    RedisModuleString *key = first_key(ctx, words, (int)argc + 1, &several);
    const char *bytes = key != NULL ? RM_StringPtrLen(key, &length) : "";
    if (several) {
        snprintf(text, sizeof text, "CROSSSLOT the command's keys are in several slots of the cluster: give them one part in "
                                    "braces, as `{%s}`", slots_tag(ctx));
    } else {
        snprintf(text, sizeof text,
                 "MOVED the key '%.100s' is in slot %u, which this shard does not serve; a function of mode='sync' reaches the "
                 "keys of its own shard: put `{%s}`, which hashtag() gives, into the key's name, or register with mode='async'",
                 bytes, slots_of(bytes, length), slots_tag(ctx));
    }
    for (char *c = text; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    RM_FreeString(NULL, words[0]);
    RM_Free(words);
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
