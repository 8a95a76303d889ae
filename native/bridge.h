/* The builtin module `_geartrain`: what Python code in the server may ask of it.
 *
 *   call(command, args)                  as the user who registered the running function; its reply
 *   execute(command, *args)              what a function calls by that name; direct(is_own): it means this server
 *   own(handle, command, args)           Geartrain's own work, in the hook's database, without permissions
 *   call_next(*args)                     what comes after the hook whose function runs (hooked.h); its reply
 *   override(reply)                      the waiting client's reply, as RESP3 text (links.h)
 *   guarded(handle, factor, f, *args)    call user code as that function, watched
 *   install(handle, call, failed, value, context, absent, untouched)
 *   drain(handle)                        what successful runs left
 *   aborted(handle)                      the function's policy has stopped it: GEARTRAIN.HOOK LIST tells
 *   timer(ms, callable) -> number, cancel(number)
 *   log(level, text), active(), tag(), expired()
 *   setup(load, unload, raise_for, error_reply, accepted, execute, encode)
 *   SIGNAL, TIMEOUT_MS, CLUSTER          the watchdog's; whether this is a shard of a cluster
 *
 * Commands run on the server's main thread and only while the server has called Python: from any other thread, or at any
 * other time, they raise.
 */
#ifndef GEARTRAIN_BRIDGE_H
#define GEARTRAIN_BRIDGE_H

#include "api.h"
#include "python.h"

/* What `setup` was given. */
typedef struct {
    PyObject *load;   /* (handle, id, version, definition, db) -> None, or why it does not run */
    PyObject *unload; /* (handle) */
    PyObject *raise_for;
    PyObject *encode;  /* (value) -> a reply as RESP3 text */
    PyObject *execute; /* what `execute` does where that is not to run a command in this server */
} Bridge;

extern Bridge bridge;

/* Make the module; the interpreter runs. `base` is a context that stays. Whether it could be made. */
int bridge_start(RedisModuleCtx *base, long long timeout_ms);

#endif
