/* The table of triggers, and what calls them; the header has the theory. */
#include "triggers.h"

#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "capture.h"
#include "commandtable.h"
#include "foreign.h"
#include "hash.h"
#include "reply.h"
#include "resp.h"
#include "sync.h"

enum { BUCKETS = 1024, MOST_DEPTH = 8, NAME_SHOWN = 100 };

static const char FLAGS[] = "write", CATEGORIES[] = "write slow";

static Hook *buckets[BUCKETS]; /* chains by `next_trigger`; of one name, those that were registered last first */
static size_t trigger_count;
static int depth;

/* -- the table ---------------------------------------------------------------------------------------------------- */

static Hook **bucket_of(const char *name, size_t length) {
    return &buckets[hash_place(hash_bytes(HASH_BEGIN, name, length), BUCKETS)];
}

void triggers_add(Hook *hook) {
    if (hook->reader != READER_COMMAND || hook->trigger.length == 0) return;
    Hook **at = bucket_of(hook->trigger.bytes, hook->trigger.length);
    while (*at != NULL && hooktable_compare(*at, hook) < 0) at = &(*at)->next_trigger;
    hook->next_trigger = *at;
    *at = hook;
    trigger_count++;
}

void triggers_remove(Hook *hook) {
    if (hook->reader != READER_COMMAND || hook->trigger.length == 0) return;
    Hook **at = bucket_of(hook->trigger.bytes, hook->trigger.length);
    while (*at != NULL && *at != hook) at = &(*at)->next_trigger;
    if (*at == NULL) return;
    *at = hook->next_trigger;
    trigger_count--;
}

static Hook *find(int db, const char *name, size_t length) {
    Hook *hook = *bucket_of(name, length);
    while (hook != NULL && !(hook->db == db && same_text(&hook->trigger, name, length))) hook = hook->next_trigger;
    return hook;
}

/* -- in a worker -------------------------------------------------------------------------------------------------- */

int triggers_call_worker(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **argv, int argc) {
    static const char LANE[] = "trigger";
    size_t rest = hook->environment.length > 0 ? hook->environment.length + 1 : 0;
    char *lane = RM_Alloc(sizeof LANE + rest);
    memcpy(lane, LANE, sizeof LANE);
    if (rest > 0) {
        lane[sizeof LANE - 1] = ':';
        memcpy(lane + sizeof LANE, hook->environment.bytes, hook->environment.length);
    }
    CallWish wish = {
        .lane = lane,
        .lane_length = sizeof LANE - 1 + rest,
        .argv = argv,
        .argc = argc,
        .registration = &hook->id,
        .in_order = hook->in_order,
    };
    hook->captured++;
    int outcome = calls_make(ctx, &wish);
    RM_Free(lane);
    return outcome;
}

/* -- here --------------------------------------------------------------------------------------------------------- */

/* Reply with a list of results. Encoding one may run code of the user's, so the list is not believed to stay as it is. */
static void reply_results(RedisModuleCtx *ctx, Function *function, PyObject *results) {
    ptrdiff_t count = py.PyList_Size(results);
    RM_ReplyWithArray(ctx, count);
    for (ptrdiff_t i = 0; i < count; i++) {
        PyObject *item = i < py.PyList_Size(results) ? py.PyList_GetItem(results, i) : py.none;
        python_held(item);
        reply_value(ctx, function, item);
        python_release(item);
    }
}

static int call_here(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **argv, int argc) {
    if (depth == MOST_DEPTH) return RM_ReplyWithError(ctx, "ERR triggers call each other more than 8 levels deep");
    const char *error = NULL;
    Function *function = hook->sync;
    if (function != NULL) function_hold(function);
    hook_hold(hook);
    depth++;
    PyObject *results = sync_command(ctx, hook, argv, argc, &error);
    depth--;
    if (results != NULL) reply_results(ctx, function, results);
    else RM_ReplyWithError(ctx, error);
    if (results != NULL) python_release(results);
    hook_release(hook);
    if (function != NULL) function_release(function);
    return REDISMODULE_OK;
}

/* -- the commands ------------------------------------------------------------------------------------------------- */

static int unknown(RedisModuleCtx *ctx, const char *name) {
    char message[2 * NAME_SHOWN + 200];
    snprintf(message, sizeof message,
             "ERR no trigger '%.*s' in database %d: nothing is registered under this name, or it is paused", NAME_SHOWN, name,
             RM_GetSelectedDb(ctx));
    resp_error(ctx, message, strlen(message));
    return REDISMODULE_OK;
}

static int trigger(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    size_t length;
    const char *name = RM_StringPtrLen(argv[1], &length);
    Hook *hook = find(RM_GetSelectedDb(ctx), name, length);
    if ((RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) != 0) {
        return RM_ReplyWithError(ctx, "READONLY triggers are called on the primary");
    }
    if (hook == NULL) return unknown(ctx, name);
    if (hook->mode != MODE_SYNC) return triggers_call_worker(ctx, hook, argv, argc);
    int before = foreign_bind(foreign_slot(ctx, argv, argc));
    call_here(ctx, hook, argv + 1, argc - 1);
    foreign_bind(before);
    return REDISMODULE_OK;
}

static int trigger_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    return argc < 2 ? RM_WrongArity(ctx) : trigger(ctx, argv, argc);
}

static int trigger_on_key_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    return argc < 3 ? RM_WrongArity(ctx) : trigger(ctx, argv, argc);
}

int triggers_load(RedisModuleCtx *ctx) {
    if (api_command_of(ctx, "rg.trigger", trigger_command, FLAGS, 0, CATEGORIES) != REDISMODULE_OK) return REDISMODULE_ERR;
    return api_command_of(ctx, "rg.triggeronkey", trigger_on_key_command, FLAGS, 2, CATEGORIES);
}

void triggers_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "triggers", trigger_count);
}
