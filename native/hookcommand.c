/* `GEARTRAIN.HOOK SET | DEL | CHECK | LIST | USED`.
 *
 *   SET id version [field value]...    OK; OLD, and nothing is done, where there is a hook of a later version
 *   CHECK id [field value]...          OK, or why the server could not hook the commands that it names; nothing is done
 *   DEL id                             1, or 0: there is none
 *   DEL id version [UNLINK [key]...]   the same, where it has that version or an earlier one
 *   LIST                               name and value in turn: tag, sync, hooks ([id, version, error, captured, dropped, aborted]
 *                                      each), used ([tag, since] each, oldest first)
 *   USED tag since                     what a primary tells its replicas and its append-only file: see slots.h
 *
 * Whoever sets and deletes hooks has read a registry that may have changed since: versions, which grow, say what is late. With
 * UNLINK the outboxes go in the same moment, and the keys that are named, which must be the registration's: unless a hook of
 * a later version stays, whose events may be in them. Where there is no hook at all the keys go too.
 *
 * SET is replicated as it was given. Of DEL the outcome is: replicas delete that hook, and the keys that were there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "commandhooks.h"
#include "hooks.h"
#include "outbox.h"
#include "slots.h"
#include "sync.h"

static int refuse(RedisModuleCtx *ctx, Hook *hook, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(RedisModuleCtx *ctx, Hook *hook, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    if (hook != NULL) hook_free(hook);
    return RM_ReplyWithError(ctx, message);
}

static int from_elsewhere(RedisModuleCtx *ctx) {
    return (RM_GetContextFlags(ctx) & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) != 0;
}

/* Whether a client may change hooks here; the error was sent where not. */
static int may_change(RedisModuleCtx *ctx) {
    if (from_elsewhere(ctx)) return 1;
    if ((RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) == 0) return 1;
    RM_ReplyWithError(ctx, "READONLY hooks are set on the primary, from where replicas get them");
    return 0;
}

static void default_user(RedisModuleCtx *ctx, Hook *hook) {
    if (hook->user.length > 0) return;
    RedisModuleString *name = RM_GetCurrentUserName(ctx);
    if (name == NULL) {
        text_replace(&hook->user, text_of("default", 7));
        return;
    }
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    text_replace(&hook->user, text_of(bytes, length));
    RM_FreeString(ctx, name);
}

/* Whether the hook's version is a later one. */
static int is_later(const Hook *hook, unsigned long long version) {
    unsigned long long number;
    return number_of(hook->version.bytes, hook->version.length, INT64_MAX, &number) && number > version;
}

/* Give a new hook its fields. 0: one was refused, the error was sent, and the hook is gone. */
static int read_fields(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **fields, int count) {
    for (int i = 0; i + 1 < count; i += 2) {
        size_t name_length, length;
        const char *name = RM_StringPtrLen(fields[i], &name_length), *value = RM_StringPtrLen(fields[i + 1], &length);
        int known;
        const char *id = hook->id.bytes, *allowed = hook_set(hook, name, name_length, value, length, &known);
        if (allowed == NULL) continue;
        if (known) refuse(ctx, hook, "ERR hook %.100s: %.40s is '%.100s'; it must be %s", id, name, value, allowed);
        else refuse(ctx, hook, "ERR hook %.100s: no field '%.40s'; use %s", id, name, allowed);
        return 0;
    }
    return 1;
}

/* Whether the commands that a hook names can be hooked. */
static int check_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 3 || argc % 2 != 1) return RM_WrongArity(ctx);
    size_t length;
    const char *id = RM_StringPtrLen(argv[2], &length);
    Hook *hook = hook_new(RM_GetSelectedDb(ctx), id, length, "0", 1);
    if (!read_fields(ctx, hook, argv + 3, argc - 3)) return REDISMODULE_OK;
    const char *refusal = commandhooks_unsuitable(ctx, hook);
    if (refusal != NULL) return refuse(ctx, hook, "%s", refusal);
    hook_free(hook);
    return RM_ReplyWithSimpleString(ctx, "OK");
}

