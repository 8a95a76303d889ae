/* Outboxes: the streams that hold a hook's events, `geartrain:{<tag>}:outbox:<id>`, with several partitions
 * `geartrain:{<tag>}:outbox-<n>:<id>` (the table in `geartrain.keys`), and what is added to them. Main thread only. */
#ifndef GEARTRAIN_OUTBOX_H
#define GEARTRAIN_OUTBOX_H

#include "api.h"
#include "hook.h"

/* What an entry says. */
typedef struct {
    RedisModuleString *key, *event;
    int type;      /* REDISMODULE_KEYTYPE_... */
    uint64_t link; /* of the client that waits for it, or 0 */
} OutboxEntry;

void outbox_load(void);

/* A new string: the outbox of a hook's partition, 0 to `hook->partitions` - 1. */
RedisModuleString *outbox_name(const char *tag, const Hook *hook, unsigned number);

/* Whether a key is of the registration with that id, and of no user's: `geartrain:{...}:...:<id>`. */
int outbox_may_unlink(const char *key, size_t length, const char *id, size_t id_length);

/* Add an entry to the outbox of its key; whether it was added. */
int outbox_append(RedisModuleCtx *ctx, Hook *hook, const OutboxEntry *entry);

/* From now on somebody may read what is replicated. */
void outbox_is_followed(void);

void outbox_info(RedisModuleInfoCtx *ctx);

#endif
