/* The table of RG.* commands, and how each finds its lane. */
#include "rg.h"

#include <string.h>

#include "calls.h"

static const char FOR_ADMINS[] = "admin deny-script", ADMIN_CATEGORIES[] = "admin dangerous slow";

/* A command for one of the lanes of administrators; how many words it has, its name among them. `most` 0: any number. */
typedef struct {
    const char *name, *lane;
    int least, most;
} Command;

static const Command COMMANDS[] = {
    {"rg.pyexecute", "script", 2, 0},
    {"rg.dumpregistrations", "admin", 1, 1},
    {"rg.unregister", "admin", 2, 2},
    {"rg.pauseregistrations", "admin", 2, 0},
    {"rg.unpauseregistrations", "admin", 2, 0},
    {"rg.clearregistrationsstats", "admin", 1, 1},
    {"rg.dumpexecutions", "admin", 1, 2},
    {"rg.getexecution", "admin", 2, 3},
    {"rg.getresults", "admin", 2, 2},
    {"rg.getresultsblocking", "admin", 2, 2},
    {"rg.dropexecution", "admin", 2, 2},
    {"rg.abortexecution", "admin", 2, 2},
    {"rg.configget", "admin", 2, 0},
    {"rg.configset", "admin", 3, 0},
    {"rg.pystats", "admin", 1, 1},
    {"rg.pydumpsessions", "admin", 1, 0},
    {"rg.pydumpreqs", "admin", 1, 1},
    {"rg.pyprofile", "admin", 3, 4},
    {"rg.infocluster", "admin", 1, 1},
    {"rg.refreshcluster", "admin", 1, 1},
};

static const Command *command_named(RedisModuleString *word) {
    size_t length;
    const char *name = RM_StringPtrLen(word, &length);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (same_word(name, length, COMMANDS[i].name)) return &COMMANDS[i];
    }
    return NULL;
}

static int admin_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    const Command *command = command_named(argv[0]);
    if (command == NULL) return RM_ReplyWithError(ctx, "ERR this command has been renamed: call it by its own name");
    if (argc < command->least || (command->most > 0 && argc > command->most)) return RM_WrongArity(ctx);
    CallWish wish = {.lane = command->lane, .lane_length = strlen(command->lane), .argv = argv, .argc = argc};
    return calls_make(ctx, &wish);
}

int rg_load(RedisModuleCtx *ctx) {
    int outcome = REDISMODULE_OK;
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS && outcome == REDISMODULE_OK; i++) {
        outcome = api_command_of(ctx, COMMANDS[i].name, admin_command, FOR_ADMINS, 0, ADMIN_CATEGORIES);
    }
    return outcome;
}
