/* Which slots this shard serves, as far as one is needed for its outboxes. */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

enum { LOOK_AGAIN_US = 1000000, TAG_LENGTH = 16, BEFORE_SLOTS = 8 };

static char tag[TAG_LENGTH];
static unsigned tag_slot;
static uint64_t looked_at;
static RedisModuleString *probe; /* a key in the tag's slot that is never there */

static char used[USED_TAGS][TAG_LENGTH];
static unsigned used_count;
static int use_is_noted;

/* The checksum by which a cluster tells slots: CRC-16/XMODEM. */
static unsigned slot_of(const char *text, size_t length) {
    unsigned crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned)(unsigned char)text[i] << 8;
        for (int bit = 0; bit < 8; bit++) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return crc % SLOTS;
}

unsigned slots_of(const char *key, size_t length) {
    const char *begin = memchr(key, '{', length);
    const char *end = begin != NULL ? memchr(begin, '}', length - (size_t)(begin - key)) : NULL;
    return end != NULL && end > begin + 1 ? slot_of(begin + 1, (size_t)(end - begin - 1)) : slot_of(key, length);
}

static void choose(unsigned slot) {
    for (unsigned number = 0;; number++) {
        int length = snprintf(tag, sizeof tag, "%u", number);
        if (slot_of(tag, (size_t)length) == slot) break;
    }
    tag_slot = slot;
    use_is_noted = 0;
    char name[TAG_LENGTH + 32];
    int length = snprintf(name, sizeof name, "geartrain:{%s}:here", tag);
    if (probe != NULL) RM_FreeString(NULL, probe);
    probe = RM_CreateString(NULL, name, (size_t)length);
}

/* -- our own line of CLUSTER NODES: id address flags primary ping pong epoch link slot... ---------------------------- */

/* The next word of a line, which ends at `end`; its length, 0 where there is none. */
static size_t next_word(const char **at, const char *end, const char **word) {
    while (*at < end && **at == ' ') (*at)++;
    *word = *at;
    while (*at < end && **at != ' ') (*at)++;
    return (size_t)(*at - *word);
}

/* Move to the slots of our own line: 1; 0: there is no such line. */
static int own_slots(const char **at, const char **line_end, const char *end) {
    for (const char *line = *at; line < end; line = *line_end + 1) {
        const char *word;
        *line_end = memchr(line, '\n', (size_t)(end - line));
        if (*line_end == NULL) *line_end = end;
        *at = line;
        int own = 0;
        for (int field = 0; field < BEFORE_SLOTS; field++) {
            size_t length = next_word(at, *line_end, &word);
            if (field == 2) own = memmem(word, length, "myself", 6) != NULL;
        }
        if (own) return 1;
    }
    return 0;
}

/* A number that is the same for a slot on all nodes of a shard, and has nothing to do with its place: slots are moved in
 * ranges. */
static uint32_t rank(unsigned slot, uint32_t shard) {
    uint32_t mixed = (slot + 1) * 2654435761u ^ shard;
    mixed = (mixed ^ (mixed >> 15)) * 2246822519u;
    mixed = (mixed ^ (mixed >> 13)) * 3266489917u;
    return mixed ^ (mixed >> 16);
}

/* A number for our shard: all of its nodes have the id. 0 where the server does not tell. */
static uint32_t shard_number(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RM_Call(ctx, "CLUSTER", "c", "MYSHARDID");
    size_t length = 0;
    const char *id = reply != NULL ? RM_CallReplyStringPtr(reply, &length) : NULL;
    uint32_t number = id != NULL ? (uint32_t)hash_bytes(HASH_BEGIN, id, length) : 0;
    if (reply != NULL) RM_FreeCallReply(reply);
    return number;
}

static void note_range(unsigned char *slots, unsigned char mark, long first, long last) {
    for (long slot = first; slot >= 0 && slot <= last && slot < SLOTS; slot++) slots[slot] |= mark;
}

