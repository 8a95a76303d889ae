/* GEARTRAIN.UNHOOKED: the connection that says so is a worker's, and what it sends is not hooked from then on. */
#ifndef GEARTRAIN_UNHOOKED_H
#define GEARTRAIN_UNHOOKED_H

#include "api.h"

/* Whether the client with that id has said so. */
int unhooked_has(uint64_t client);

int unhooked_load(RedisModuleCtx *ctx);

#endif
