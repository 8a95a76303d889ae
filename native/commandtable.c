/* The table of hooked commands; the header says what it holds. */
#include "commandtable.h"

#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "hooks.h"
#include "refusals.h"

enum { BUCKETS = 64, TEXT = 300 };

/* What the server tells of a command. */
typedef struct {
    int exists, is_write, is_blocking, is_noscript, has_movable_keys;
} Facts;

static HookedCommand *buckets[BUCKETS];
static size_t command_count;

/* -- entries ------------------------------------------------------------------------------------------------------ */

static HookedCommand **place_of(const char *name, size_t length) {
    char lower[MOST_NAME];
    if (length > MOST_NAME) return NULL;
    lower_case(lower, name, length);
    uint64_t hash = hash_bytes(HASH_BEGIN, lower, length);
    HookedCommand **at = &buckets[hash_place(hash, BUCKETS)];
    while (*at != NULL && !((*at)->length == length && memcmp((*at)->name, lower, length) == 0)) at = &(*at)->next;
    return at;
}

const HookedCommand *hooktable_find(const char *name, size_t length) {
    HookedCommand **at = place_of(name, length);
    return at != NULL ? *at : NULL;
}

static HookedCommand *entry_of(const char *name, size_t length) {
    HookedCommand **at = place_of(name, length);
    if (at == NULL || *at != NULL) return at != NULL ? *at : NULL;
    HookedCommand *command = RM_Calloc(1, sizeof *command);
    memcpy(command->name, name, length);
    command->length = length;
    command_count++;
    return *at = command;
}

static void remove_entry(const char *name, size_t length) {
    HookedCommand **at = place_of(name, length), *command = at != NULL ? *at : NULL;
    if (command == NULL || command->hook_count + command->linked_count > 0) return;
    *at = command->next;
    RM_Free(command->hooks);
    RM_Free(command->linked);
    RM_Free(command);
    command_count--;
}

void hooktable_each(void (*visit)(HookedCommand *command, void *data), void *data) {
    for (int i = 0; i < BUCKETS; i++) {
        for (HookedCommand *command = buckets[i]; command != NULL; command = command->next) visit(command, data);
    }
}

size_t hooktable_count(void) {
    return command_count;
}

/* -- hooks -------------------------------------------------------------------------------------------------------- */

static unsigned long long version_of(const Hook *hook) {
    unsigned long long number;
    return number_of(hook->version.bytes, hook->version.length, INT64_MAX, &number) ? number : 0;
}

int hooktable_compare(const Hook *a, const Hook *b) {
    unsigned long long of_a = version_of(a), of_b = version_of(b);
    if (of_a != of_b) return of_a > of_b ? -1 : 1;
    if (a->order != b->order) return a->order > b->order ? -1 : 1;
    return strcmp(b->id.bytes, a->id.bytes);
}

static void insert(Hook ***hooks, unsigned *count, Hook *hook) {
    unsigned at = *count;
    *hooks = RM_Realloc(*hooks, (*count + 1) * sizeof **hooks);
    for (; at > 0 && hooktable_compare((*hooks)[at - 1], hook) > 0; at--) (*hooks)[at] = (*hooks)[at - 1];
    (*hooks)[at] = hook;
    (*count)++;
}

static void take_out(Hook **hooks, unsigned *count, const Hook *hook) {
    unsigned kept = 0;
    for (unsigned i = 0; i < *count; i++) {
        if (hooks[i] != hook) hooks[kept++] = hooks[i];
    }
    *count = kept;
}

/* The next word of a list ` a b ` at `*at`; its length, 0 at the end. */
static size_t next_word(const char **at) {
    while (**at == ' ') (*at)++;
    return strcspn(*at, " ");
}

int hooktable_add(Hook *hook) {
    if (hook->reader == READER_COMMAND) {
        HookedCommand *command = hook->command.length > 0 ? entry_of(hook->command.bytes, hook->command.length) : NULL;
        if (command != NULL) insert(&command->hooks, &command->hook_count, hook);
        return command != NULL;
    }
    const char *word = hook->commands.bytes;
    int found = 0;
    for (size_t length; (length = next_word(&word)) > 0; word += length) {
        HookedCommand *command = entry_of(word, length);
        if (command == NULL) continue;
        insert(&command->linked, &command->linked_count, hook);
        found = 1;
    }
    return found;
}

int hooktable_remove(Hook *hook) {
    if (hook->reader == READER_COMMAND) {
        HookedCommand **at = place_of(hook->command.bytes, hook->command.length);
        if (at == NULL || *at == NULL) return 0;
        take_out((*at)->hooks, &(*at)->hook_count, hook);
        remove_entry(hook->command.bytes, hook->command.length);
        return 1;
    }
    const char *word = hook->commands.bytes;
    int found = 0;
    for (size_t length; (length = next_word(&word)) > 0; word += length) {
        HookedCommand **at = place_of(word, length);
        if (at == NULL || *at == NULL) continue;
        take_out((*at)->linked, &(*at)->linked_count, hook);
        remove_entry(word, length);
        found = 1;
    }
    return found;
}

/* -- what the server tells ---------------------------------------------------------------------------------------- */

