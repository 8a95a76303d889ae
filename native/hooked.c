/* Hooked commands; the header has the theory. */
#include "hooked.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "commandcall.h"
#include "commandhooks.h"
#include "foreign.h"
#include "functions.h"
#include "hooks.h"
#include "links.h"
#include "refusals.h"
#include "reply.h"
#include "sync.h"
#include "triggers.h"

enum { FEW = 16, NO_WAITING = REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_DENY_BLOCKING };

/* One function that a hooked command has called, as long as it runs. */
typedef struct Invocation {
    const struct Invocation *outer;
    RedisModuleCtx *ctx;
    RedisModuleUser *user; /* of the client; NULL: it has none, and may do everything */
    int db;
    RedisModuleString *command;
    Hook *hook;
    void *function;
} Invocation;

static const Invocation *present;

/* -- the original ------------------------------------------------------------------------------------------------- */

/* NULL with errno: the server did not even refuse.
 *   as_client  the reply is of the client's version of the protocol; otherwise of version 2
 *   link       where not NULL the client can wait: for what, or 0 */
static RedisModuleCallReply *call_original(const Invocation *now, int as_client, RedisModuleString **argv, int argc,
                                           uint64_t *link) {
    static const char *const FORMATS[2][2] = {{"!ESMv", "!CESMv"}, {"!0ESMv", "!0CESMv"}};
    links_enter(argv[0], link != NULL);
    if (now->user != NULL) RM_SetContextUser(now->ctx, now->user);
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(now->ctx, RM_StringPtrLen(argv[0], NULL), FORMATS[as_client][now->user != NULL],
                                          argv + 1, (size_t)(argc - 1));
    int number = errno;
    if (now->user != NULL) RM_SetContextUser(now->ctx, NULL);
    uint64_t found = links_leave();
    if (link != NULL) *link = found;
    errno = number;
    return reply;
}

/* Call it for the client itself, who gets its reply: at once, or when what it has triggered is done. */
static int answer_original(const Invocation *now, RedisModuleString **argv, int argc) {
    uint64_t link = 0;
    int may_wait = (RM_GetContextFlags(now->ctx) & NO_WAITING) == 0;
    RedisModuleCallReply *reply = call_original(now, 1, argv, argc, may_wait ? &link : NULL);
    if (reply == NULL) return RM_ReplyWithError(now->ctx, refusal_text(errno));
    int outcome = link != 0 ? links_block(now->ctx, link, reply) : RM_ReplyWithCallReply(now->ctx, reply);
    RM_FreeCallReply(reply);
    return outcome;
}

/* -- functions ---------------------------------------------------------------------------------------------------- */

static const char *not_async(const Hook *hook) {
    static char text[300];
    snprintf(text, sizeof text, "ERR the hook %.120s has mode='async': it can neither be called by another hook nor within MULTI "
                                "or a script", hook->id.bytes);
    return text;
}

/* The result of a hook's function; NULL: `*error` says why there is none. */
static PyObject *call_function(const Invocation *outer, Hook *hook, RedisModuleString **argv, int argc, const char **error) {
    Invocation now = *outer;
    now.outer = present;
    now.hook = hook;
    now.function = hook->sync;
    hook_hold(hook);
    present = &now;
    PyObject *result = function_value(sync_command(now.ctx, hook, argv, argc, error));
    present = now.outer;
    hook_release(hook);
    return result;
}

static void pass_on(const Invocation *now, int as_client, RedisModuleString **argv, int argc, Next *next) {
    next->reply = call_original(now, as_client, argv, argc, NULL);
    int number = errno;
    int failed = next->reply == NULL || RM_CallReplyType(next->reply) == REDISMODULE_REPLY_ERROR;
    if (failed && foreign_is(number)) {
        /* The server's own words for it say too little. */
        next->error = foreign_text(now->ctx, number, RM_StringPtrLen(argv[0], NULL), argv + 1, (size_t)(argc - 1));
        if (next->reply != NULL) RM_FreeCallReply(next->reply);
        next->reply = NULL;
    } else if (next->reply == NULL) {
        next->error = refusal_text(number);
    }
}

/* What comes after a hook, `now->hook`. */
static void go_on(const Invocation *now, int as_client, RedisModuleString **args, size_t count, Next *next) {
    RedisModuleString *few[FEW], **argv = count < FEW ? few : RM_Alloc((count + 1) * sizeof *argv);
    argv[0] = now->command;
    for (size_t i = 0; i < count; i++) argv[i + 1] = args[i];
    Hook *hook = commandhooks_next(now->db, argv, (int)count + 1, now->hook);
    if (hook != NULL && hook->mode != MODE_SYNC) {
        next->error = not_async(hook);
    } else if (hook != NULL) {
        next->value = call_function(now, hook, argv, (int)count + 1, &next->error);
    } else {
        next->error = foreign_several(now->ctx, RM_StringPtrLen(argv[0], NULL), args, count);
        if (next->error == NULL) pass_on(now, as_client, argv, (int)count + 1, next);
    }
    if (argv != few) RM_Free(argv);
}

int hooked_next(RedisModuleString **args, size_t count, Next *next) {
    const Invocation *now = present;
    *next = (Next){0};
    if (now == NULL || now->function == NULL || (void *)function_running() != now->function) return 0;
    go_on(now, 0, args, count, next);
    return 1;
}