/* The slot to use: the one of ours with the highest rank that stays, else the one that goes; -1: we serve none. */
static long best_slot(const char *at, const char *end, uint32_t shard) {
    enum { OURS = 1, GOES = 2 };
    static unsigned char slots[SLOTS];
    const char *word;
    size_t length;
    memset(slots, 0, sizeof slots);
    while ((length = next_word(&at, end, &word)) > 0) {
        if (word[0] != '[') {
            char *rest;
            long first = strtol(word, &rest, 10);
            note_range(slots, OURS, first, rest < end && *rest == '-' ? strtol(rest + 1, NULL, 10) : first);
        } else if (memmem(word, length, "->-", 3) != NULL) {
            long slot = strtol(word + 1, NULL, 10);
            note_range(slots, GOES, slot, slot);
        }
    }
    long best[2] = {-1, -1};
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if ((slots[slot] & OURS) == 0) continue;
        long *of = &best[(slots[slot] & GOES) != 0];
        if (*of < 0 || rank(slot, shard) > rank((unsigned)*of, shard)) *of = (long)slot;
    }
    return best[0] >= 0 ? best[0] : best[1];
}

static long served_slot(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RM_Call(ctx, "CLUSTER", "c", "NODES");
    size_t length = 0;
    const char *at = reply != NULL ? RM_CallReplyStringPtr(reply, &length) : NULL;
    const char *line_end = NULL;
    long slot = at != NULL && own_slots(&at, &line_end, at + length) ? best_slot(at, line_end, shard_number(ctx)) : -1;
    if (reply != NULL) RM_FreeCallReply(reply);
    return slot;
}

/* -- the tag -------------------------------------------------------------------------------------------------------- */

int slots_in_cluster(RedisModuleCtx *ctx) {
    static int known = -1;
    if (known < 0) known = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0;
    return known;
}

static void look(RedisModuleCtx *ctx) {
    looked_at = RM_MonotonicMicroseconds();
    long slot = slots_in_cluster(ctx) ? served_slot(ctx) : 0;
    if (slot < 0) slot = tag[0] != 0 ? (long)tag_slot : 0;
    if (tag[0] == 0 || tag_slot != (unsigned)slot) choose((unsigned)slot);
}

const char *slots_tag(RedisModuleCtx *ctx) {
    if (tag[0] == 0) look(ctx);
    return tag;
}

int slots_changed(RedisModuleCtx *ctx) {
    if (tag[0] == 0 || !slots_in_cluster(ctx) || RM_MonotonicMicroseconds() - looked_at < LOOK_AGAIN_US) return 0;
    unsigned before = tag_slot;
    look(ctx);
    return before != tag_slot;
}

void slots_forget(void) {
    looked_at = 0;
}

/* Whether a key may be made in the tag's slot now. PERSIST changes nothing where there is no key, and counts as no look-up;
 * the server refuses it (EPERM) for a slot of another shard's, and for one that is being moved away. */
static int takes_keys(RedisModuleCtx *ctx) {
    if (RM_ClusterCanAccessKeysInSlot != NULL) return RM_ClusterCanAccessKeysInSlot((int)tag_slot);
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(ctx, "PERSIST", "s", probe);
    int number = errno;
    if (reply != NULL) RM_FreeCallReply(reply);
    return reply != NULL || number != EPERM;
}

int slots_tag_moved(RedisModuleCtx *ctx, RedisModuleString *key) {
    if (!slots_in_cluster(ctx)) return 0;
    if (tag[0] == 0) look(ctx);
    if (takes_keys(ctx)) return 0;
    unsigned before = tag_slot;
    look(ctx);
    if (!takes_keys(ctx)) {
        /* All are on their way, or what CLUSTER NODES says is late: a moment ago the event's own key was served here. */
        size_t length = 0;
        const char *bytes = key != NULL ? RM_StringPtrLen(key, &length) : NULL;
        unsigned slot = bytes != NULL ? slots_of(bytes, length) : before;
        if (slot != tag_slot) choose(slot);
    }
    return before != tag_slot;
}

/* -- tags that were used -------------------------------------------------------------------------------------------- */

void slots_note_use(void) {
    if (use_is_noted) return;
    use_is_noted = 1;
    unsigned count = used_count < USED_TAGS ? used_count : USED_TAGS;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(used[i], tag) == 0) return;
    }
    memcpy(used[used_count++ % USED_TAGS], tag, sizeof tag);
}

int slots_used(const char *tags[USED_TAGS]) {
    unsigned count = used_count < USED_TAGS ? used_count : USED_TAGS;
    for (unsigned i = 0; i < count; i++) tags[i] = used[i];
    return (int)count;
}
