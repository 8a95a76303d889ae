/* Which slots this shard owns, as far as one is needed for its outboxes. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384, LOOK_AGAIN_US = 1000000 };

static char tag[16];
static unsigned tag_slot;
static uint64_t looked_at;

/* The checksum by which a cluster tells slots: CRC-16/XMODEM. */
static unsigned slot_of(const char *text) {
    unsigned crc = 0;
    for (; *text != 0; text++) {
        crc ^= (unsigned)(unsigned char)*text << 8;
        for (int bit = 0; bit < 8; bit++) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return crc % SLOTS;
}

static void choose(unsigned slot) {
    for (unsigned number = 0;; number++) {
        snprintf(tag, sizeof tag, "%u", number);
        if (slot_of(tag) == slot) break;
    }
    tag_slot = slot;
}

/* Whether an entry of CLUSTER SLOTS, `[first, last, [ip, port, id, ...], ...]`, is of this node. */
static int is_mine(RedisModuleCallReply *range, const char *me) {
    RedisModuleCallReply *owner = RM_CallReplyArrayElement(range, 2);
    RedisModuleCallReply *id = owner != NULL ? RM_CallReplyArrayElement(owner, 2) : NULL;
    size_t length = 0;
    const char *bytes = id != NULL ? RM_CallReplyStringPtr(id, &length) : NULL;
    return bytes != NULL && me != NULL && length == 40 && memcmp(bytes, me, 40) == 0;
}

/* The slot to use in a cluster: the present one while it is ours, else the first that is; -1: we own none. */
static long owned_slot(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RM_Call(ctx, "CLUSTER", "c", "SLOTS");
    const char *me = RM_GetMyClusterID();
    long first_owned = -1;
    size_t count = reply != NULL && RM_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY ? RM_CallReplyLength(reply) : 0;
    for (size_t i = 0; i < count; i++) {
        RedisModuleCallReply *range = RM_CallReplyArrayElement(reply, i);
        if (range == NULL || !is_mine(range, me)) continue;
        long first = (long)RM_CallReplyInteger(RM_CallReplyArrayElement(range, 0));
        long last = (long)RM_CallReplyInteger(RM_CallReplyArrayElement(range, 1));
        if (tag[0] != 0 && first <= (long)tag_slot && (long)tag_slot <= last) {
            first_owned = (long)tag_slot;
            break;
        }
        if (first_owned < 0) first_owned = first;
    }
    if (reply != NULL) RM_FreeCallReply(reply);
    return first_owned;
}

static void look(RedisModuleCtx *ctx) {
    looked_at = RM_MonotonicMicroseconds();
    int cluster = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0;
    long slot = cluster ? owned_slot(ctx) : 0;
    if (slot < 0) slot = tag[0] != 0 ? (long)tag_slot : 0;
    if (tag[0] == 0 || tag_slot != (unsigned)slot) choose((unsigned)slot);
}

const char *slots_tag(RedisModuleCtx *ctx) {
    if (tag[0] == 0) look(ctx);
    return tag;
}

int slots_changed(RedisModuleCtx *ctx) {
    if (tag[0] == 0 || RM_MonotonicMicroseconds() - looked_at < LOOK_AGAIN_US) return 0;
    unsigned before = tag_slot;
    look(ctx);
    return before != tag_slot;
}
