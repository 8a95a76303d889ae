/* What the streams are called that hold a hook's events: `geartrain:{<tag>}:outbox:<id>`, with several partitions
 * `geartrain:{<tag>}:outbox-<n>:<id>` (the table in `geartrain.keys`). */
#ifndef GEARTRAIN_OUTBOX_H
#define GEARTRAIN_OUTBOX_H

#include "api.h"
#include "hook.h"

/* A new string: the outbox of a hook's partition, 0 to `hook->partitions` - 1. */
RedisModuleString *outbox_name(const char *tag, const Hook *hook, unsigned number);

/* Whether a key is of the registration with that id, and of no user's: `geartrain:{...}:...:<id>`. */
int outbox_may_unlink(const char *key, size_t length, const char *id, size_t id_length);

#endif
