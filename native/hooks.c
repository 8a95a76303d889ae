/* The table of hooks: chains by (database, id), for SET and DEL, and one index of patterns for each database, for events. */
#include "hooks.h"

#include <string.h>

#include "commandhooks.h"
#include "hash.h"
#include "links.h"
#include "match.h"
#include "subscription.h"
#include "sync.h"
#include "triggers.h"

enum { BUCKETS = 16384 };

typedef struct Slot {
    struct Slot *next;
    Hook *hook;
} Slot;

typedef struct Database {
    int number;
    Index *index;
} Database;

unsigned hooks_first_bytes[257];

static Slot *slots[BUCKETS];
static size_t hook_count;
static Database *databases;
static size_t database_count;

static Database *database_of(int number, int make) {
    for (size_t i = 0; i < database_count; i++) {
        if (databases[i].number == number) return &databases[i];
    }
    if (!make) return NULL;
    Index *index = index_new();
    if (index == NULL) return NULL;
    databases = RM_Realloc(databases, (database_count + 1) * sizeof *databases);
    databases[database_count] = (Database){number, index};
    return &databases[database_count++];
}

static Slot **slot_of(int db, const char *id, size_t length) {
    uint64_t hash = hash_bytes(HASH_BEGIN ^ (uint64_t)db, id, length);
    Slot **slot = &slots[hash_place(hash, BUCKETS)];
    while (*slot != NULL && !((*slot)->hook->db == db && same_text(&(*slot)->hook->id, id, length))) {
        slot = &(*slot)->next;
    }
    return slot;
}

static unsigned *first_byte_of(const Hook *hook) {
    int byte = index_first_byte(hook->pattern.bytes, hook->pattern.length);
    return &hooks_first_bytes[byte < 0 ? 256 : byte];
}

/* `for_good`: it is not replaced. */
static void remove_slot(Slot **at, int for_good) {
    Slot *slot = *at;
    Hook *hook = slot->hook;
    Database *database = database_of(hook->db, 0);
    *at = slot->next;
    RM_Free(slot);
    hook_count--;
    commandhooks_remove(hook);
    triggers_remove(hook);
    if (for_good) links_forget(hook);
    if (hook->reader != READER_COMMAND) {
        if (database != NULL) index_remove(database->index, hook->pattern.bytes, hook->pattern.length, hook);
        (*first_byte_of(hook))--;
        subscription_doubt();
    }
    if (hook->mode == MODE_SYNC) sync_del(hook);
    hook->dead = 1;
    hook_hold(hook);
    hook_release(hook);
}

/* Have a hook told of events. 0: no memory. */
static int take_events(Hook *hook) {
    Database *database = database_of(hook->db, 1);
    if (database == NULL || !index_add(database->index, hook->pattern.bytes, hook->pattern.length, hook)) return 0;
    (*first_byte_of(hook))++;
    subscription_want(hook);
    return 1;
}

int hooks_put(Hook *hook) {
    Slot **at = slot_of(hook->db, hook->id.bytes, hook->id.length);
    if (*at != NULL) {
        hook->captured = (*at)->hook->captured;
        hook->dropped = (*at)->hook->dropped;
        remove_slot(at, 0);
        at = slot_of(hook->db, hook->id.bytes, hook->id.length);
    }
    if (hook->reader != READER_COMMAND && !take_events(hook)) return 0;
    commandhooks_add(hook);
    triggers_add(hook);
    Slot *slot = RM_Alloc(sizeof *slot);
    *slot = (Slot){*at, hook};
    *at = slot;
    hook_count++;
    if (hook->mode != MODE_SYNC) return 1;
    if (sync_reason() != NULL) hook_error(hook, sync_reason());
    else sync_set(hook);
    return 1;
}

Hook *hooks_find(int db, const char *id, size_t length) {
    Slot *slot = *slot_of(db, id, length);
    return slot != NULL ? slot->hook : NULL;
}

int hooks_remove(int db, const char *id, size_t length) {
    Slot **at = slot_of(db, id, length);
    if (*at == NULL) return 0;
    remove_slot(at, 1);
    return 1;
}

typedef struct {
    void (*found)(Hook *hook, void *data);
    void *data;
} Found;

static void pass_on(void *item, void *data) {
    const Found *found = data;
    found->found(item, found->data);
}

void hooks_matching(int db, const char *key, size_t length, void (*found)(Hook *hook, void *data), void *data) {
    const Database *database = database_of(db, 0);
    Found pass = {found, data};
    if (database != NULL) index_find(database->index, key, length, pass_on, &pass);
}

void hooks_each(void (*visit)(Hook *hook, void *data), void *data) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Slot *slot = slots[i], *next; slot != NULL; slot = next) {
            next = slot->next;
            visit(slot->hook, data);
        }
    }
}

size_t hooks_count(void) {
    return hook_count;
}

void hooks_flush(int db) {
    for (size_t i = 0; i < BUCKETS && hook_count > 0; i++) {
        Slot **at = &slots[i];
        while (*at != NULL) {
            if (db < 0 || (*at)->hook->db == db) {
                remove_slot(at, 1);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

/* Take all hooks of both databases out, and put them back under the other's number. */
void hooks_swap(int first, int second) {
    Slot *moved = NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        Slot **at = &slots[i];
        while (*at != NULL) {
            Slot *slot = *at;
            if (slot->hook->db != first && slot->hook->db != second) {
                at = &slot->next;
                continue;
            }
            *at = slot->next;
            slot->next = moved;
            moved = slot;
        }
    }
    for (size_t i = 0; i < database_count; i++) {
        int number = databases[i].number;
        if (number == first || number == second) databases[i].number = number == first ? second : first;
    }
    while (moved != NULL) {
        Slot *slot = moved;
        moved = slot->next;
        Hook *hook = slot->hook;
        hook->db = hook->db == first ? second : first;
        Slot **at = slot_of(hook->db, hook->id.bytes, hook->id.length);
        slot->next = *at;
        *at = slot;
    }
}

static void forget_outboxes(Hook *hook, void *unused) {
    (void)unused;
    hook_forget_outboxes(hook);
}

void hooks_forget_outboxes(void) {
    hooks_each(forget_outboxes, NULL);
}
