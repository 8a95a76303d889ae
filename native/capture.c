/* From key events to outboxes and functions; the header has the theory. */
#include "capture.h"

#include <stdlib.h>
#include <string.h>

#include "commandhooks.h"
#include "events.h"
#include "hash.h"
#include "hooks.h"
#include "links.h"
#include "migration.h"
#include "outbox.h"
#include "slots.h"
#include "subscription.h"
#include "sync.h"

enum { NAMES = 256, NAME_LENGTH = 64, SPARE_JOBS = 256, MOST_DEPTH = 8, PAUSE_MS = 10 };

static const char PREFIX[] = "geartrain:";

/* One event for one hook, until the end of the command. */
typedef struct Job {
    struct Job *next;
    Hook *hook;
    RedisModuleString *key;
    int type;
    int depth;
    int class;
    RedisModuleString *event; /* its name: one of `names`, or the job's own */
    const char *name;         /* the same, as bytes */
    int owns_event;
    uint64_t link; /* of the client that waits for it, or 0 */
    uint64_t unit; /* the hooked command that it comes from, or 0 */
} Job;

/* Names of events as strings of the server, made once: there are some dozens. */
typedef struct {
    char text[NAME_LENGTH];
    RedisModuleString *string;
} Name;

static Name names[NAMES];
static Name *last_name = names; /* most often the next one is the same */

static Job *spare;
static int spare_count;
static int is_replica, is_loading;

static struct {
    unsigned long long events, executed, too_deep, refused;
} counters;

int capture_active(void) {
    return !is_replica && !is_loading;
}

/* -- names -------------------------------------------------------------------------------------------------------- */

/* As strcmp, for names of three or four letters: the call would cost more than they do. */
static inline int is_name(const char *event, const char *name) {
    while (*event == *name && *event != 0) event++, name++;
    return *event == *name;
}

/* The event's name as a string that stays; NULL where it is a long one, or one of more than NAMES. */
static const Name *name_of(const char *event) {
    if (last_name->string != NULL && is_name(event, last_name->text)) return last_name;
    size_t length = strlen(event);
    uint64_t hash = hash_bytes(HASH_BEGIN, event, length);
    for (unsigned probe = 0; length < NAME_LENGTH && probe < 8; probe++) {
        size_t at = (hash + probe) % NAMES;
        if (names[at].string == NULL) {
            memcpy(names[at].text, event, length + 1);
            names[at].string = RM_CreateString(NULL, event, length);
        }
        if (strcmp(names[at].text, event) == 0) return last_name = &names[at];
    }
    return NULL;
}

/* -- jobs --------------------------------------------------------------------------------------------------------- */

static Job *new_job(void) {
    Job *job = spare;
    if (job == NULL) return RM_Alloc(sizeof *job);
    spare = job->next;
    spare_count--;
    return job;
}

static void free_job(void *data) {
    Job *job = data;
    RM_FreeString(NULL, job->key);
    if (job->owns_event) RM_FreeString(NULL, job->event);
    hook_release(job->hook);
    links_done(job->link);
    if (spare_count >= SPARE_JOBS) {
        RM_Free(job);
        return;
    }
    job->next = spare;
    spare = job;
    spare_count++;
}

static void execute_job(RedisModuleCtx *ctx, Job *job) {
    Hook *hook = job->hook;
    if (hook->dead) return;
    if (job->class == REDISMODULE_NOTIFY_KEY_MISS && api_writes_paused()) {
        /* A read, which goes on meanwhile, when nothing may be written. */
        hook->dropped++;
        return;
    }
    if (RM_GetSelectedDb(ctx) != hook->db) RM_SelectDb(ctx, hook->db);
    if (hook->mode == MODE_ASYNC) {
        OutboxEntry entry = {job->key, job->event, job->type, job->link};
        /* A worker says when it is done. */
        if (outbox_append(ctx, hook, &entry)) job->link = 0;
        return;
    }
    counters.executed++;
    hook->captured++;
    sync_at_depth(job->depth);
    uint64_t before = links_run(job->link);
    sync_event(ctx, hook, job->name, job->key, job->type);
    links_run(before);
}

static void on_timer(RedisModuleCtx *ctx, void *data) {
    if (capture_active() && api_writes_paused()) {
        RM_CreateTimer(ctx, PAUSE_MS, on_timer, data);
        return;
    }
    if (capture_active()) execute_job(ctx, data);
    free_job(data);
}

