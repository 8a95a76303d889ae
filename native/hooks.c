/* The table of hooks, and `GEARTRAIN.HOOK`.
 *
 * Hooks lie in chains by (database, id), for SET and DEL; and in one index of patterns for each database, for events.
 * Saved and replicated is what SET was given: the command verbatim, or its fields in the RDB.
 */
#include "hooks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture.h"
#include "match.h"
#include "sync.h"

enum { BUCKETS = 16384, ENCODING = 1, MOST_PARTITIONS = 1024 };

typedef struct Slot {
    struct Slot *next;
    Hook *hook;
} Slot;

typedef struct Database {
    int number;
    Index *index;
} Database;

static Slot *slots[BUCKETS];
static size_t hook_count;
static Database *databases;
static size_t database_count;

/* -- texts -------------------------------------------------------------------------------------------------------- */

static Text text_of(const char *bytes, size_t length) {
    Text text = {RM_Alloc(length + 1), length};
    memcpy(text.bytes, bytes, length);
    text.bytes[length] = 0;
    return text;
}

/* A list of words as ` a b `, in lower case; empty for none. */
static Text words_of(const char *bytes, size_t length) {
    if (length == 0) return text_of("", 0);
    Text text = text_of(" ", 1);
    text.bytes = RM_Realloc(text.bytes, length + 3);
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        text.bytes[1 + i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    text.bytes[length + 1] = ' ';
    text.bytes[length + 2] = 0;
    text.length = length + 2;
    return text;
}

static int same_text(const Text *text, const char *bytes, size_t length) {
    return text->length == length && memcmp(text->bytes, bytes, length) == 0;
}

int list_has(const Text *list, const char *word) {
    if (list->length == 0) return 1;
    size_t length = strlen(word);
    for (const char *at = list->bytes; (at = strstr(at, word)) != NULL; at++) {
        if (at > list->bytes && at[-1] == ' ' && at[length] == ' ') return 1;
    }
    return 0;
}

/* -- a hook's life ------------------------------------------------------------------------------------------------ */

static void free_outboxes(Hook *hook) {
    if (hook->outboxes == NULL) return;
    for (unsigned i = 0; i < hook->partitions; i++) {
        if (hook->outboxes[i] != NULL) RM_FreeString(NULL, hook->outboxes[i]);
    }
    RM_Free(hook->outboxes);
    hook->outboxes = NULL;
}

static void hook_free(Hook *hook) {
    Text *texts[] = {&hook->id,    &hook->version, &hook->pattern,   &hook->events,
                     &hook->types, &hook->user,    &hook->definition};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) RM_Free(texts[i]->bytes);
    free_outboxes(hook);
    RM_Free(hook->error);
    RM_Free(hook);
}

void hook_hold(Hook *hook) {
    hook->users++;
}

void hook_release(Hook *hook) {
    if (--hook->users == 0 && hook->dead) hook_free(hook);
}

void hook_error(Hook *hook, const char *message) {
    RM_Free(hook->error);
    hook->error = NULL;
    if (message == NULL) return;
    size_t length = strlen(message);
    hook->error = RM_Alloc(length + 1);
    memcpy(hook->error, message, length + 1);
}

/* -- the table ---------------------------------------------------------------------------------------------------- */

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
    uint64_t hash = 14695981039346656037ull ^ (uint64_t)db;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)id[i]) * 1099511628211ull;
    Slot **slot = &slots[(hash ^ (hash >> 32)) % BUCKETS];
    while (*slot != NULL && !((*slot)->hook->db == db && same_text(&(*slot)->hook->id, id, length))) {
        slot = &(*slot)->next;
    }
    return slot;
}

static void remove_slot(Slot **at) {
    Slot *slot = *at;
    Hook *hook = slot->hook;
    Database *database = database_of(hook->db, 0);
    *at = slot->next;
    RM_Free(slot);
    hook_count--;
    if (database != NULL) index_remove(database->index, hook->pattern.bytes, hook->pattern.length, hook);
    if (hook->mode == MODE_SYNC) sync_del(hook);
    hook->dead = 1;
    hook_hold(hook);
    hook_release(hook);
}

/* Have a hook, in the place of one with the same id, whose counters it goes on with. 0: no memory. */
static int put(Hook *hook) {
    Slot **at = slot_of(hook->db, hook->id.bytes, hook->id.length);
    if (*at != NULL) {
        hook->captured = (*at)->hook->captured;
        hook->dropped = (*at)->hook->dropped;
        remove_slot(at);
        at = slot_of(hook->db, hook->id.bytes, hook->id.length);
    }
    Database *database = database_of(hook->db, 1);
    if (database == NULL || !index_add(database->index, hook->pattern.bytes, hook->pattern.length, hook)) return 0;
    Slot *slot = RM_Alloc(sizeof *slot);
    *slot = (Slot){*at, hook};
    *at = slot;
    hook_count++;
    if (hook->mode != MODE_SYNC) return 1;
    if (sync_reason() != NULL) hook_error(hook, sync_reason());
    else sync_set(hook);
    return 1;
}

