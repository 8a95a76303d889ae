/* Geartrain's server module: what is loaded, with which options.
 *
 *   loadmodule geartrain.so [workers N] [worker-url URL] [sync-timeout MS] [python PATH]
 *
 * What it does for key events is in capture.h, which it is told of in hooks.h; functions in the server are in sync.h. The
 * module runs on the server's main thread, and keeps nothing that the server does not keep for it: hooks are in the RDB and
 * in the append-only file, events in streams.
 */
#include <string.h>

#include "api.h"
#include "atomic.h"
#include "calls.h"
#include "capture.h"
#include "commandhooks.h"
#include "hooked.h"
#include "hooks.h"
#include "links.h"
#include "serving.h"
#include "sync.h"
#include "workers.h"

#define VISIBLE __attribute__((visibility("default")))

enum { VERSION = 100, DEFAULT_TIMEOUT_MS = 1000, MOST_TIMEOUT_MS = 3600000 };

typedef struct {
    const char *python, *worker_url;
    long long timeout_ms, workers;
} Options;

static int complain(RedisModuleCtx *ctx, const char *name, const char *allowed) {
    RM_Log(ctx, "warning", "geartrain: option %.60s must be %s", name, allowed);
    return REDISMODULE_ERR;
}

/* A whole number within bounds; 0 where it is none. */
static int number(RedisModuleString *value, long long least, long long most, long long *into) {
    return RM_StringToLongLong(value, into) == REDISMODULE_OK && least <= *into && *into <= most;
}

static int read_option(RedisModuleCtx *ctx, RedisModuleString *option, RedisModuleString *value, Options *options) {
    size_t length;
    const char *name = RM_StringPtrLen(option, &length);
    if (value == NULL) return complain(ctx, name, "followed by its value");
    if (same_word(name, length, "python")) {
        options->python = RM_StringPtrLen(value, NULL);
    } else if (same_word(name, length, "worker-url")) {
        options->worker_url = RM_StringPtrLen(value, NULL);
    } else if (same_word(name, length, "sync-timeout")) {
        if (!number(value, 1, MOST_TIMEOUT_MS, &options->timeout_ms)) {
            return complain(ctx, name, "a number of milliseconds, 1 to 3600000");
        }
    } else if (same_word(name, length, "workers")) {
        if (!number(value, 0, MOST_WORKERS, &options->workers)) return complain(ctx, name, "a number from 0 to 256");
    } else {
        return complain(ctx, name, "one of workers N, worker-url URL, sync-timeout MS, python PATH");
    }
    return REDISMODULE_OK;
}

static int read_options(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, Options *options) {
    for (int i = 0; i < argc; i += 2) {
        int outcome = read_option(ctx, argv[i], i + 1 < argc ? argv[i + 1] : NULL, options);
        if (outcome != REDISMODULE_OK) return outcome;
    }
    return REDISMODULE_OK;
}

static void info(RedisModuleInfoCtx *ctx, int for_crash_report) {
    RM_InfoAddSection(ctx, "");
    RM_InfoAddFieldULongLong(ctx, "hooks", hooks_count());
    capture_info(ctx);
    commandhooks_info(ctx);
    links_info(ctx);
    atomic_info(ctx);
    calls_info(ctx);
    workers_info(ctx);
    if (!for_crash_report) sync_info(ctx);
}

static int (*const PARTS[])(RedisModuleCtx *ctx) = {
    hookcommand_load, hookrdb_load, atomic_load, capture_load, calls_load, servecommand_load, hooked_load, links_load,
};

VISIBLE int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    const char *missing = api_resolve(ctx);
    if (RM_SetModuleAttribs == NULL || RM_IsModuleNameBusy == NULL || RM_IsModuleNameBusy("geartrain")) {
        return REDISMODULE_ERR;
    }
    RM_SetModuleAttribs(ctx, "geartrain", VERSION, REDISMODULE_APIVER_1);
    if (missing != NULL) {
        if (RM_Log != NULL) {
            RM_Log(ctx, "warning",
                   "geartrain: this server is too old for the module (it has no %s): Redis or Valkey 7.2 is needed; "
                   "without the module, streams work as they do with it",
                   missing);
        }
        return REDISMODULE_ERR;
    }
    Options options = {.timeout_ms = DEFAULT_TIMEOUT_MS};
    if (read_options(ctx, argv, argc, &options) != REDISMODULE_OK) return REDISMODULE_ERR;
    RM_SetModuleOptions(ctx, (REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION) &
                                 RM_GetModuleOptionsAll());
    sync_load(ctx, options.python, options.timeout_ms);
    int outcome = RM_RegisterInfoFunc(ctx, info);
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS && outcome == REDISMODULE_OK; i++) outcome = PARTS[i](ctx);
    if (outcome == REDISMODULE_OK) {
        outcome = workers_load(ctx, (unsigned)options.workers, options.worker_url, options.python);
    }
    if (outcome != REDISMODULE_OK) {
        RM_Log(ctx, "warning", "geartrain: not loaded: the server refused a command or an event, or an option cannot be met");
        return REDISMODULE_ERR;
    }
    if (sync_reason() != NULL) RM_Log(ctx, "notice", "geartrain: no mode='sync' here: %s", sync_reason());
    return REDISMODULE_OK;
}

VISIBLE int RedisModule_OnUnload(RedisModuleCtx *ctx) {
    if (hooks_count() == 0) {
        RM_Log(ctx, "warning", "geartrain: the module cannot be unloaded: it would leave hooks in backups unread");
    } else {
        RM_Log(ctx, "warning", "geartrain: the module is not unloaded: %zu registrations need it", hooks_count());
    }
    return REDISMODULE_ERR;
}