static int has_word(RedisModuleCallReply *list, const char *word) {
    size_t count = list != NULL && RM_CallReplyType(list) == REDISMODULE_REPLY_ARRAY ? RM_CallReplyLength(list) : 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        const char *bytes = RM_CallReplyStringPtr(RM_CallReplyArrayElement(list, i), &length);
        if (bytes != NULL && same_word(bytes, length, word)) return 1;
    }
    return 0;
}

/* One line of COMMAND INFO; a command with subcommands is what any of them is. */
static void read_facts(RedisModuleCallReply *line, Facts *facts) {
    if (line == NULL || RM_CallReplyType(line) != REDISMODULE_REPLY_ARRAY) return;
    facts->exists = 1;
    RedisModuleCallReply *flags = RM_CallReplyArrayElement(line, 2);
    facts->is_write |= has_word(flags, "write");
    facts->is_blocking |= has_word(flags, "blocking");
    facts->is_noscript |= has_word(flags, "noscript");
    facts->has_movable_keys |= has_word(flags, "movablekeys");
    RedisModuleCallReply *below = RM_CallReplyLength(line) > 9 ? RM_CallReplyArrayElement(line, 9) : NULL;
    size_t count = below != NULL && RM_CallReplyType(below) == REDISMODULE_REPLY_ARRAY ? RM_CallReplyLength(below) : 0;
    for (size_t i = 0; i < count; i++) read_facts(RM_CallReplyArrayElement(below, i), facts);
}

static Facts facts_of(RedisModuleCtx *ctx, const char *name, size_t length) {
    Facts facts = {0};
    RedisModuleCallReply *reply = RM_Call(ctx, "COMMAND", "cb", "INFO", name, length);
    if (reply == NULL) return facts;
    if (RM_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY) read_facts(RM_CallReplyArrayElement(reply, 0), &facts);
    RM_FreeCallReply(reply);
    return facts;
}

/* Why a command cannot be hooked at all, or NULL. */
static const char *unsuitable(const char *name, size_t length, const Facts *facts) {
    if (!facts->exists) return "the server has no such command";
    if (strncmp(name, "geartrain.", 10) == 0 || strncmp(name, "rg.", 3) == 0) return "it is one of Geartrain's own";
    if (facts->is_noscript) return "scripts may not call it (noscript)";
    if (refusal_is_of_a_connection(name, length)) return "it is about the connection that sends it";
    return NULL;
}

void hooktable_look_up(RedisModuleCtx *ctx, HookedCommand *command) {
    Facts facts = facts_of(ctx, command->name, command->length);
    const char *why = unsuitable(command->name, command->length, &facts);
    command->is_write = facts.is_write;
    command->is_blocking = facts.is_blocking;
    command->state = why == NULL ? COMMAND_KNOWN : COMMAND_REFUSED;
    for (unsigned i = 0; i < command->hook_count && why != NULL; i++) hook_error(command->hooks[i], why);
}

/* -- refusals ----------------------------------------------------------------------------------------------------- */

static const char *refuse(const Hook *hook, const char *name, size_t length, const char *why) {
    static char text[TEXT];
    snprintf(text, sizeof text, "ERR hook %.80s: the command '%.*s' cannot be hooked: %.120s", hook->id.bytes,
             (int)(length > MOST_NAME ? MOST_NAME : length), name, why);
    for (char *c = text; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    return text;
}

static const char *refuse_command(RedisModuleCtx *ctx, const Hook *hook, const char *name, size_t length, int any_key) {
    if (length > MOST_NAME) return refuse(hook, name, length, "no command has so long a name");
    Facts facts = facts_of(ctx, name, length);
    const char *why = unsuitable(name, length, &facts);
    if (why == NULL && facts.has_movable_keys && !any_key) {
        why = "its keys stand in other places each time (movablekeys), so none can be asked of them";
    }
    return why != NULL ? refuse(hook, name, length, why) : NULL;
}

/* An async hook is the last one of its command: what it would be called by cannot wait. */
const char *hooktable_disorder(const Hook *hook) {
    if (hook->reader != READER_COMMAND) return NULL;
    const HookedCommand *command = hooktable_find(hook->command.bytes, hook->command.length);
    for (unsigned i = 0; command != NULL && i < command->hook_count; i++) {
        const Hook *other = command->hooks[i];
        if (other->db != hook->db || same_text(&other->id, hook->id.bytes, hook->id.length)) continue;
        const Hook *earlier = hooktable_compare(hook, other) < 0 ? other : hook;
        if (earlier->mode == MODE_SYNC) continue;
        static char text[TEXT];
        snprintf(text, sizeof text, "it is hooked with mode='async' by %.80s, and no other hook can come on top of that",
                 earlier->id.bytes);
        return refuse(hook, hook->command.bytes, hook->command.length, text);
    }
    return NULL;
}

const char *hooktable_unsuitable(RedisModuleCtx *ctx, const Hook *hook) {
    if (hook->reader == READER_COMMAND) {
        if (hook->command.length == 0) return NULL;
        return refuse_command(ctx, hook, hook->command.bytes, hook->command.length, hook->keyprefix.length == 0);
    }
    const char *word = hook->commands.bytes, *why = NULL;
    for (size_t length; why == NULL && (length = next_word(&word)) > 0; word += length) {
        why = refuse_command(ctx, hook, word, length, same_text(&hook->pattern, "*", 1));
    }
    return why;
}