int hooks_in(int db) {
    const Database *database = hook_count > 0 ? database_of(db, 0) : NULL;
    return database != NULL && index_size(database->index) > 0;
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
                remove_slot(at);
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
    free_outboxes(hook);
}

void hooks_forget_outboxes(void) {
    hooks_each(forget_outboxes, NULL);
}

/* -- fields ------------------------------------------------------------------------------------------------------- */

static int number_of(const char *bytes, size_t length, unsigned long long most, unsigned long long *number) {
    *number = 0;
    if (length == 0 || length > 19) return 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < '0' || bytes[i] > '9') return 0;
        *number = *number * 10 + (unsigned long long)(bytes[i] - '0');
    }
    return *number <= most;
}

static void replace(Text *text, Text by) {
    RM_Free(text->bytes);
    *text = by;
}

/* One of two words, as a number: 0, 1, or -1 for neither. */
static int which(const char *value, size_t length, const char *zero, const char *one) {
    return same_word(value, length, zero) ? 0 : same_word(value, length, one) ? 1 : -1;
}

static int set_choice(int *field, int choice) {
    if (choice >= 0) *field = choice;
    return choice >= 0;
}

static int set_text(Hook *hook, const char *name, size_t name_length, const char *value, size_t length) {
    if (same_word(name, name_length, "pattern")) replace(&hook->pattern, text_of(value, length));
    else if (same_word(name, name_length, "events")) replace(&hook->events, words_of(value, length));
    else if (same_word(name, name_length, "types")) replace(&hook->types, words_of(value, length));
    else if (same_word(name, name_length, "user")) replace(&hook->user, text_of(value, length));
    else if (same_word(name, name_length, "definition")) replace(&hook->definition, text_of(value, length));
    else return 0;
    return 1;
}

/* What a field of that name takes where its value was refused; NULL: the value was taken. `*known`: there is such one. */
static const char *set_field(Hook *hook, const char *name, size_t name_length, const char *value, size_t length,
                             int *known) {
    unsigned long long number;
    *known = 1;
    if (set_text(hook, name, name_length, value, length)) return NULL;
    if (same_word(name, name_length, "reader")) {
        return set_choice(&hook->reader, which(value, length, "keys", "stream")) ? NULL : "keys or stream";
    }
    if (same_word(name, name_length, "mode")) {
        return set_choice(&hook->mode, which(value, length, "async", "sync")) ? NULL : "async or sync";
    }
    if (same_word(name, name_length, "snapshot")) {
        return set_choice(&hook->snapshot, which(value, length, "0", "1")) ? NULL : "0 or 1";
    }
    if (same_word(name, name_length, "value")) {
        return set_choice(&hook->value, which(value, length, "0", "1")) ? NULL : "0 or 1";
    }
    if (same_word(name, name_length, "partitions")) {
        if (!number_of(value, length, MOST_PARTITIONS, &number) || number == 0) return "a number from 1 to 1024";
        hook->partitions = (unsigned)number;
        return NULL;
    }
    if (same_word(name, name_length, "limit")) {
        if (!number_of(value, length, UINT64_MAX / 10, &number)) return "a number of entries, 0 for no limit";
        hook->limit = number;
        return NULL;
    }
    *known = 0;
    return "reader, mode, pattern, events, types, partitions, snapshot, limit, value, user or definition";
}

static Hook *new_hook(int db, const char *id, size_t id_length, const char *version, size_t version_length) {
    Hook *hook = RM_Calloc(1, sizeof *hook);
    hook->id = text_of(id, id_length);
    hook->version = text_of(version, version_length);
    hook->pattern = text_of("*", 1);
    hook->events = text_of("", 0);
    hook->types = text_of("", 0);
    hook->user = text_of("", 0);
    hook->definition = text_of("", 0);
    hook->db = db;
    hook->value = 1;
    hook->partitions = 1;
    return hook;
}

/* -- the command -------------------------------------------------------------------------------------------------- */

