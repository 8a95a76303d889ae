/* Sync hooks: functions that run in the server, after the command and before its reply. Main thread only. */
#ifndef GEARTRAIN_SYNC_H
#define GEARTRAIN_SYNC_H

#include "api.h"
#include "hooks.h"
#include "python.h"

/* At load.
 *   python      the interpreter of the virtual environment, or NULL: found from the place of the module
 *   timeout_ms  after which a function gets TimeoutError
 * Where no shared libpython is found the module works without sync, and `sync_reason` says why. */
void sync_load(RedisModuleCtx *ctx, const char *python, long long timeout_ms);

/* Why there is no sync; NULL: there is. */
const char *sync_reason(void);

/* A sync hook was set (by the command, by replication, from the RDB), or is about to go. User code is loaded at the first
 * event, or a moment later, on a primary that has loaded its data; never in `sync_set` itself. */
void sync_set(Hook *hook);
void sync_del(Hook *hook);

/* One event, in a post-notification job of a primary; `type` is the key's when the event came. */
void sync_event(RedisModuleCtx *ctx, Hook *hook, const char *event, RedisModuleString *key, int type);

/* Call a hook's function with a command: the list of its results, a new reference, with the GIL held; or NULL, and in `*error`
 * an error line that is valid until the next call. */
PyObject *sync_command(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **argv, int argc, const char **error);

/* The hook whose function runs now, or NULL. */
Hook *sync_running(void);

/* How deep the running function is in a chain of functions that triggered each other; 0: none runs. */
int sync_depth(void);

/* The depth that the next `sync_event` runs at; set by capture before it calls. */
void sync_at_depth(int depth);

void sync_info(RedisModuleInfoCtx *ctx);

#endif
