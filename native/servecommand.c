/* `GEARTRAIN.SERVE`, `ANSWER`, `RETURN` and `CALL`; serving.h says what they do. */
#include <string.h>

#include "resp.h"
#include "serving.h"

static const char FLAGS[] = "admin deny-script";
static const char MALFORMED[] = "ERR the worker's answer is no value in RESP3; its own error says more";

static int serve_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    long long timeout_ms;
    if (argc < 3) return RM_WrongArity(ctx);
    if (RM_StringToLongLong(argv[1], &timeout_ms) != REDISMODULE_OK || timeout_ms < 0 || timeout_ms > INT32_MAX) {
        return RM_ReplyWithError(ctx, "ERR GEARTRAIN.SERVE takes a number of milliseconds first, 0 for no end");
    }
    if (argc - 2 > MOST_LANES) return RM_ReplyWithError(ctx, "ERR GEARTRAIN.SERVE takes 64 lanes at the most");
    const char *refusal = calls_refusal(ctx);
    if (refusal != NULL) return RM_ReplyWithError(ctx, refusal);
    Serving *serving = serving_of(ctx, argv + 2, argc - 2);
    if (serving == NULL) return RM_ReplyWithError(ctx, "ERR the server does not tell when clients go");
    if (!serving_reply(ctx, serving)) serving_wait(ctx, serving, timeout_ms);
    return REDISMODULE_OK;
}

/* The running call of an id, or NULL. 0: the id is no number, and the error was sent. */
static int find(RedisModuleCtx *ctx, RedisModuleString *id, Call **call) {
    long long number;
    if (RM_StringToLongLong(id, &number) != REDISMODULE_OK || number < 1) {
        RM_ReplyWithError(ctx, "ERR a call's id is a number, which GEARTRAIN.SERVE gives");
        return 0;
    }
    *call = calls_running((uint64_t)number);
    return 1;
}

static int answer_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Call *call;
    size_t length;
    if (argc < 3) return RM_WrongArity(ctx);
    if (!find(ctx, argv[1], &call)) return REDISMODULE_OK;
    const char *bytes = RM_StringPtrLen(argv[2], &length);
    const char *wrong = resp_check(bytes, length);
    if (wrong != NULL) {
        char message[160];
        snprintf(message, sizeof message, "ERR an answer is one value in RESP3, and here %s", wrong);
        if (call != NULL) calls_end(call, NULL, MALFORMED);
        return RM_ReplyWithError(ctx, message);
    }
    int arrived = call != NULL && calls_end(call, argv[2], NULL);
    /* What SERVE takes stands behind the answer. */
    return argc > 3 ? serve_command(ctx, argv + 2, argc - 2) : RM_ReplyWithLongLong(ctx, arrived);
}

static int return_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Call *call;
    if (argc != 2) return RM_WrongArity(ctx);
    if (!find(ctx, argv[1], &call)) return REDISMODULE_OK;
    int there = call != NULL && call->client != NULL;
    if (call != NULL) calls_return(call);
    return RM_ReplyWithLongLong(ctx, there);
}

static int call_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    size_t length;
    if (argc < 3) return RM_WrongArity(ctx);
    const char *name = RM_StringPtrLen(argv[1], &length);
    Lane *lane = lane_named(name, length, 0);
    if (lane == NULL || !serving_is_served(lane)) {
        char message[160];
        snprintf(message, sizeof message, "ERR nobody serves the lane '%.80s'", name);
        resp_error(ctx, message, strlen(message));
        return REDISMODULE_OK;
    }
    CallWish wish = {.lane = name, .lane_length = length, .argv = argv + 2, .argc = argc - 2};
    return calls_make(ctx, &wish);
}

int servecommand_load(RedisModuleCtx *ctx) {
    static const struct {
        const char *name;
        RedisModuleCmdFunc handler;
    } commands[] = {
        {"geartrain.serve", serve_command},
        {"geartrain.answer", answer_command},
        {"geartrain.return", return_command},
        {"geartrain.call", call_command},
    };
    int outcome = REDISMODULE_OK;
    for (size_t i = 0; i < sizeof commands / sizeof *commands && outcome == REDISMODULE_OK; i++) {
        outcome = api_command_of(ctx, commands[i].name, commands[i].handler, FLAGS, 0, "admin dangerous slow");
    }
    return outcome;
}