static void run_job(RedisModuleCtx *ctx, void *data) {
    Job *job = data;
    if (job->unit == 0 || job->unit != links_blocked_unit() || !slots_in_cluster(ctx)) {
        execute_job(ctx, job);
        return;
    }
    /* The job's client is blocked: see links.h. The server frees this one; a copy of it goes on. */
    Job *later = new_job();
    *later = *job;
    later->key = RM_HoldString(NULL, job->key);
    if (later->owns_event) later->event = RM_HoldString(NULL, job->event);
    hook_hold(job->hook);
    job->link = 0;
    RM_CreateTimer(ctx, 0, on_timer, later);
}

/* -- events ------------------------------------------------------------------------------------------------------- */

typedef struct {
    RedisModuleCtx *ctx;
    const char *event;
    RedisModuleString *key;
    int class;
    int type; /* -1: not looked up yet */
    const Name *name; /* NULL: not looked for yet, or it has none */
    int found;        /* whether a hook wants it */
} Event;

/* The key's type at this moment. Most classes of events tell; for the others the key is looked up. */
static int type_of(Event *event) {
    if (event->type >= 0) return event->type;
    switch (event->class) {
    case REDISMODULE_NOTIFY_STRING:
        return event->type = REDISMODULE_KEYTYPE_STRING;
    case REDISMODULE_NOTIFY_LIST:
        return event->type = REDISMODULE_KEYTYPE_LIST;
    case REDISMODULE_NOTIFY_HASH:
        return event->type = REDISMODULE_KEYTYPE_HASH;
    case REDISMODULE_NOTIFY_SET:
        return event->type = REDISMODULE_KEYTYPE_SET;
    case REDISMODULE_NOTIFY_ZSET:
        return event->type = REDISMODULE_KEYTYPE_ZSET;
    case REDISMODULE_NOTIFY_STREAM:
        return event->type = REDISMODULE_KEYTYPE_STREAM;
    case REDISMODULE_NOTIFY_EXPIRED:
    case REDISMODULE_NOTIFY_KEY_MISS:
    case REDISMODULE_NOTIFY_EVICTED:
        return event->type = REDISMODULE_KEYTYPE_EMPTY;
    default:
        break;
    }
    RedisModuleKey *key = RM_OpenKey(event->ctx, event->key, OPEN_TO_LOOK | REDISMODULE_OPEN_KEY_NOEXPIRE);
    event->type = key != NULL ? RM_KeyType(key) : REDISMODULE_KEYTYPE_EMPTY;
    if (key != NULL) RM_CloseKey(key);
    if (event->type < 0 || event->type > 7) event->type = REDISMODULE_KEYTYPE_MODULE;
    return event->type;
}

/* Whether the hook, whose pattern matches, wants the event. */
static int wants(const Hook *hook, Event *event) {
    if (hook->reader == READER_STREAM) return strcmp(event->event, "xadd") == 0;
    if (event->class == REDISMODULE_NOTIFY_KEY_MISS && hook->events.length == 0) return 0;
    if (!links_wants(hook)) return 0;
    return list_has(&hook->events, event->event) && (hook->types.length == 0 ||
                                                     list_has(&hook->types, api_type_names[type_of(event)]));
}

static void name_job(Job *job, const Event *event) {
    job->owns_event = event->name == NULL;
    job->event = event->name != NULL ? event->name->string : RM_CreateString(NULL, event->event, strlen(event->event));
    job->name = event->name != NULL ? event->name->text : RM_StringPtrLen(job->event, NULL);
}

static void note(Hook *hook, void *data) {
    Event *event = data;
    if (!wants(hook, event)) return;
    int depth = sync_depth() + 1;
    if (hook->mode == MODE_SYNC) {
        if (hook == sync_running()) return;
        if (depth > MOST_DEPTH) {
            counters.too_deep++;
            hook->dropped++;
            return;
        }
        if (hook->error != NULL && hook->sync == NULL) return;
    }
    if (event->name == NULL) event->name = name_of(event->event);
    event->found = 1;
    Job *job = new_job();
    *job = (Job){
        .hook = hook,
        .key = RM_HoldString(NULL, event->key),
        .type = type_of(event),
        .depth = depth,
        .class = event->class,
        .unit = links_unit(),
        .link = hook->commands.length > 0 ? links_expect(hook) : 0,
    };
    name_job(job, event);
    hook_hold(hook);
    if (RM_AddPostNotificationJob(event->ctx, run_job, job, free_job) != REDISMODULE_OK) {
        /* A replica or a server that loads: its primary, or its past, has captured this. */
        counters.refused++;
        free_job(job);
    }
}

