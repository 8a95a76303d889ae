/* RedisGears' commands, RG.*: the module takes them, workers answer them.
 *
 *   RG.PYEXECUTE ...          ──lane script──> the worker's executors
 *   RG.DUMPREGISTRATIONS ...  ──lane admin───> the worker's service
 *   RG.TRIGGER name ...       ──hook of that name──> triggers.h
 *
 * Nothing of the first two runs in the server, which only counts their arguments, so that what nobody can mean is refused at
 * once. They are for administrators (@admin): who may call one runs any code. Triggers are for users: what a function may do
 * is what those may who registered it. A trigger may write, so it is a write: refused on replicas, put off while writes are
 * paused.
 */
#ifndef GEARTRAIN_RG_H
#define GEARTRAIN_RG_H

#include "api.h"

int rg_load(RedisModuleCtx *ctx);

#endif
