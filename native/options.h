/* What the module is given when it is loaded, and GEARTRAIN.CONFIG, which tells it.
 *
 *   loadmodule geartrain.so [workers N] [worker-url URL] [sync-timeout MS] [python PATH] [dialect D] [RedisGears' options]
 *
 * Two vocabularies. Geartrain's own options are checked: a wrong one, or an unknown name, fails the load, and the log says
 * what is allowed. RedisGears' options are taken from configuration files that were written for another module: no name and no
 * value of theirs fails the load. Those that mean something here are kept (rg.config in Python reads them); of the others a
 * line in the log says that they do nothing. They are kept too, so that RG.CONFIGGET tells what the file says.
 *
 * `Plugin` is in every configuration of RedisGears 1.2: with it, and with `dialect redisgears-1.2`, unknown names are
 * somebody else's (the JVM plugin's, say) and ignored. `dialect` decides where it is given; without it `Plugin` does.
 */
#ifndef GEARTRAIN_OPTIONS_H
#define GEARTRAIN_OPTIONS_H

#include "api.h"

typedef struct {
    const char *python, *worker_url; /* NULL: not given */
    long long timeout_ms;            /* of functions in the server */
    unsigned workers;                /* processes that the server keeps */
    int workers_given;               /* said so, rather than a default: then they must be possible */
    int workers_on_demand;           /* one more where nobody serves a command */
    int redisgears;                  /* the dialect */
} Options;

/* Read the arguments. REDISMODULE_ERR: one is wrong, and the log says which. */
int options_read(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, Options *options);

/* Register GEARTRAIN.CONFIG. */
int options_load(RedisModuleCtx *ctx);

void options_info(RedisModuleInfoCtx *ctx);

#endif