static int is_deletion(int class, const char *name) {
    return class == REDISMODULE_NOTIFY_GENERIC && strcmp(name, "del") == 0;
}

/* Not inlined: what nothing matches would pay for the registers that this one needs. */
static __attribute__((noinline)) int take(RedisModuleCtx *ctx, int class, const char *name, RedisModuleString *key) {
    size_t length;
    const char *bytes = RM_StringPtrLen(key, &length);
    if (is_replica || is_loading || migration_brings(class, key)) return REDISMODULE_OK;
    if (length >= sizeof PREFIX - 1 && memcmp(bytes, PREFIX, sizeof PREFIX - 1) == 0) return REDISMODULE_OK;
    if (is_deletion(class, name) && migration_took(ctx, key)) return REDISMODULE_OK;
    Event event = {ctx, name, key, class, -1, NULL, 0};
    hooks_matching(RM_GetSelectedDb(ctx), bytes, length, note, &event);
    counters.events += (unsigned)event.found;
    return REDISMODULE_OK;
}

static int on_event(RedisModuleCtx *ctx, int class, const char *name, RedisModuleString *key) {
    /* The length is fetched where it is needed: it costs as much again. */
    return hooks_may_match(RM_StringPtrLen(key, NULL)) ? take(ctx, class, name, key) : REDISMODULE_OK;
}

/* -- what happens to the server ----------------------------------------------------------------------------------- */

static void on_role(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)event, (void)sub, (void)data;
    is_replica = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) != 0;
    outbox_is_followed();
    slots_forget();
}

static void on_fork(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)sub, (void)data;
    outbox_is_followed();
}

static void on_loading(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)data;
    is_loading = sub <= REDISMODULE_SUBEVENT_LOADING_REPL_START;
    outbox_is_followed();
    /* What is loaded brings its hooks along, or has none. */
    if (is_loading) hooks_flush(-1);
    else commandhooks_settle();
}

static void on_flush(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event;
    /* Before a replica loads what its primary sends, it is flushed too: the hooks come with the data. */
    if (sub != REDISMODULE_SUBEVENT_FLUSHDB_START || data == NULL) return;
    hooks_flush(((RedisModuleFlushInfo *)data)->dbnum);
    commandhooks_settle();
}

static void on_swap(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)sub;
    const RedisModuleSwapDbInfo *info = data;
    if (info != NULL) hooks_swap(info->first, info->second);
}

static void on_cron(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)event, (void)sub, (void)data;
    if (slots_changed(ctx)) hooks_forget_outboxes();
    subscription_settle();
    commandhooks_settle();
    links_expire();
}

const char *capture_tag(RedisModuleCtx *ctx) {
    if (slots_tag_moved(ctx, NULL)) hooks_forget_outboxes();
    return slots_tag(ctx);
}

int capture_load(RedisModuleCtx *ctx) {
    outbox_load();
    is_replica = (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) != 0;
    if (is_replica || (RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_AOF) != 0) outbox_is_followed();
    if (migration_load(ctx) != REDISMODULE_OK || subscription_load(ctx, on_event) != REDISMODULE_OK) return REDISMODULE_ERR;
    return events_listen(ctx, REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, on_role) &&
                   events_listen(ctx, REDISMODULE_EVENT_LOADING, on_loading) &&
                   events_listen(ctx, REDISMODULE_EVENT_FLUSHDB, on_flush) &&
                   events_listen(ctx, REDISMODULE_EVENT_SWAPDB, on_swap) &&
                   events_listen(ctx, REDISMODULE_EVENT_FORK_CHILD, on_fork) &&
                   events_listen(ctx, REDISMODULE_EVENT_CRON_LOOP, on_cron)
               ? REDISMODULE_OK
               : REDISMODULE_ERR;
}

void capture_info(RedisModuleInfoCtx *ctx) {
    subscription_info(ctx);
    RM_InfoAddFieldULongLong(ctx, "events_matched", counters.events);
    RM_InfoAddFieldULongLong(ctx, "events_executed", counters.executed);
    RM_InfoAddFieldULongLong(ctx, "events_too_deep", counters.too_deep);
    RM_InfoAddFieldULongLong(ctx, "events_refused", counters.refused);
    outbox_info(ctx);
}