static int refuse(RedisModuleCtx *ctx, Hook *hook, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(RedisModuleCtx *ctx, Hook *hook, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    if (hook != NULL) hook_free(hook);
    return RM_ReplyWithError(ctx, message);
}

static int from_elsewhere(RedisModuleCtx *ctx) {
    return (RM_GetContextFlags(ctx) & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) != 0;
}

/* Whether a client may change hooks here; the error was sent where not. */
static int may_change(RedisModuleCtx *ctx) {
    if (from_elsewhere(ctx)) return 1;
    if ((RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) == 0) return 1;
    RM_ReplyWithError(ctx, "READONLY hooks are set on the primary, from where replicas get them");
    return 0;
}

static void default_user(RedisModuleCtx *ctx, Hook *hook) {
    if (hook->user.length > 0) return;
    RedisModuleString *name = RM_GetCurrentUserName(ctx);
    if (name == NULL) {
        replace(&hook->user, text_of("default", 7));
        return;
    }
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    replace(&hook->user, text_of(bytes, length));
    RM_FreeString(ctx, name);
}

static int set_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 4 || argc % 2 != 0) return RM_WrongArity(ctx);
    if (!may_change(ctx)) return REDISMODULE_OK;
    size_t id_length, version_length;
    const char *id = RM_StringPtrLen(argv[2], &id_length), *version = RM_StringPtrLen(argv[3], &version_length);
    unsigned long long number;
    if (id_length == 0) return refuse(ctx, NULL, "ERR a hook's id must not be empty");
    if (!number_of(version, version_length, INT64_MAX, &number)) {
        return refuse(ctx, NULL, "ERR hook %.100s: its version is '%.40s'; it must be a number", id, version);
    }
    Hook *hook = new_hook(RM_GetSelectedDb(ctx), id, id_length, version, version_length);
    for (int i = 4; i + 1 < argc; i += 2) {
        size_t name_length, length;
        const char *name = RM_StringPtrLen(argv[i], &name_length), *value = RM_StringPtrLen(argv[i + 1], &length);
        int known;
        const char *allowed = set_field(hook, name, name_length, value, length, &known);
        if (allowed != NULL && known) {
            return refuse(ctx, hook, "ERR hook %.100s: %.40s is '%.100s'; it must be %s", id, name, value, allowed);
        }
        if (allowed != NULL) return refuse(ctx, hook, "ERR hook %.100s: no field '%.40s'; use %s", id, name, allowed);
    }
    if (hook->mode == MODE_SYNC && sync_reason() != NULL && !from_elsewhere(ctx)) {
        return refuse(ctx, hook, "ERR no mode=sync here: %s", sync_reason());
    }
    default_user(ctx, hook);
    if (!put(hook)) return refuse(ctx, hook, "ERR no memory for another hook");
    RM_ReplicateVerbatim(ctx);
    return RM_ReplyWithSimpleString(ctx, "OK");
}

static int del_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 3) return RM_WrongArity(ctx);
    if (!may_change(ctx)) return REDISMODULE_OK;
    size_t length;
    const char *id = RM_StringPtrLen(argv[2], &length);
    Slot **at = slot_of(RM_GetSelectedDb(ctx), id, length);
    if (*at == NULL) return RM_ReplyWithLongLong(ctx, 0);
    remove_slot(at);
    RM_ReplicateVerbatim(ctx);
    return RM_ReplyWithLongLong(ctx, 1);
}

typedef struct {
    RedisModuleCtx *ctx;
    int db;
    long count;
} Listing;

static void count_hook(Hook *hook, void *data) {
    Listing *listing = data;
    if (hook->db == listing->db) listing->count++;
}

static void reply_hook(Hook *hook, void *data) {
    Listing *listing = data;
    if (hook->db != listing->db) return;
    RM_ReplyWithArray(listing->ctx, 5);
    RM_ReplyWithStringBuffer(listing->ctx, hook->id.bytes, hook->id.length);
    RM_ReplyWithStringBuffer(listing->ctx, hook->version.bytes, hook->version.length);
    RM_ReplyWithCString(listing->ctx, hook->error != NULL ? hook->error : "");
    RM_ReplyWithLongLong(listing->ctx, (long long)hook->captured);
    RM_ReplyWithLongLong(listing->ctx, (long long)hook->dropped);
}

static int list_command(RedisModuleCtx *ctx, int argc) {
    if (argc != 2) return RM_WrongArity(ctx);
    Listing listing = {ctx, RM_GetSelectedDb(ctx), 0};
    hooks_each(count_hook, &listing);
    RM_ReplyWithArray(ctx, 6);
    RM_ReplyWithCString(ctx, "tag");
    RM_ReplyWithCString(ctx, capture_tag(ctx));
    RM_ReplyWithCString(ctx, "sync");
    RM_ReplyWithCString(ctx, sync_reason() != NULL ? sync_reason() : "ok");
    RM_ReplyWithCString(ctx, "hooks");
    RM_ReplyWithArray(ctx, listing.count);
    hooks_each(reply_hook, &listing);
    return REDISMODULE_OK;
}

