/* See the header. */
#include "commandhooks.h"

#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "commandtable.h"
#include "glob.h"
#include "hooks.h"
#include "migration.h"
#include "unhooked.h"

enum { FEW = 32, BITS = 64 };

/* What is put before a command. */
typedef enum { WRITES, READS, WRITES_OPEN, READS_OPEN, SCRIPT_READS, FRONTS } Front;

static const struct {
    const char *name, *flags;
} FRONT[FRONTS] = {
    [WRITES] = {"geartrain.hooked", "write getkeys-api"},
    [READS] = {"geartrain.hookedread", "may-replicate getkeys-api"},
    [WRITES_OPEN] = {"geartrain.hooked.", "write no-auth getkeys-api"},
    [READS_OPEN] = {"geartrain.hookedread.", "may-replicate no-auth getkeys-api"},
    [SCRIPT_READS] = {"geartrain.hookedscript.", "readonly no-auth getkeys-api"},
};

static RedisModuleCtx *base;
static RedisModuleCommandFilter *registered;
static RedisModuleString *fronts[FRONTS];
static uint64_t lengths[26]; /* by first letter: the lengths, as bits, of names that are hooked */
static int unsettled;
static unsigned long long hooked_count;

/* -- which hooks a command concerns ------------------------------------------------------------------------------- */

static int matches(const Hook *hook, const char *key, size_t length) {
    if (hook->reader == READER_COMMAND) {
        return length >= hook->keyprefix.length && memcmp(key, hook->keyprefix.bytes, hook->keyprefix.length) == 0;
    }
    return glob_matches(hook->pattern.bytes, hook->pattern.length, key, length);
}

static int takes_any_key(const Hook *hook) {
    return hook->reader == READER_COMMAND ? hook->keyprefix.length == 0 : same_text(&hook->pattern, "*", 1);
}

/* A command and its keys. */
typedef struct {
    RedisModuleString **argv;
    int *places, count;
} Keys;

static Keys keys_of(RedisModuleString **argv, int argc) {
    Keys keys = {.argv = argv};
    keys.places = RM_GetCommandKeys(base, argv, argc, &keys.count);
    if (keys.places == NULL) keys.count = 0;
    return keys;
}

static void free_keys(Keys *keys) {
    api_free_given(keys->places);
}

static int concerns(const Hook *hook, const Keys *keys) {
    if (takes_any_key(hook)) return 1;
    for (int i = 0; i < keys->count; i++) {
        size_t length;
        const char *key = RM_StringPtrLen(keys->argv[keys->places[i]], &length);
        if (matches(hook, key, length)) return 1;
    }
    return 0;
}

static int is_after(const Hook *hook, const Hook *other) {
    return other == NULL || hooktable_compare(hook, other) > 0;
}

Hook *commandhooks_next(int db, RedisModuleString **argv, int argc, const Hook *after) {
    size_t length;
    const char *name = RM_StringPtrLen(argv[0], &length);
    const HookedCommand *command = hooktable_find(name, length);
    if (command == NULL || command->state != COMMAND_KNOWN) return NULL;
    Hook *found = NULL;
    Keys keys = {0};
    for (unsigned i = 0; i < command->hook_count && found == NULL; i++) {
        Hook *hook = command->hooks[i];
        if (hook->db != db || !is_after(hook, after)) continue;
        /* Looked for when a hook first asks. */
        if (keys.argv == NULL && !takes_any_key(hook)) keys = keys_of(argv, argc);
        if (concerns(hook, &keys)) found = hook;
    }
    free_keys(&keys);
    return found;
}

static int concerns_any(Hook *const *hooks, unsigned count, int db, const Keys *keys) {
    for (unsigned i = 0; i < count; i++) {
        if ((db < 0 || hooks[i]->db == db) && concerns(hooks[i], keys)) return 1;
    }
    return 0;
}

/* -- the filter --------------------------------------------------------------------------------------------------- */

/* Whether somebody who has the user `default` need not log in. */
static int default_is_open(RedisModuleUser *user) {
    RedisModuleString *rules = RM_GetModuleUserACLString(user);
    size_t length = 0;
    const char *text = rules != NULL ? RM_StringPtrLen(rules, &length) : "";
    int open = strncmp(text, "on ", 3) == 0 && strstr(text, " nopass ") != NULL;
    if (rules != NULL) RM_FreeString(NULL, rules);
    return open;
}

/* Whether the front without `no-auth` is for a client with that user: see the header. */
static int needs_login(RedisModuleString *name, Front strict) {
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    if (length != 7 || memcmp(bytes, "default", 7) != 0) return 0;
    RedisModuleUser *user = RM_GetModuleUserFromUserName(name);
    if (user == NULL) return 1;
    /* Most often it may do everything, and the ACL need not be looked at. */
    int may = RM_ACLCheckCommandPermissions(user, &fronts[strict], 1) == REDISMODULE_OK;
    int needed = may || !default_is_open(user);
    RM_FreeModuleUser(user);
    return needed;
}

static Front front_for(const HookedCommand *command, uint64_t client) {
    RedisModuleString *name = RM_GetClientUserNameById(base, client);
    /* What is no client that the server knows is a script. */
    if (name == NULL) return command->is_write ? WRITES_OPEN : SCRIPT_READS;
    Front strict = command->is_write ? WRITES : READS;
    int strictly = needs_login(name, strict);
    RM_FreeString(base, name);
    return strictly ? strict : command->is_write ? WRITES_OPEN : READS_OPEN;
}

