/* The module's arguments; the header says which vocabulary is treated how. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "hook.h"
#include "workers.h"

enum { DEFAULT_TIMEOUT_MS = 1000, MOST_TIMEOUT_MS = 3600000, MOST_GIVEN = 32 };

static const char OWN_NAMES[] = "one of workers N, worker-url URL, sync-timeout MS, python PATH, dialect geartrain|redisgears-1.2";

typedef enum { TEXT, NUMBER } Kind;

/* An option of RedisGears, as its documentation spells it. */
typedef struct {
    const char *name;
    Kind kind;
    int is_heeded;
} Foreign;

static const Foreign FOREIGN[] = {
    {"MaxExecutions", NUMBER, 1},
    {"MaxExecutionsPerRegistration", NUMBER, 1},
    {"ProfileExecutions", NUMBER, 1},
    {"PythonAttemptTraceback", NUMBER, 1},
    {"ExecutionThreads", NUMBER, 1},
    {"ExecutionMaxIdleTime", NUMBER, 1},
    {"PythonInstallReqMaxIdleTime", NUMBER, 1},
    {"SendMsgRetries", NUMBER, 0},
    {"Plugin", TEXT, 1},
    {"PythonInstallationDir", TEXT, 0},
    {"CreateVenv", NUMBER, 0},
    {"DownloadDeps", NUMBER, 0},
    {"DependenciesUrl", TEXT, 0},
    {"DependenciesSha256", TEXT, 0},
    {"PythonHomeDir", TEXT, 0},
};

enum { FOREIGN_COUNT = sizeof FOREIGN / sizeof *FOREIGN };

static const char *const OWN[] = {"python", "worker-url", "sync-timeout", "workers", "dialect"};

static Text given[FOREIGN_COUNT]; /* their values; no bytes: not given */
static int is_redisgears;

/* -- reading ------------------------------------------------------------------------------------------------------ */

typedef struct {
    RedisModuleCtx *ctx;
    RedisModuleString **argv;
    int argc;
    Options *options;
    int dialect_given;
    int unknown[MOST_GIVEN], unknown_count;
} Reading;

static int complain(RedisModuleCtx *ctx, const char *name, const char *allowed) {
    RM_Log(ctx, "warning", "geartrain: option %.60s must be %s", name, allowed);
    return REDISMODULE_ERR;
}

static const Foreign *foreign_named(const char *name, size_t length) {
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        if (same_word(name, length, FOREIGN[i].name)) return &FOREIGN[i];
    }
    return NULL;
}

static int is_own(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
        if (same_word(name, length, OWN[i])) return 1;
    }
    return 0;
}

static int is_name(RedisModuleString *word) {
    size_t length;
    const char *name = RM_StringPtrLen(word, &length);
    return is_own(name, length) || foreign_named(name, length) != NULL;
}

/* A whole number within bounds; 0 where it is none. */
static int number(RedisModuleString *value, long long least, long long most, long long *into) {
    return RM_StringToLongLong(value, into) == REDISMODULE_OK && least <= *into && *into <= most;
}

static int read_dialect(Reading *reading, const char *name, RedisModuleString *value) {
    size_t length;
    const char *word = RM_StringPtrLen(value, &length);
    int redisgears = same_word(word, length, "redisgears-1.2");
    if (!redisgears && !same_word(word, length, "geartrain")) {
        return complain(reading->ctx, name, "geartrain or redisgears-1.2");
    }
    reading->options->redisgears = redisgears;
    reading->dialect_given = 1;
    return REDISMODULE_OK;
}

static int read_own(Reading *reading, const char *name, size_t length, RedisModuleString *value) {
    Options *options = reading->options;
    long long workers;
    if (value == NULL) return complain(reading->ctx, name, "followed by its value");
    if (same_word(name, length, "dialect")) return read_dialect(reading, name, value);
    if (same_word(name, length, "python")) options->python = RM_StringPtrLen(value, NULL);
    if (same_word(name, length, "worker-url")) options->worker_url = RM_StringPtrLen(value, NULL);
    if (same_word(name, length, "sync-timeout") && !number(value, 1, MOST_TIMEOUT_MS, &options->timeout_ms)) {
        return complain(reading->ctx, name, "a number of milliseconds, 1 to 3600000");
    }
    if (same_word(name, length, "workers")) {
        if (!number(value, 0, MOST_WORKERS, &workers)) return complain(reading->ctx, name, "a number from 0 to 256");
        options->workers = (unsigned)workers;
        options->workers_given = 1;
    }
    return REDISMODULE_OK;
}

