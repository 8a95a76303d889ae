/* One hook: its fields, and how long it lives. */
#include "hook.h"

#include <string.h>

/* -- texts -------------------------------------------------------------------------------------------------------- */

Text text_of(const char *bytes, size_t length) {
    Text text = {RM_Alloc(length + 1), length};
    memcpy(text.bytes, bytes, length);
    text.bytes[length] = 0;
    return text;
}

void lower_case(char *into, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) into[i] = (char)(bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] | 32 : bytes[i]);
}

static Text lower(Text text) {
    lower_case(text.bytes, text.bytes, text.length);
    return text;
}

/* A list of words as ` a b `, in lower case; empty for none. */
static Text words_of(const char *bytes, size_t length) {
    if (length == 0) return text_of("", 0);
    Text text = {RM_Alloc(length + 3), length + 2};
    text.bytes[0] = text.bytes[length + 1] = ' ';
    memcpy(text.bytes + 1, bytes, length);
    text.bytes[length + 2] = 0;
    return lower(text);
}

int same_text(const Text *text, const char *bytes, size_t length) {
    return text->length == length && memcmp(text->bytes, bytes, length) == 0;
}

int list_has(const Text *list, const char *word) {
    if (list->length == 0) return 1;
    size_t length = strlen(word);
    for (const char *at = list->bytes; (at = strstr(at, word)) != NULL; at++) {
        if (at > list->bytes && at[-1] == ' ' && at[length] == ' ') return 1;
    }
    return 0;
}

/* -- a hook's life ------------------------------------------------------------------------------------------------ */

void hook_forget_outboxes(Hook *hook) {
    if (hook->outboxes == NULL) return;
    for (unsigned i = 0; i < hook->partitions; i++) {
        if (hook->outboxes[i] != NULL) RM_FreeString(NULL, hook->outboxes[i]);
    }
    RM_Free(hook->outboxes);
    hook->outboxes = NULL;
}

void hook_free(Hook *hook) {
    Text *texts[] = {&hook->id,   &hook->version,    &hook->pattern, &hook->events,    &hook->types,
                     &hook->user, &hook->definition, &hook->command, &hook->keyprefix, &hook->commands,
                     &hook->environment, &hook->trigger};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) RM_Free(texts[i]->bytes);
    hook_forget_outboxes(hook);
    RM_Free(hook->error);
    RM_Free(hook);
}

void hook_hold(Hook *hook) {
    hook->users++;
}

void hook_release(Hook *hook) {
    if (--hook->users == 0 && hook->dead) hook_free(hook);
}

void hook_error(Hook *hook, const char *message) {
    RM_Free(hook->error);
    hook->error = NULL;
    if (message == NULL) return;
    size_t length = strlen(message);
    hook->error = RM_Alloc(length + 1);
    memcpy(hook->error, message, length + 1);
}

/* -- fields ------------------------------------------------------------------------------------------------------- */

int number_of(const char *bytes, size_t length, unsigned long long most, unsigned long long *number) {
    *number = 0;
    if (length == 0 || length > 19) return 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < '0' || bytes[i] > '9') return 0;
        *number = *number * 10 + (unsigned long long)(bytes[i] - '0');
    }
    return *number <= most;
}

void text_replace(Text *text, Text by) {
    RM_Free(text->bytes);
    *text = by;
}

/* One of two words, as a number: 0, 1, or -1 for neither. */
static int which(const char *value, size_t length, const char *zero, const char *one) {
    return same_word(value, length, zero) ? 0 : same_word(value, length, one) ? 1 : -1;
}

static int set_choice(int *field, int choice) {
    if (choice >= 0) *field = choice;
    return choice >= 0;
}

static int set_text(Hook *hook, const char *name, size_t name_length, const char *value, size_t length) {
    if (same_word(name, name_length, "pattern")) text_replace(&hook->pattern, text_of(value, length));
    else if (same_word(name, name_length, "events")) text_replace(&hook->events, words_of(value, length));
    else if (same_word(name, name_length, "types")) text_replace(&hook->types, words_of(value, length));
    else if (same_word(name, name_length, "user")) text_replace(&hook->user, text_of(value, length));
    else if (same_word(name, name_length, "definition")) text_replace(&hook->definition, text_of(value, length));
    else if (same_word(name, name_length, "hook")) text_replace(&hook->command, lower(text_of(value, length)));
    else if (same_word(name, name_length, "keyprefix")) text_replace(&hook->keyprefix, text_of(value, length));
    else if (same_word(name, name_length, "trigger")) text_replace(&hook->trigger, text_of(value, length));
    else if (same_word(name, name_length, "environment")) text_replace(&hook->environment, text_of(value, length));
    else if (same_word(name, name_length, "commands")) text_replace(&hook->commands, words_of(value, length));
    else return 0;
    return 1;
}

/* What a field of that name takes where its value was refused; NULL: the value was taken. `*known`: there is such one. */
const char *hook_set(Hook *hook, const char *name, size_t name_length, const char *value, size_t length,
                             int *known) {
    unsigned long long number;
    *known = 1;
    if (set_text(hook, name, name_length, value, length)) return NULL;
    if (same_word(name, name_length, "reader")) {
        int is_command = same_word(value, length, "command");
        int choice = is_command ? READER_COMMAND : which(value, length, "keys", "stream");
        return set_choice(&hook->reader, choice) ? NULL : "keys, stream or command";
    }
    if (same_word(name, name_length, "mode")) {
        return set_choice(&hook->mode, which(value, length, "async", "sync")) ? NULL : "async or sync";
    }
    if (same_word(name, name_length, "snapshot")) {
        return set_choice(&hook->snapshot, which(value, length, "0", "1")) ? NULL : "0 or 1";
    }
    if (same_word(name, name_length, "value")) {
        return set_choice(&hook->value, which(value, length, "0", "1")) ? NULL : "0 or 1";
    }
    if (same_word(name, name_length, "inorder")) {
        return set_choice(&hook->in_order, which(value, length, "0", "1")) ? NULL : "0 or 1";
    }
    if (same_word(name, name_length, "partitions")) {
        if (!number_of(value, length, MOST_PARTITIONS, &number) || number == 0) return "a number from 1 to 1024";
        hook->partitions = (unsigned)number;
        return NULL;
    }
    if (same_word(name, name_length, "limit")) {
        if (!number_of(value, length, UINT64_MAX / 10, &number)) return "a number of entries, 0 for no limit";
        hook->limit = number;
        return NULL;
    }
    if (same_word(name, name_length, "order")) {
        if (!number_of(value, length, INT64_MAX, &hook->order)) return "a number";
        return NULL;
    }
    *known = 0;
    return "reader, mode, pattern, events, types, partitions, snapshot, limit, value, user, definition, hook, keyprefix, "
           "commands, trigger, inorder, environment or order";
}

Hook *hook_new(int db, const char *id, size_t id_length, const char *version, size_t version_length) {
    Hook *hook = RM_Calloc(1, sizeof *hook);
    hook->id = text_of(id, id_length);
    hook->version = text_of(version, version_length);
    hook->pattern = text_of("*", 1);
    hook->events = text_of("", 0);
    hook->types = text_of("", 0);
    hook->user = text_of("", 0);
    hook->definition = text_of("", 0);
    hook->command = text_of("", 0);
    hook->keyprefix = text_of("", 0);
    hook->commands = text_of("", 0);
    hook->environment = text_of("", 0);
    hook->trigger = text_of("", 0);
    hook->db = db;
    hook->value = 1;
    hook->partitions = 1;
    return hook;
}