/* A key of Geartrain's own, or one that a slot migration brings: the registry is not to be had, nor is a hook called twice. */
static int is_untouchable(RedisModuleString *key) {
    static const char OWN[] = "geartrain:";
    size_t length;
    const char *bytes = RM_StringPtrLen(key, &length);
    if (length >= sizeof OWN - 1 && memcmp(bytes, OWN, sizeof OWN - 1) == 0) return 1;
    return migration_brings_slot(key);
}

static int has_untouchable(const Keys *keys) {
    for (int i = 0; i < keys->count; i++) {
        if (is_untouchable(keys->argv[keys->places[i]])) return 1;
    }
    return 0;
}

static int concerns_hooks(const HookedCommand *command, int db, const Keys *keys) {
    return concerns_any(command->hooks, command->hook_count, db, keys) ||
           concerns_any(command->linked, command->linked_count, db, keys);
}

/* Whether the command that a client sends, or a script calls, is one for its hooks. The database is left to hooked.c, which
 * calls the original where there is no hook; but a command that blocks would not do so any more. To ask for a client's database
 * costs a system call, as its address comes along. */
static int is_hooked(const HookedCommand *command, uint64_t client, const Keys *keys) {
    if (!concerns_hooks(command, -1, keys)) return 0;
    RedisModuleClientInfo info = {.version = 1};
    if (!command->is_blocking || RM_GetClientInfoById(&info, client) != REDISMODULE_OK) return 1;
    return concerns_hooks(command, info.db, keys);
}

static void see(RedisModuleCommandFilterCtx *filter) {
    size_t length;
    const char *name = RM_StringPtrLen(RM_CommandFilterArgGet(filter, 0), &length);
    unsigned letter = ((unsigned char)name[0] | 32u) - 'a';
    if (letter >= 26 || !(lengths[letter] >> (length % BITS) & 1)) return;
    const HookedCommand *command = hooktable_find(name, length);
    if (command == NULL || command->state != COMMAND_KNOWN || !capture_active()) return;
    uint64_t client = RM_CommandFilterGetClientId(filter);
    if (unhooked_has(client)) return;
    int argc = RM_CommandFilterArgsCount(filter);
    RedisModuleString *few[FEW], **argv = argc <= FEW ? few : RM_Alloc((size_t)argc * sizeof *argv);
    for (int i = 0; i < argc; i++) argv[i] = RM_CommandFilterArgGet(filter, i);
    Keys keys = keys_of(argv, argc);
    if (!has_untouchable(&keys) && is_hooked(command, client, &keys)) {
        hooked_count++;
        RM_CommandFilterArgInsert(filter, 0, RM_HoldString(NULL, fronts[front_for(command, client)]));
    }
    free_keys(&keys);
    if (argv != few) RM_Free(argv);
}

int commandhooks_is_own(const RedisModuleString *name) {
    for (int i = 0; i < FRONTS; i++) {
        if (fronts[i] == name) return 1;
    }
    return 0;
}

/* -- the table ---------------------------------------------------------------------------------------------------- */

void commandhooks_add(Hook *hook) {
    unsettled |= hooktable_add(hook);
}

void commandhooks_remove(Hook *hook) {
    unsettled |= hooktable_remove(hook);
}

static void look_up(HookedCommand *command, void *data) {
    (void)data;
    if (command->state == COMMAND_UNKNOWN) hooktable_look_up(base, command);
    lengths[(unsigned char)command->name[0] - 'a'] |= UINT64_C(1) << (command->length % BITS);
}

void commandhooks_settle(void) {
    if (!unsettled) return;
    unsettled = 0;
    memset(lengths, 0, sizeof lengths);
    hooktable_each(look_up, NULL);
    if (hooktable_count() > 0 && registered == NULL) {
        registered = RM_RegisterCommandFilter(base, see, REDISMODULE_CMDFILTER_NOSELF);
    } else if (hooktable_count() == 0 && registered != NULL) {
        RM_UnregisterCommandFilter(base, registered);
        registered = NULL;
    }
}

const char *commandhooks_unsuitable(RedisModuleCtx *ctx, const Hook *hook) {
    return hooktable_unsuitable(ctx, hook);
}

const char *commandhooks_refusal(RedisModuleCtx *ctx, const Hook *hook) {
    const char *why = hooktable_unsuitable(ctx, hook);
    return why != NULL ? why : hooktable_disorder(hook);
}

int commandhooks_load(RedisModuleCtx *ctx, RedisModuleCmdFunc handler) {
    base = RM_GetDetachedThreadSafeContext(ctx);
    for (int i = 0; i < FRONTS; i++) {
        if (RM_CreateCommand(ctx, FRONT[i].name, handler, FRONT[i].flags, 0, 0, 0) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
        fronts[i] = RM_CreateString(NULL, FRONT[i].name, strlen(FRONT[i].name));
    }
    return unhooked_load(ctx);
}

void commandhooks_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "commands_hooked", hooktable_count());
    RM_InfoAddFieldLongLong(ctx, "command_filter", registered != NULL);
    RM_InfoAddFieldULongLong(ctx, "hooked_calls", hooked_count);
}
