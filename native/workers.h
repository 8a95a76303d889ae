/* Worker processes that the server itself starts, and starts again when they die: `loadmodule geartrain.so workers N`.
 *
 * They are what `geartrain worker` starts (`python -m geartrain.worker`), and follow the same protocol: a socket that the
 * worker inherits. Its end of input tells the worker that the server has gone, however that ended; and the other way round.
 * They run where this server is a primary that has loaded its data. Without the option there is none, and one as soon as a
 * client's command waits for somebody to answer it. Main thread only.
 *
 * Seats, each with one process at a time:
 *
 *   EMPTY ──the server is a primary, the rest is over──> RUNNING ──end of input──> EMPTY (rests: 0.2 s, doubling, to 10 s)
 *   RUNNING ──the server is a replica now, or shuts down──> STOPPING (SIGTERM) ──end of input──> EMPTY
 */
#ifndef GEARTRAIN_WORKERS_H
#define GEARTRAIN_WORKERS_H

#include "api.h"
#include "options.h"

enum { MOST_WORKERS = 256 };

/* At load, after the interpreter was looked for. REDISMODULE_ERR: workers were asked for, and cannot be. */
int workers_load(RedisModuleCtx *ctx, const Options *options);

/* Somebody is missed who answers commands: have a worker, where none is kept and that is allowed. */
void workers_want(void);

/* How many are kept, or are to be; how many processes there are. */
unsigned workers_wanted(void);
unsigned workers_running(void);

void workers_info(RedisModuleInfoCtx *ctx);

#endif