/* Keep an option of RedisGears where its value can be one. */
static void read_foreign(Reading *reading, const Foreign *option, RedisModuleString *value) {
    size_t length;
    long long ignored;
    const char *bytes = value != NULL ? RM_StringPtrLen(value, &length) : NULL;
    if (bytes == NULL) {
        RM_Log(reading->ctx, "notice", "geartrain: option %s has no value and is ignored", option->name);
    } else if (option->kind == NUMBER && !number(value, 0, INT64_MAX, &ignored)) {
        RM_Log(reading->ctx, "warning", "geartrain: option %s is '%.60s', which is no number: its default is used",
               option->name, bytes);
    } else {
        if (!option->is_heeded) {
            RM_Log(reading->ctx, "notice", "geartrain: option %s of RedisGears is ignored: it means nothing here",
                   option->name);
        }
        text_replace(&given[option - FOREIGN], text_of(bytes, length));
    }
}

/* One option; how many words it took, or 0: it is wrong. */
static int read_option(Reading *reading, int at) {
    size_t length;
    const char *name = RM_StringPtrLen(reading->argv[at], &length);
    RedisModuleString *value = at + 1 < reading->argc ? reading->argv[at + 1] : NULL;
    if (is_own(name, length)) return read_own(reading, name, length, value) == REDISMODULE_OK ? 2 : 0;
    const Foreign *option = foreign_named(name, length);
    if (option == NULL && reading->unknown_count < MOST_GIVEN) reading->unknown[reading->unknown_count++] = at;
    /* A name where a value should be: what is before it stands alone. */
    if (value != NULL && is_name(value)) value = NULL;
    if (option != NULL) read_foreign(reading, option, value);
    return value != NULL ? 2 : 1;
}

/* Names that nobody knows: somebody else's in a configuration of RedisGears, mistakes in one of ours. */
static int judge_unknown(const Reading *reading) {
    for (int i = 0; i < reading->unknown_count; i++) {
        const char *name = RM_StringPtrLen(reading->argv[reading->unknown[i]], NULL);
        if (!reading->options->redisgears) return complain(reading->ctx, name, OWN_NAMES);
        RM_Log(reading->ctx, "notice", "geartrain: option %.60s is not known here and ignored", name);
    }
    return REDISMODULE_OK;
}

static int is_given(const char *name) {
    return given[foreign_named(name, strlen(name)) - FOREIGN].bytes != NULL;
}

/* Plugin stands for the dialect, unless that is said. */
static void heed_plugin(const Reading *reading) {
    if (!is_given("Plugin")) return;
    if (reading->dialect_given) {
        RM_Log(reading->ctx, "notice", "geartrain: option Plugin of RedisGears is ignored: option dialect is given");
        return;
    }
    reading->options->redisgears = 1;
    RM_Log(reading->ctx, "notice",
           "geartrain: option Plugin of RedisGears selects the dialect redisgears-1.2; the plugin is not loaded");
}

int options_read(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, Options *options) {
    *options = (Options){.timeout_ms = DEFAULT_TIMEOUT_MS};
    Reading reading = {.ctx = ctx, .argv = argv, .argc = argc, .options = options};
    for (int at = 0; at < argc;) {
        int words = read_option(&reading, at);
        if (words == 0) return REDISMODULE_ERR;
        at += words;
    }
    heed_plugin(&reading);
    if (!options->workers_given) options->workers = options->redisgears ? 1 : 0;
    options->workers_on_demand = !options->workers_given;
    is_redisgears = options->redisgears;
    return judge_unknown(&reading);
}

/* -- telling ------------------------------------------------------------------------------------------------------ */

static const char *dialect_name(void) {
    return is_redisgears ? "redisgears-1.2" : "geartrain";
}

static int config_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv;
    if (argc != 1) return RM_WrongArity(ctx);
    long count = 1;
    for (size_t i = 0; i < FOREIGN_COUNT; i++) count += given[i].bytes != NULL;
    RM_ReplyWithMap(ctx, count);
    RM_ReplyWithCString(ctx, "dialect");
    RM_ReplyWithCString(ctx, dialect_name());
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        if (given[i].bytes == NULL) continue;
        RM_ReplyWithCString(ctx, FOREIGN[i].name);
        RM_ReplyWithStringBuffer(ctx, given[i].bytes, given[i].length);
    }
    return REDISMODULE_OK;
}

int options_load(RedisModuleCtx *ctx) {
    return api_command_of(ctx, "geartrain.config", config_command, "admin fast allow-loading allow-stale", 0,
                          "admin dangerous fast");
}

void options_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldCString(ctx, "dialect", dialect_name());
}
