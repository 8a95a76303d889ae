/* Which slots this shard serves, as far as one is needed for its outboxes. */
#include "slots.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash.h"

enum { LOOK_AGAIN_US = 1000000, BEFORE_SLOTS = 8 };

static char tag[TAG_LENGTH];
static unsigned tag_slot;
static int settled = 1;
static uint64_t looked_at;
static RedisModuleString *probe; /* a key in the tag's slot that is never there */

static UsedTag used[USED_TAGS];
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

/* Take the first number from `from` on that hashes to the slot. */
static void choose(unsigned slot, uint64_t from) {
    for (uint64_t number = from;; number++) {
        int length = snprintf(tag, sizeof tag, "%" PRIu64, number);
        if (slot_of(tag, (size_t)length) == slot) break;
    }
    tag_slot = slot;
    use_is_noted = 0;
    char name[TAG_LENGTH + 32];
    int length = snprintf(name, sizeof name, "geartrain:{%s}:here", tag);
    if (probe != NULL) RM_FreeString(NULL, probe);
    probe = RM_CreateString(NULL, name, (size_t)length);
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
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

enum { OURS = 1, GOES = 2, COMES = 4 };

/* What our line says of each slot. */
static unsigned char slots[SLOTS];

static void read_slots(const char *at, const char *end) {
    const char *word;
    size_t length;
    memset(slots, 0, sizeof slots);
    while ((length = next_word(&at, end, &word)) > 0) {
        if (word[0] != '[') {
            char *rest;
            long first = strtol(word, &rest, 10);
            note_range(slots, OURS, first, rest < end && *rest == '-' ? strtol(rest + 1, NULL, 10) : first);
        } else {
            long slot = strtol(word + 1, NULL, 10);
            note_range(slots, memmem(word, length, "->-", 3) != NULL ? GOES : COMES, slot, slot);
        }
    }
}

/* Whether there is anything to read. */
static int look_at_slots(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RM_Call(ctx, "CLUSTER", "c", "NODES");
    size_t length = 0;
    const char *at = reply != NULL ? RM_CallReplyStringPtr(reply, &length) : NULL;
    const char *line_end = NULL;
    int found = at != NULL && own_slots(&at, &line_end, at + length);
    if (found) read_slots(at, line_end);
    if (reply != NULL) RM_FreeCallReply(reply);
    return found;
}

/* Of the slots that are `marked` so: the one with the highest rank; -1: there is none. */
static long best_slot(unsigned char marked, uint32_t shard) {
    long best = -1;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (slots[slot] == marked && (best < 0 || rank(slot, shard) > rank((unsigned)best, shard))) best = (long)slot;
    }
    return best;
}

/* -- the tag -------------------------------------------------------------------------------------------------------- */

int slots_in_cluster(RedisModuleCtx *ctx) {
    static int known = -1;
    if (known < 0) known = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0;
    return known;
}

static void settle(unsigned slot) {
    if (tag[0] == 0 || !settled || tag_slot != slot) choose(slot, 0);
    settled = 1;
}

/* The slot of a key that was written a moment ago; without one a slot that is leaving, or else arrives. Under a number of
 * this shard (5 digits) and of now (9 digits). */
static void take_unsettled(uint32_t shard, RedisModuleString *key) {
    static uint64_t last;
    size_t length = 0;
    const char *bytes = key != NULL ? RM_StringPtrLen(key, &length) : NULL;
    long slot = bytes != NULL ? (long)slots_of(bytes, length) : best_slot(OURS | GOES, shard);
    if (slot < 0) slot = best_slot(COMES, shard);
    if (slot < 0) {
        /* Nothing at all: no event comes from here. */
        settle(tag[0] != 0 ? tag_slot : 0);
        return;
    }
    uint64_t own = (10000 + shard % 90000) * UINT64_C(1000000000), number = own + now_ms() % 1000000000;
    choose((unsigned)slot, number > last ? number : last + 1);
    last = strtoull(tag, NULL, 10);
    settled = 0;
}

static void look(RedisModuleCtx *ctx) {
    looked_at = RM_MonotonicMicroseconds();
    if (!slots_in_cluster(ctx)) {
        settle(0);
        return;
    }
    if (!look_at_slots(ctx)) {
        if (tag[0] == 0) settle(0);
        return;
    }
    uint32_t shard = shard_number(ctx);
    long slot = best_slot(OURS, shard);
    if (slot >= 0) settle((unsigned)slot);
    else if (tag[0] == 0 || settled || slots[tag_slot] == 0) take_unsettled(shard, NULL);
}

const char *slots_tag(RedisModuleCtx *ctx) {
    if (tag[0] == 0) look(ctx);
    return tag;
}

/* Whether the tag is another one now. */
static int look_again(RedisModuleCtx *ctx) {
    char before[TAG_LENGTH];
    memcpy(before, tag, sizeof tag);
    look(ctx);
    return strcmp(before, tag) != 0;
}

int slots_changed(RedisModuleCtx *ctx) {
    if (tag[0] == 0 || !slots_in_cluster(ctx) || RM_MonotonicMicroseconds() - looked_at < LOOK_AGAIN_US) return 0;
    return look_again(ctx);
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
    if (!settled || takes_keys(ctx)) return 0;
    int changed = look_again(ctx);
    if (!settled || takes_keys(ctx)) return changed;
    /* What CLUSTER NODES says is late. */
    slots_renew(ctx, key);
    return 1;
}

int slots_settled(void) {
    return settled;
}

void slots_renew(RedisModuleCtx *ctx, RedisModuleString *key) {
    take_unsettled(shard_number(ctx), key);
}

/* -- tags that were used -------------------------------------------------------------------------------------------- */

void slots_note_used(const char *text, size_t length, uint64_t since) {
    if (length >= TAG_LENGTH) return;
    UsedTag *entry = &used[used_count++ % USED_TAGS];
    *entry = (UsedTag){.since = since};
    memcpy(entry->tag, text, length);
}

void slots_forget_used(void) {
    used_count = 0;
    use_is_noted = 0;
}

void slots_note_use(RedisModuleCtx *ctx) {
    if (use_is_noted) return;
    use_is_noted = 1;
    uint64_t since = now_ms();
    slots_note_used(tag, strlen(tag), since);
    if (slots_in_cluster(ctx)) RM_Replicate(ctx, "GEARTRAIN.HOOK", "ccl", "USED", tag, (long long)since);
}

unsigned slots_used(const UsedTag *into[USED_TAGS]) {
    unsigned count = used_count < USED_TAGS ? used_count : USED_TAGS;
    for (unsigned i = 0; i < count; i++) into[i] = &used[(used_count - count + i) % USED_TAGS];
    return count;
}
