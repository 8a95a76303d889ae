/* The index of globs; its header has the theory. */
#include "match.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"
#include "hash.h"

enum { LONGEST = 255, FIRST_BUCKETS = 64 };

typedef enum { BEGINNING, ENDING, NEITHER } Kind;

typedef struct Entry {
    struct Entry *next;
    void *item;
    uint64_t hash;
    size_t literal; /* bytes of the beginning or ending that are hashed */
    size_t length;
    Kind kind;
    int whole; /* the pattern is `literal*` or `*literal`: what was found matches, nothing is left to compare */
    char pattern[];
} Entry;

struct Index {
    Entry **buckets;
    /* A bit for each hash that an entry has, eight times as many bits as buckets: most looks end here, in a few kilobytes
     * that stay in the processor's cache. Removing leaves bits behind, which cost a look, until it grows. */
    unsigned char *filter;
    size_t bucket_count; /* a power of two */
    size_t size;
    Entry *neither;
    uint32_t beginnings[LONGEST + 1], endings[LONGEST + 1]; /* how many entries have a literal of that length */
    size_t longest_ending;
    uint32_t first_bytes[256]; /* how many beginnings begin with that byte */
    /* The longest of those that there have been since there were none: a key's bytes behind that are not hashed. */
    uint8_t longest_of[256];
};

/* Where hashes of endings begin: a beginning and an ending of the same bytes are not the same. */
static const uint64_t ENDING_BEGIN = 1099511628211ull * 31 + 7;

static inline size_t bucket_of(const Index *index, uint64_t hash) {
    return (hash ^ (hash >> 29)) & (index->bucket_count - 1);
}

static inline size_t filter_bit(const Index *index, uint64_t hash) {
    return (hash >> 20) & (index->bucket_count * 8 - 1);
}

static inline int may_have(const Index *index, uint64_t hash) {
    size_t bit = filter_bit(index, hash);
    return (index->filter[bit >> 3] >> (bit & 7)) & 1;
}

static void note_hash(Index *index, uint64_t hash) {
    size_t bit = filter_bit(index, hash);
    index->filter[bit >> 3] |= (unsigned char)(1u << (bit & 7));
}

Index *index_new(void) {
    Index *index = calloc(1, sizeof *index);
    if (index == NULL) return NULL;
    index->bucket_count = FIRST_BUCKETS;
    index->buckets = calloc(FIRST_BUCKETS, sizeof *index->buckets);
    index->filter = calloc(FIRST_BUCKETS, 1);
    if (index->buckets == NULL || index->filter == NULL) {
        index_free(index);
        return NULL;
    }
    return index;
}

static void free_chain(Entry *entry) {
    while (entry != NULL) {
        Entry *next = entry->next;
        free(entry);
        entry = next;
    }
}

void index_free(Index *index) {
    if (index == NULL) return;
    for (size_t i = 0; index->buckets != NULL && i < index->bucket_count; i++) free_chain(index->buckets[i]);
    free_chain(index->neither);
    free(index->buckets);
    free(index->filter);
    free(index);
}

size_t index_size(const Index *index) {
    return index->size;
}

static int is_special(char c) {
    return c == '*' || c == '?' || c == '[';
}

/* The literal beginning of a pattern, without its escapes, into `literal` (of LONGEST bytes): its length. `*rest` is
 * where the pattern goes on. */
static size_t beginning_of(const char *pattern, size_t length, char *literal, size_t *rest) {
    size_t count = 0, i = 0;
    while (i < length && count < LONGEST && !is_special(pattern[i])) {
        if (pattern[i] == '\\' && i + 1 < length) i++;
        literal[count++] = pattern[i++];
    }
    *rest = i;
    return count;
}

/* The literal ending: the bytes behind the last `*`, where nothing special or escaped is among them. 0: there is none, or
 * the pattern has a set: where that is not closed, it takes all that follows. */
static size_t ending_of(const char *pattern, size_t length) {
    size_t count = 0;
    if (memchr(pattern, '[', length) != NULL) return 0;
    while (count < length && count < LONGEST) {
        char c = pattern[length - 1 - count];
        if (c == '*') return count;
        if (is_special(c) || c == ']' || c == '\\') return 0;
        count++;
    }
    return 0;
}

int index_first_byte(const char *pattern, size_t length) {
    char literal[LONGEST];
    size_t rest;
    return beginning_of(pattern, length, literal, &rest) > 0 ? (unsigned char)literal[0] : -1;
}

static uint64_t hash_backwards(const char *end, size_t length) {
    uint64_t hash = ENDING_BEGIN;
    for (size_t i = 1; i <= length; i++) hash = hash_byte(hash, (unsigned char)end[-(ptrdiff_t)i]);
    return hash;
}

static void classify(Entry *entry) {
    char literal[LONGEST];
    size_t rest;
    entry->literal = beginning_of(entry->pattern, entry->length, literal, &rest);
    if (entry->literal > 0) {
        entry->kind = BEGINNING;
        entry->hash = hash_bytes(HASH_BEGIN, literal, entry->literal);
        entry->whole = rest + 1 == entry->length && entry->pattern[rest] == '*' && rest == entry->literal;
        return;
    }
    entry->literal = ending_of(entry->pattern, entry->length);
    entry->kind = entry->literal > 0 ? ENDING : NEITHER;
    if (entry->kind == ENDING) entry->hash = hash_backwards(entry->pattern + entry->length, entry->literal);
    entry->whole = entry->kind == ENDING && entry->literal + 1 == entry->length;
}