static int set_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 4 || argc % 2 != 0) return RM_WrongArity(ctx);
    if (!may_change(ctx)) return REDISMODULE_OK;
    size_t id_length, version_length;
    const char *id = RM_StringPtrLen(argv[2], &id_length), *version = RM_StringPtrLen(argv[3], &version_length);
    unsigned long long number;
    if (id_length == 0) return refuse(ctx, NULL, "ERR a hook's id must not be empty");
    if (!number_of(version, version_length, INT64_MAX, &number)) {
        return refuse(ctx, NULL, "ERR hook %.100s: its version is '%.40s'; it must be a number", id, version);
    }
    const Hook *present = hooks_find(RM_GetSelectedDb(ctx), id, id_length);
    if (present != NULL && is_later(present, number) && !from_elsewhere(ctx)) return RM_ReplyWithSimpleString(ctx, "OLD");
    Hook *hook = hook_new(RM_GetSelectedDb(ctx), id, id_length, version, version_length);
    if (!read_fields(ctx, hook, argv + 4, argc - 4)) return REDISMODULE_OK;
    if (hook->mode == MODE_SYNC && sync_reason() != NULL && !from_elsewhere(ctx)) {
        return refuse(ctx, hook, "ERR no mode=sync here: %s", sync_reason());
    }
    const char *refusal = from_elsewhere(ctx) ? NULL : commandhooks_refusal(ctx, hook);
    if (refusal != NULL) return refuse(ctx, hook, "%s", refusal);
    default_user(ctx, hook);
    if (!hooks_put(hook)) return refuse(ctx, hook, "ERR no memory for another hook");
    commandhooks_settle();
    RM_ReplicateVerbatim(ctx);
    return RM_ReplyWithSimpleString(ctx, "OK");
}

/* Each by itself: one that has gone to another shard is refused, and hinders no other. 0: the cluster is down, all are. */
static int unlink_key(RedisModuleCtx *ctx, RedisModuleString *key) {
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(ctx, "UNLINK", "!s", key);
    int number = errno;
    if (reply != NULL) RM_FreeCallReply(reply);
    return reply != NULL || number == EPERM;
}

static int unlink_outboxes(RedisModuleCtx *ctx, const Hook *hook) {
    int done = 1;
    int has_any = hook->mode == MODE_ASYNC && hook->reader == READER_KEYS;
    for (unsigned i = 0; i < hook->partitions && has_any && done; i++) {
        RedisModuleString *name = outbox_name(capture_tag(ctx), hook, i);
        done = unlink_key(ctx, name);
        RM_FreeString(NULL, name);
    }
    return done;
}

/* What was given behind UNLINK: names of keys that are the registration's. */
static int are_its_keys(RedisModuleString **keys, int count, const char *id, size_t id_length) {
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *key = RM_StringPtrLen(keys[i], &length);
        if (!outbox_may_unlink(key, length, id, id_length)) return 0;
    }
    return 1;
}

static int delete(RedisModuleCtx *ctx, RedisModuleString *name, unsigned long long version, int unlink,
                  RedisModuleString **keys, int key_count) {
    size_t length;
    const char *id = RM_StringPtrLen(name, &length);
    Hook *hook = hooks_find(RM_GetSelectedDb(ctx), id, length);
    if (hook != NULL && is_later(hook, version)) return RM_ReplyWithLongLong(ctx, 0);
    int done = hook == NULL || !unlink || unlink_outboxes(ctx, hook);
    for (int i = 0; i < key_count && done; i++) done = unlink_key(ctx, keys[i]);
    if (!done) return RM_ReplyWithError(ctx, "CLUSTERDOWN the outboxes of a hook cannot be deleted now");
    if (hook == NULL) return RM_ReplyWithLongLong(ctx, 0);
    hooks_remove(RM_GetSelectedDb(ctx), id, length);
    commandhooks_settle();
    RM_Replicate(ctx, "GEARTRAIN.HOOK", "cs", "DEL", name);
    return RM_ReplyWithLongLong(ctx, 1);
}