/* -- the command -------------------------------------------------------------------------------------------------- */

static int answer_function(const Invocation *now, Hook *hook, RedisModuleString **argv, int argc) {
    const char *error = NULL;
    Function *function = hook->sync;
    if (function != NULL) function_hold(function);
    PyObject *result = call_function(now, hook, argv, argc, &error);
    if (result != NULL) reply_value(now->ctx, function, result);
    else RM_ReplyWithError(now->ctx, error);
    if (result != NULL) python_release(result);
    if (function != NULL) function_release(function);
    return REDISMODULE_OK;
}

static int answer_next(const Invocation *now, RedisModuleString **args, int count) {
    Next next = {0};
    go_on(now, 1, args, (size_t)count, &next);
    if (next.error != NULL) return RM_ReplyWithError(now->ctx, next.error);
    if (next.reply != NULL) {
        RM_ReplyWithCallReply(now->ctx, next.reply);
        RM_FreeCallReply(next.reply);
        return REDISMODULE_OK;
    }
    reply_value(now->ctx, NULL, next.value);
    python_release(next.value);
    return REDISMODULE_OK;
}

/* GEARTRAIN.NEXT call [argument]...: `call_next` of a worker, for the client of a call that it runs. */
static int next_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    long long id;
    if (argc < 2) return RM_WrongArity(ctx);
    const Call *call = RM_StringToLongLong(argv[1], &id) == REDISMODULE_OK && id > 0 ? calls_running((uint64_t)id) : NULL;
    if (call == NULL || call->client == NULL) return RM_ReplyWithError(ctx, "ERR the client of this hook has gone");
    Hook *hook = hooks_find(call->db, call->registration.bytes, call->registration.length);
    if (hook == NULL || hook->command.length == 0) return RM_ReplyWithError(ctx, "ERR the hook of this call is gone");
    Invocation now = {.ctx = ctx, .db = call->db, .command = call->argv[0], .hook = hook};
    now.user = call->user != NULL ? RM_GetModuleUserFromUserName(call->user) : NULL;
    if (call->user != NULL && now.user == NULL) return RM_ReplyWithError(ctx, "NOPERM the user of the client is gone");
    int before = RM_GetSelectedDb(ctx);
    if (before != now.db) RM_SelectDb(ctx, now.db);
    hook_hold(hook);
    answer_next(&now, argv + 2, argc - 2);
    hook_release(hook);
    if (before != now.db) RM_SelectDb(ctx, before);
    if (now.user != NULL) RM_FreeModuleUser(now.user);
    return REDISMODULE_OK;
}

/* The keys of the command behind ours. */
static int tell_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 2 || !commandhooks_is_own(argv[0])) return REDISMODULE_OK;
    int count = 0, *flags = NULL;
    int *places = RM_GetCommandKeysWithFlags(ctx, argv + 1, argc - 1, &count, &flags);
    for (int i = 0; places != NULL && i < count; i++) RM_KeyAtPosWithFlags(ctx, places[i] + 1, flags != NULL ? flags[i] : 0);
    api_free_given(places);
    api_free_given(flags);
    return REDISMODULE_OK;
}

/* The client's user; whether it has one that exists, or none at all. */
static int find_user(RedisModuleCtx *ctx, RedisModuleUser **user) {
    RedisModuleString *name = RM_GetCurrentUserName(ctx);
    *user = name != NULL ? RM_GetModuleUserFromUserName(name) : NULL;
    if (name != NULL) RM_FreeString(ctx, name);
    return name == NULL || *user != NULL;
}

static int hooked_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (RM_IsKeysPositionRequest(ctx)) return tell_keys(ctx, argv, argc);
    if (argc < 2 || !commandhooks_is_own(argv[0])) {
        return RM_ReplyWithError(ctx, "ERR this is what Geartrain puts before commands that are hooked; it cannot be called");
    }
    argv++;
    argc--;
    Invocation now = {.ctx = ctx, .db = RM_GetSelectedDb(ctx), .command = argv[0]};
    if (!find_user(ctx, &now.user)) return RM_ReplyWithError(ctx, "NOPERM the user of this connection is gone");
    int before = foreign_bind(foreign_slot(ctx, argv, argc));
    int allowed = now.user == NULL || RM_ACLCheckCommandPermissions(now.user, argv, argc) == REDISMODULE_OK;
    Hook *hook = allowed && !api_writes_paused() ? commandhooks_next(now.db, argv, argc, NULL) : NULL;
    if (hook == NULL) answer_original(&now, argv, argc);
    else if (hook->mode == MODE_SYNC) answer_function(&now, hook, argv, argc);
    else if ((RM_GetContextFlags(ctx) & NO_WAITING) != 0) RM_ReplyWithError(ctx, not_async(hook));
    else triggers_call_worker(ctx, hook, argv, argc);
    foreign_bind(before);
    if (now.user != NULL) RM_FreeModuleUser(now.user);
    return REDISMODULE_OK;
}

int hooked_load(RedisModuleCtx *ctx) {
    if (api_command(ctx, "geartrain.next", next_command) != REDISMODULE_OK) return REDISMODULE_ERR;
    return commandhooks_load(ctx, hooked_command);
}
