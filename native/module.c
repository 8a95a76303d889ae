/* Geartrain's server module: what is loaded. With which options, options.h says.
 *
 * What it does for key events is in capture.h, which it is told of in hooks.h; functions in the server are in sync.h; commands
 * that workers answer are in rg.h and calls.h. The module runs on the server's main thread, and keeps nothing that the server does not keep for it: hooks are in the RDB and
 * in the append-only file, events in streams.
 */
#include "api.h"
#include "atomic.h"
#include "calls.h"
#include "capture.h"
#include "commandhooks.h"
#include "hooked.h"
#include "hooks.h"
#include "links.h"
#include "options.h"
#include "rg.h"
#include "serving.h"
#include "sync.h"
#include "triggers.h"
#include "workers.h"

#define VISIBLE __attribute__((visibility("default")))

enum { VERSION = 100 };

static void info(RedisModuleInfoCtx *ctx, int for_crash_report) {
    RM_InfoAddSection(ctx, "");
    options_info(ctx);
    RM_InfoAddFieldULongLong(ctx, "hooks", hooks_count());
    capture_info(ctx);
    commandhooks_info(ctx);
    links_info(ctx);
    atomic_info(ctx);
    calls_info(ctx);
    triggers_info(ctx);
    workers_info(ctx);
    if (!for_crash_report) sync_info(ctx);
}

static int (*const PARTS[])(RedisModuleCtx *ctx) = {
    hookcommand_load, hookrdb_load, atomic_load, capture_load, calls_load,
    servecommand_load, hooked_load, links_load, options_load, rg_load,
    triggers_load,
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
    Options options;
    if (options_read(ctx, argv, argc, &options) != REDISMODULE_OK) return REDISMODULE_ERR;
    RM_SetModuleOptions(ctx, (REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION) &
                                 RM_GetModuleOptionsAll());
    sync_load(ctx, options.python, options.timeout_ms);
    int outcome = RM_RegisterInfoFunc(ctx, info);
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS && outcome == REDISMODULE_OK; i++) outcome = PARTS[i](ctx);
    if (outcome == REDISMODULE_OK) outcome = workers_load(ctx, &options);
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
