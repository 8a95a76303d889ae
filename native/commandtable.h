/* The commands that are hooked, by name, each with its hooks in the order in which they are called. Main thread only. */
#ifndef GEARTRAIN_COMMANDTABLE_H
#define GEARTRAIN_COMMANDTABLE_H

#include "api.h"
#include "hook.h"

enum { MOST_NAME = 63 };

typedef enum {
    COMMAND_UNKNOWN, /* not looked up yet */
    COMMAND_KNOWN,
    COMMAND_REFUSED, /* the server has no such command, or it cannot be hooked */
} CommandState;

typedef struct HookedCommand {
    struct HookedCommand *next;
    char name[MOST_NAME + 1];
    size_t length;
    CommandState state;
    int is_write, is_blocking;
    Hook **hooks;  /* of readers of commands, those that were registered last first */
    Hook **linked; /* of readers of keys, whose `commands` name it */
    unsigned hook_count, linked_count;
} HookedCommand;

/* Note a hook under the commands that it names, or forget it; whether there were any. */
int hooktable_add(Hook *hook);
int hooktable_remove(Hook *hook);

/* The entry of a command, in any case; NULL: it is not hooked. */
const HookedCommand *hooktable_find(const char *name, size_t length);

void hooktable_each(void (*visit)(HookedCommand *command, void *data), void *data);
size_t hooktable_count(void);

/* Which of two hooks is called first: negative, where the first one was registered later. */
int hooktable_compare(const Hook *a, const Hook *b);

/* Ask the server about a command. */
void hooktable_look_up(RedisModuleCtx *ctx, HookedCommand *command);

/* Why the commands that a hook names cannot be hooked, and why it cannot come beside the other hooks of its command; as error
 * lines that are valid until the next call. NULL: nothing speaks against it. */
const char *hooktable_unsuitable(RedisModuleCtx *ctx, const Hook *hook);
const char *hooktable_disorder(const Hook *hook);

#endif