static void grow(Index *index) {
    size_t count = index->bucket_count * 2, before = index->bucket_count;
    Entry **buckets = calloc(count, sizeof *buckets), **old = index->buckets;
    unsigned char *filter = calloc(count, 1);
    if (buckets == NULL || filter == NULL) {
        /* It works on with longer chains. */
        free(buckets);
        free(filter);
        return;
    }
    free(index->filter);
    index->filter = filter;
    index->buckets = buckets;
    index->bucket_count = count;
    for (size_t i = 0; i < before; i++) {
        for (Entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            Entry **bucket = &buckets[bucket_of(index, entry->hash)];
            entry->next = *bucket;
            *bucket = entry;
            note_hash(index, entry->hash);
        }
    }
    free(old);
}

static size_t longest(const uint32_t *lengths) {
    size_t length = LONGEST;
    while (length > 0 && lengths[length] == 0) length--;
    return length;
}

/* Count an entry's literal in (1) or out (-1). */
static void count_literal(Index *index, const Entry *entry, int by) {
    if (entry->kind == BEGINNING) {
        index->beginnings[entry->literal] += (uint32_t)by;
        size_t first = (unsigned char)entry->pattern[entry->pattern[0] == '\\' && entry->length > 1];
        index->first_bytes[first] += (uint32_t)by;
        if (index->first_bytes[first] == 0) index->longest_of[first] = 0;
        else if (entry->literal > index->longest_of[first]) index->longest_of[first] = (uint8_t)entry->literal;
    } else if (entry->kind == ENDING) {
        index->endings[entry->literal] += (uint32_t)by;
        index->longest_ending = longest(index->endings);
    }
}

int index_add(Index *index, const char *pattern, size_t length, void *item) {
    Entry *entry = malloc(sizeof *entry + length);
    if (entry == NULL) return 0;
    *entry = (Entry){.item = item, .length = length};
    memcpy(entry->pattern, pattern, length);
    classify(entry);
    if (index->size >= index->bucket_count) grow(index);
    Entry **chain = entry->kind == NEITHER ? &index->neither : &index->buckets[bucket_of(index, entry->hash)];
    entry->next = *chain;
    *chain = entry;
    index->size++;
    if (entry->kind != NEITHER) note_hash(index, entry->hash);
    count_literal(index, entry, 1);
    return 1;
}

static int remove_from(Index *index, Entry **chain, const char *pattern, size_t length, void *item) {
    for (; *chain != NULL; chain = &(*chain)->next) {
        Entry *entry = *chain;
        if (entry->item != item || entry->length != length || memcmp(entry->pattern, pattern, length) != 0) continue;
        *chain = entry->next;
        index->size--;
        count_literal(index, entry, -1);
        free(entry);
        return 1;
    }
    return 0;
}

void index_remove(Index *index, const char *pattern, size_t length, void *item) {
    if (remove_from(index, &index->neither, pattern, length, item)) return;
    for (size_t i = 0; i < index->bucket_count; i++) {
        if (remove_from(index, &index->buckets[i], pattern, length, item)) return;
    }
}

typedef struct {
    const char *key;
    size_t length;
    void (*found)(void *item, void *data);
    void *data;
} Search;

/* The literal is compared by the match itself: two literals may have the same hash. */
static int literal_matches(const Entry *entry, const Search *search) {
    if (!entry->whole) return glob_matches(entry->pattern, entry->length, search->key, search->length);
    if (entry->kind == BEGINNING) return memcmp(entry->pattern, search->key, entry->literal) == 0;
    return memcmp(entry->pattern + 1, search->key + search->length - entry->literal, entry->literal) == 0;
}

static void look(const Index *index, uint64_t hash, size_t literal, Kind kind, const Search *search) {
    if (!may_have(index, hash)) return;
    for (const Entry *entry = index->buckets[bucket_of(index, hash)]; entry != NULL; entry = entry->next) {
        if (entry->hash == hash && entry->literal == literal && entry->kind == kind && literal_matches(entry, search)) {
            search->found(entry->item, search->data);
        }
    }
}

void index_find(const Index *index, const char *key, size_t length, void (*found)(void *item, void *data), void *data) {
    Search search = {key, length, found, data};
    if (length > 0 && index->first_bytes[(unsigned char)key[0]] > 0) {
        size_t most = index->longest_of[(unsigned char)key[0]];
        if (most > length) most = length;
        uint64_t hash = HASH_BEGIN;
        for (size_t i = 1; i <= most; i++) {
            hash = hash_byte(hash, (unsigned char)key[i - 1]);
            if (index->beginnings[i] > 0) look(index, hash, i, BEGINNING, &search);
        }
    }
    size_t most = length < index->longest_ending ? length : index->longest_ending;
    uint64_t hash = ENDING_BEGIN;
    for (size_t i = 1; i <= most; i++) {
        hash = hash_byte(hash, (unsigned char)key[length - i]);
        if (index->endings[i] > 0) look(index, hash, i, ENDING, &search);
    }
    for (const Entry *entry = index->neither; entry != NULL; entry = entry->next) {
        if (glob_matches(entry->pattern, entry->length, key, length)) found(entry->item, data);
    }
}
