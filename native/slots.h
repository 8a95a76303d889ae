/* The hash tag of this shard: a number, as text, that hashes to a slot which the shard serves.
 *
 * Without a cluster it is the smallest one that hashes to slot 0 (`geartrain.keys.slot_tag(0)`), so that it stays the same.
 *
 * In a cluster each slot has a rank, the same on all nodes of a shard, and the tag is of the slot with the highest rank among
 * those that the shard serves and that are not on their way to another one. So it depends on the shard and its slots alone: a
 * replica that is promoted finds the same tag, hence the outboxes that it has already; and the tag seldom changes when other
 * slots come and go. Such a tag is settled.
 *
 * Where there is no such slot, because the last ones are leaving or the first ones are arriving, one of these is taken, with a
 * number that no shard has had before: what is written under it can be moved, and meets nothing of the same name there.
 *
 * CLUSTER NODES is looked at once a second. In between a slot may go, so whoever is about to write asks `slots_tag_moved`
 * first: it is exact, as nothing comes between its answer and the write.
 */
#ifndef GEARTRAIN_SLOTS_H
#define GEARTRAIN_SLOTS_H

#include "api.h"

enum { SLOTS = 16384, USED_TAGS = 64, TAG_LENGTH = 16 };

/* Whether the server is a node of a cluster. */
int slots_in_cluster(RedisModuleCtx *ctx);

/* The slot of a key: of what stands between its first braces, if something does. */
unsigned slots_of(const char *key, size_t length);

const char *slots_tag(RedisModuleCtx *ctx);

/* Called now and then: whether the shard has another tag since the last call, because its slots are others. */
int slots_changed(RedisModuleCtx *ctx);

/* The server has another role: the next call of `slots_changed` looks again. */
void slots_forget(void);

/* Called before something is written under the tag because of an event of that key (NULL: of none): whether the shard has
 * another tag since the last call, as the slot of the one before takes no keys here any more. Costs nothing without a
 * cluster. */
int slots_tag_moved(RedisModuleCtx *ctx, RedisModuleString *key);

/* Whether the tag is settled; where it is not, what was written under it may have been moved away since: then `slots_renew`
 * takes a tag that is new. Always settled without a cluster. */
int slots_settled(void);
void slots_renew(RedisModuleCtx *ctx, RedisModuleString *key);

/* A tag under which something was written, and when that began, in milliseconds: a tag that was left and has come again is
 * used anew. */
typedef struct {
    char tag[TAG_LENGTH];
    uint64_t since;
} UsedTag;

/* Note that something was written under the present tag; and the last USED_TAGS of those, oldest first. They are the server's
 * data: saved, and sent to replicas (`GEARTRAIN.HOOK USED`), as whoever reads outboxes learns of them from here. */
void slots_note_use(RedisModuleCtx *ctx);
void slots_note_used(const char *tag, size_t length, uint64_t since);
void slots_forget_used(void);
unsigned slots_used(const UsedTag *used[USED_TAGS]);

#endif