static int del_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 3) return RM_WrongArity(ctx);
    if (!may_change(ctx)) return REDISMODULE_OK;
    if (argc == 3) return delete(ctx, argv[2], INT64_MAX, 0, NULL, 0);
    size_t id_length, length, word_length = 0;
    unsigned long long version;
    const char *id = RM_StringPtrLen(argv[2], &id_length), *number = RM_StringPtrLen(argv[3], &length);
    if (!number_of(number, length, INT64_MAX, &version)) {
        return refuse(ctx, NULL, "ERR hook %.100s: its version is '%.40s'; it must be a number", id, number);
    }
    const char *word = argc > 4 ? RM_StringPtrLen(argv[4], &word_length) : NULL;
    if (word != NULL && !same_word(word, word_length, "unlink")) {
        return refuse(ctx, NULL, "ERR hook %.100s: after the version comes UNLINK, not '%.40s'", id, word);
    }
    int key_count = argc > 5 ? argc - 5 : 0;
    if (!are_its_keys(argv + 5, key_count, id, id_length)) {
        return refuse(ctx, NULL, "ERR hook %.100s: UNLINK takes keys `geartrain:{...}:...:<id>` alone", id);
    }
    return delete(ctx, argv[2], version, word != NULL, argv + 5, key_count);
}

typedef struct {
    RedisModuleCtx *ctx;
    int db;
    long count;
} Listing;

static void count_hook(Hook *hook, void *data) {
    Listing *listing = data;
    if (hook->db == listing->db) listing->count++;
}

static void reply_hook(Hook *hook, void *data) {
    Listing *listing = data;
    if (hook->db != listing->db) return;
    RM_ReplyWithArray(listing->ctx, 6);
    RM_ReplyWithStringBuffer(listing->ctx, hook->id.bytes, hook->id.length);
    RM_ReplyWithStringBuffer(listing->ctx, hook->version.bytes, hook->version.length);
    RM_ReplyWithCString(listing->ctx, hook->error != NULL ? hook->error : "");
    RM_ReplyWithLongLong(listing->ctx, (long long)hook->captured);
    RM_ReplyWithLongLong(listing->ctx, (long long)hook->dropped);
    RM_ReplyWithLongLong(listing->ctx, hook->aborted);
}

static int list_command(RedisModuleCtx *ctx, int argc) {
    if (argc != 2) return RM_WrongArity(ctx);
    Listing listing = {ctx, RM_GetSelectedDb(ctx), 0};
    hooks_each(count_hook, &listing);
    const UsedTag *used[USED_TAGS];
    unsigned count = slots_used(used);
    RM_ReplyWithArray(ctx, 8);
    RM_ReplyWithCString(ctx, "tag");
    RM_ReplyWithCString(ctx, capture_tag(ctx));
    RM_ReplyWithCString(ctx, "sync");
    RM_ReplyWithCString(ctx, sync_reason() != NULL ? sync_reason() : "ok");
    RM_ReplyWithCString(ctx, "hooks");
    RM_ReplyWithArray(ctx, listing.count);
    hooks_each(reply_hook, &listing);
    RM_ReplyWithCString(ctx, "used");
    RM_ReplyWithArray(ctx, count);
    for (unsigned i = 0; i < count; i++) {
        RM_ReplyWithArray(ctx, 2);
        RM_ReplyWithCString(ctx, used[i]->tag);
        RM_ReplyWithLongLong(ctx, (long long)used[i]->since);
    }
    return REDISMODULE_OK;
}

static int used_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 4) return RM_WrongArity(ctx);
    size_t tag_length, length;
    unsigned long long since;
    const char *tag = RM_StringPtrLen(argv[2], &tag_length), *number = RM_StringPtrLen(argv[3], &length);
    if (!from_elsewhere(ctx)) return refuse(ctx, NULL, "ERR GEARTRAIN.HOOK USED is for replicas and append-only files");
    if (!number_of(number, length, INT64_MAX, &since)) return refuse(ctx, NULL, "ERR since is '%.40s', no number", number);
    slots_note_used(tag, tag_length, since);
    return RM_ReplyWithSimpleString(ctx, "OK");
}

static int hook_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 2) return RM_WrongArity(ctx);
    size_t length;
    const char *verb = RM_StringPtrLen(argv[1], &length);
    if (same_word(verb, length, "set")) return set_command(ctx, argv, argc);
    if (same_word(verb, length, "del")) return del_command(ctx, argv, argc);
    if (same_word(verb, length, "list")) return list_command(ctx, argc);
    if (same_word(verb, length, "check")) return check_command(ctx, argv, argc);
    if (same_word(verb, length, "used")) return used_command(ctx, argv, argc);
    return refuse(ctx, NULL, "ERR GEARTRAIN.HOOK has SET, DEL, CHECK and LIST, not '%.40s'", verb);
}

int hookcommand_load(RedisModuleCtx *ctx) {
    return api_command(ctx, "geartrain.hook", hook_command);
}
