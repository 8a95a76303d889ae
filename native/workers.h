/* Worker processes that the server itself starts, and starts again when they die: `loadmodule geartrain.so workers N`.
 *
 * They are what `geartrain worker` starts (`python -m geartrain.worker`), and follow the same protocol: a socket that the
 * worker inherits. Its end of input tells the worker that the server has gone, however that ended; and the other way round.
 * They run where this server is a primary that has loaded its data. Main thread only.
 *
 * Seats, each with one process at a time:
 *
 *   EMPTY ──the server is a primary, the rest is over──> RUNNING ──end of input──> EMPTY (rests: 0.2 s, doubling, to 10 s)
 *   RUNNING ──the server is a replica now, or shuts down──> STOPPING (SIGTERM) ──end of input──> EMPTY
 */
#ifndef GEARTRAIN_WORKERS_H
#define GEARTRAIN_WORKERS_H

#include "api.h"

enum { MOST_WORKERS = 256 };

/* At load.
 *   count   processes; 0: none
 *   url     how they reach this server, or NULL: by its port or socket, with the password of `requirepass`
 *   python  the interpreter, or NULL: found from the place of the module */
int workers_load(RedisModuleCtx *ctx, unsigned count, const char *url, const char *python);

void workers_info(RedisModuleInfoCtx *ctx);

#endif
