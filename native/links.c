/* Clients that wait; the header has the theory. Links are in a table by their number, and in a list by their age. */
#include "links.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "resp.h"

enum { BUCKETS = 256, PER_MS = 1000 };

typedef struct Link {
    struct Link *next_in_bucket, *older, *younger;
    uint64_t id, begin_us;
    RedisModuleBlockedClient *client; /* NULL: it is not blocked yet */
    int waiting;                      /* executions that are to come */
    char *reply;                      /* what the client gets */
    size_t length;
    int overridden;
    const Hook **hooks; /* what it waits for; only compared */
    size_t hook_count;
} Link;

static const char NO_CLIENT[] = "Can not get command ctx";

static Link *buckets[BUCKETS], *oldest, *youngest;
static RedisModuleString *command; /* the original that runs now */
static int may_link;
static uint64_t present, running, last_id, unit, blocked_unit;
static struct {
    unsigned long long made, overridden, late;
    long long waiting;
} counters;

/* -- the table ---------------------------------------------------------------------------------------------------- */

static Link **place_of(uint64_t id) {
    Link **at = &buckets[id % BUCKETS];
    while (*at != NULL && (*at)->id != id) at = &(*at)->next_in_bucket;
    return at;
}

/* The first number of a process lies above those of all before it: they count milliseconds, and a thousand links in each. */
static uint64_t new_id(void) {
    if (last_id == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        last_id = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) * PER_MS;
    }
    return ++last_id;
}

static Link *new_link(void) {
    Link *link = RM_Calloc(1, sizeof *link);
    link->id = new_id();
    link->begin_us = RM_MonotonicMicroseconds();
    *place_of(link->id) = link;
    link->older = youngest;
    if (youngest != NULL) youngest->younger = link;
    else oldest = link;
    youngest = link;
    counters.made++;
    counters.waiting++;
    return link;
}

static void forget(Link *link) {
    *place_of(link->id) = link->next_in_bucket;
    if (link->older != NULL) link->older->younger = link->younger;
    else oldest = link->younger;
    if (link->younger != NULL) link->younger->older = link->older;
    else youngest = link->older;
    counters.waiting--;
}

static void free_link(RedisModuleCtx *ctx, void *data) {
    (void)ctx;
    Link *link = data;
    RM_Free(link->reply);
    RM_Free(link->hooks);
    RM_Free(link);
}

/* The client's turn: what it gets is known. */
static void finish(Link *link) {
    forget(link);
    if (link->client != NULL) RM_UnblockClient(link->client, link);
    else free_link(NULL, link);
}

/* -- the command that runs ---------------------------------------------------------------------------------------- */

void links_enter(RedisModuleString *name, int may_wait) {
    command = name;
    may_link = may_wait;
    unit++;
    present = 0;
}

uint64_t links_leave(void) {
    uint64_t id = present;
    command = NULL;
    present = 0;
    Link *link = id != 0 ? *place_of(id) : NULL;
    return link != NULL ? id : 0;
}

uint64_t links_unit(void) {
    return command != NULL ? unit : 0;
}

uint64_t links_blocked_unit(void) {
    return blocked_unit;
}

int links_wants(const Hook *hook) {
    if (hook->commands.length == 0) return 1;
    if (command == NULL) return 0;
    size_t length;
    char word[64];
    const char *name = RM_StringPtrLen(command, &length);
    if (length >= sizeof word) return 0;
    lower_case(word, name, length + 1);
    return list_has(&hook->commands, word);
}

static int waits_for(const Link *link, const Hook *hook) {
    for (size_t i = 0; i < link->hook_count; i++) {
        if (link->hooks[i] == hook) return 1;
    }
    return 0;
}

uint64_t links_expect(const Hook *hook) {
    if (command == NULL || !may_link) return 0;
    Link *link = present != 0 ? *place_of(present) : NULL;
    if (link == NULL) link = new_link();
    link->waiting++;
    if (!waits_for(link, hook)) {
        link->hooks = RM_Realloc(link->hooks, (link->hook_count + 1) * sizeof *link->hooks);
        link->hooks[link->hook_count++] = hook;
    }
    return present = link->id;
}

