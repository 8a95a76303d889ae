/* Triggers: functions that clients call by a name, RG.TRIGGER and RG.TRIGGERONKEY.
 *
 *   RG.TRIGGER name arg... ──table──> hook ──mode='sync'──> its function, now: the list of its results is the reply
 *                                       └───other modes──> a call for workers (calls.h), with its order where it asks for one
 *
 * A hook `reader command trigger T` is in a table by its name; a look-up costs what a hash costs, however many there are. A
 * trigger that is paused has no hook. Of several hooks with one name the one that was registered last is called.
 *
 * The function gets [name, arg...]; it has the permissions of whoever registered it, as all functions in the server, and is
 * ended when it takes too long. A sync function may call triggers itself, to a small depth: each level takes its part of the
 * server's stack.
 */
#ifndef GEARTRAIN_TRIGGERS_H
#define GEARTRAIN_TRIGGERS_H

#include "api.h"
#include "hook.h"

/* A hook comes, or goes; any reader's. */
void triggers_add(Hook *hook);
void triggers_remove(Hook *hook);

/* Call a hook's function in a worker, with a command. */
int triggers_call_worker(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **argv, int argc);

/* Register the commands. */
int triggers_load(RedisModuleCtx *ctx);

void triggers_info(RedisModuleInfoCtx *ctx);

#endif
