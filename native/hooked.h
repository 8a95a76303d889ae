/* A hooked command: from the filter's command to functions, and to the original.
 *
 *   GEARTRAIN.HOOKED HSET k f v ──> the hook that was registered last ──call_next──> the one before ... ──> HSET
 *
 * Which hooks come next is looked up at each step, by the arguments of that step: a hook with a prefix is left out where no key
 * has it, and one that has gone meanwhile is no obstacle.
 *
 * Permissions are those of the client: it must be allowed the command, or no hook is asked and the server refuses it in its own
 * words; and the original, with whatever arguments it has in the end, is called as the client's user. What a function executes
 * has the permissions of whoever registered it.
 *
 * A hook of mode='sync' is called here. One of another mode is a call for workers (calls.h): the client is blocked, and
 * `call_next` comes back as GEARTRAIN.NEXT. That cannot be where nobody can wait (MULTI, scripts), nor below another hook.
 *
 * What commands do is replicated, never GEARTRAIN.HOOKED: the original and what functions execute are calls that are, within
 * the one unit that a command is.
 */
#ifndef GEARTRAIN_HOOKED_H
#define GEARTRAIN_HOOKED_H

#include "api.h"
#include "python.h"

int hooked_load(RedisModuleCtx *ctx);

/* What comes next after a hook: one of them is not NULL. */
typedef struct {
    PyObject *value;              /* what the next hook's function gave; a new reference */
    RedisModuleCallReply *reply;  /* the server's, of version 2 of the protocol */
    const char *error;            /* an error line that is valid until the next call */
} Next;

/* `call_next` of the function that runs: call what comes after its hook with these arguments (behind the command's name).
 * 0: the running function hooks no command. */
int hooked_next(RedisModuleString **args, size_t count, Next *next);

#endif