static int hook_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 2) return RM_WrongArity(ctx);
    size_t length;
    const char *verb = RM_StringPtrLen(argv[1], &length);
    if (same_word(verb, length, "set")) return set_command(ctx, argv, argc);
    if (same_word(verb, length, "del")) return del_command(ctx, argv, argc);
    if (same_word(verb, length, "list")) return list_command(ctx, argc);
    return refuse(ctx, NULL, "ERR GEARTRAIN.HOOK has SET, DEL and LIST, not '%.40s'", verb);
}

/* -- the RDB ------------------------------------------------------------------------------------------------------ */

static void save_text(RedisModuleIO *rdb, const Text *text) {
    RM_SaveStringBuffer(rdb, text->bytes, text->length);
}

static void save_hook(Hook *hook, void *data) {
    RedisModuleIO *rdb = data;
    save_text(rdb, &hook->id);
    save_text(rdb, &hook->version);
    save_text(rdb, &hook->pattern);
    save_text(rdb, &hook->events);
    save_text(rdb, &hook->types);
    save_text(rdb, &hook->user);
    save_text(rdb, &hook->definition);
    RM_SaveUnsigned(rdb, (uint64_t)hook->db);
    RM_SaveUnsigned(rdb, (uint64_t)hook->reader);
    RM_SaveUnsigned(rdb, (uint64_t)hook->mode);
    RM_SaveUnsigned(rdb, (uint64_t)hook->snapshot);
    RM_SaveUnsigned(rdb, (uint64_t)hook->value);
    RM_SaveUnsigned(rdb, hook->partitions);
    RM_SaveUnsigned(rdb, hook->limit);
}

static void aux_save(RedisModuleIO *rdb, int when) {
    (void)when;
    if (hook_count == 0) return;
    RM_SaveUnsigned(rdb, hook_count);
    hooks_each(save_hook, rdb);
}

static Text load_text(RedisModuleIO *rdb) {
    size_t length = 0;
    char *bytes = RM_LoadStringBuffer(rdb, &length);
    Text text = bytes != NULL ? text_of(bytes, length) : text_of("", 0);
    api_free_loaded(bytes);
    return text;
}

static Hook *load_hook(RedisModuleIO *rdb) {
    Hook *hook = RM_Calloc(1, sizeof *hook);
    hook->id = load_text(rdb);
    hook->version = load_text(rdb);
    hook->pattern = load_text(rdb);
    hook->events = load_text(rdb);
    hook->types = load_text(rdb);
    hook->user = load_text(rdb);
    hook->definition = load_text(rdb);
    hook->db = (int)RM_LoadUnsigned(rdb);
    hook->reader = RM_LoadUnsigned(rdb) != 0;
    hook->mode = RM_LoadUnsigned(rdb) != 0;
    hook->snapshot = RM_LoadUnsigned(rdb) != 0;
    hook->value = RM_LoadUnsigned(rdb) != 0;
    hook->partitions = (unsigned)RM_LoadUnsigned(rdb);
    hook->limit = RM_LoadUnsigned(rdb);
    return hook;
}

static int aux_load(RedisModuleIO *rdb, int encoding, int when) {
    (void)when;
    if (encoding != ENCODING) return REDISMODULE_ERR;
    hooks_flush(-1);
    uint64_t count = RM_LoadUnsigned(rdb);
    for (uint64_t i = 0; i < count && !RM_IsIOError(rdb); i++) {
        Hook *hook = load_hook(rdb);
        if (RM_IsIOError(rdb) || hook->partitions == 0 || hook->partitions > MOST_PARTITIONS || !put(hook)) {
            hook_free(hook);
            return REDISMODULE_ERR;
        }
    }
    return RM_IsIOError(rdb) ? REDISMODULE_ERR : REDISMODULE_OK;
}

int hooks_load(RedisModuleCtx *ctx) {
    if (api_command(ctx, "geartrain.hook", hook_command) != REDISMODULE_OK) return REDISMODULE_ERR;
    RedisModuleTypeMethods methods = {
        .version = 5,
        .aux_load = aux_load,
        .aux_save2 = aux_save,
        .aux_save_triggers = REDISMODULE_AUX_BEFORE_RDB,
    };
    RedisModuleType *type = RM_CreateDataType(ctx, "geartrain", ENCODING, &methods);
    return type != NULL ? REDISMODULE_OK : REDISMODULE_ERR;
}