void links_done(uint64_t id) {
    Link *link = id != 0 ? *place_of(id) : NULL;
    if (link != NULL && --link->waiting <= 0) finish(link);
}

void links_forget(const Hook *hook) {
    for (Link *link = oldest, *next; link != NULL; link = next) {
        next = link->younger;
        if (waits_for(link, hook)) finish(link);
    }
}

/* -- the client --------------------------------------------------------------------------------------------------- */

static int send_reply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const Link *link = RM_GetBlockedClientPrivateData(ctx);
    resp_reply(ctx, link->reply, link->length);
    return REDISMODULE_OK;
}

static void keep(Link *link, const char *reply, size_t length) {
    RM_Free(link->reply);
    link->reply = RM_Alloc(length + 1);
    memcpy(link->reply, reply, length);
    link->length = length;
}

int links_block(RedisModuleCtx *ctx, uint64_t id, RedisModuleCallReply *reply) {
    Link *link = *place_of(id);
    size_t length = 0;
    const char *bytes = RM_CallReplyProto(reply, &length);
    if (link->reply == NULL) keep(link, bytes, length);
    blocked_unit = unit;
    link->client = RM_BlockClient(ctx, send_reply, NULL, free_link, 0);
    return REDISMODULE_OK;
}

uint64_t links_run(uint64_t id) {
    uint64_t before = running;
    running = id;
    return before;
}

static const char *override(uint64_t id, const char *reply, size_t length) {
    Link *link = id != 0 ? *place_of(id) : NULL;
    if (link == NULL) return NO_CLIENT;
    if (link->overridden) return "the reply of this command has been overridden already: it can be only once";
    link->overridden = 1;
    counters.overridden++;
    keep(link, reply, length);
    return NULL;
}

const char *links_override(const char *reply, size_t length) {
    return override(running, reply, length);
}

void links_expire(void) {
    if (oldest == NULL) return;
    uint64_t now = RM_MonotonicMicroseconds();
    while (oldest != NULL && oldest->client != NULL && now - oldest->begin_us > (uint64_t)LINK_MS * 1000) {
        counters.late++;
        finish(oldest);
    }
}

/* -- what workers say --------------------------------------------------------------------------------------------- */

static int link_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 4) return RM_WrongArity(ctx);
    size_t length;
    long long id;
    const char *verb = RM_StringPtrLen(argv[1], &length);
    if (RM_StringToLongLong(argv[3], &id) != REDISMODULE_OK || id <= 0) {
        return RM_ReplyWithError(ctx, "ERR GEARTRAIN.LINK: the link must be a number");
    }
    if (same_word(verb, length, "done") && argc == 4) {
        int known = *place_of((uint64_t)id) != NULL;
        links_done((uint64_t)id);
        return RM_ReplyWithLongLong(ctx, known);
    }
    if (!same_word(verb, length, "override") || argc != 5) {
        return RM_ReplyWithError(ctx, "ERR use GEARTRAIN.LINK DONE outbox link, or OVERRIDE outbox link reply");
    }
    const char *reply = RM_StringPtrLen(argv[4], &length);
    const char *wrong = resp_check(reply, length);
    if (wrong != NULL) {
        char text[160];
        snprintf(text, sizeof text, "ERR GEARTRAIN.LINK: the reply is not one value in RESP3: %.80s", wrong);
        return RM_ReplyWithError(ctx, text);
    }
    const char *why = override((uint64_t)id, reply, length);
    if (why == NULL) return RM_ReplyWithLongLong(ctx, 1);
    return RM_ReplyWithError(ctx, why == NO_CLIENT ? "LINKGONE Can not get command ctx: its client is gone" : "LINKUSED");
}

int links_load(RedisModuleCtx *ctx) {
    return api_command_of(ctx, "geartrain.link", link_command, "admin may-replicate", 2, "admin dangerous slow");
}

void links_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "links_made", counters.made);
    RM_InfoAddFieldLongLong(ctx, "links_waiting", counters.waiting);
    RM_InfoAddFieldULongLong(ctx, "links_overridden", counters.overridden);
    RM_InfoAddFieldULongLong(ctx, "links_late", counters.late);
}
