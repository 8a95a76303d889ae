/* The table of hooks.
 *
 * A hook belongs to one database. `GEARTRAIN.HOOK SET` and `DEL` change the table on the primary and, replicated, on
 * replicas; it is part of the RDB (an auxiliary field), so it is there before the first client is served. Everything
 * here is for the server's main thread.
 */
#ifndef GEARTRAIN_HOOKS_H
#define GEARTRAIN_HOOKS_H

#include "api.h"
#include "hook.h"

/* How many patterns match only keys that begin with that byte; the last: how many match others. For hooks_may_match. */
extern unsigned hooks_first_bytes[257];

/* Whether a hook of any database may match a key: most events end here. `key` ends with a NUL. */
static inline int hooks_may_match(const char *key) {
    return hooks_first_bytes[256] > 0 || hooks_first_bytes[(unsigned char)key[0]] > 0;
}

/* The hooks of a key's database that match it. Calls `found` for each; none of them may be removed meanwhile. */
void hooks_matching(int db, const char *key, size_t length, void (*found)(Hook *hook, void *data), void *data);

/* Every hook, in no order. */
void hooks_each(void (*visit)(Hook *hook, void *data), void *data);
size_t hooks_count(void);

/* Remove the hooks of a database (-1: of all), or exchange those of two. */
void hooks_flush(int db);
void hooks_swap(int first, int second);

/* Forget the outboxes' names: the shard owns other slots now. */
void hooks_forget_outboxes(void);

/* Have a hook, in the place of one with the same id, whose counters it goes on with. 0: no memory, it is still the caller's. */
int hooks_put(Hook *hook);

/* The hook with that id, or NULL. */
Hook *hooks_find(int db, const char *id, size_t length);

/* Remove one; whether it was there. */
int hooks_remove(int db, const char *id, size_t length);

/* Register the command (hookcommand.c), and the data type that keeps hooks in the RDB (hookrdb.c). */
int hookcommand_load(RedisModuleCtx *ctx);
int hookrdb_load(RedisModuleCtx *ctx);

#endif
