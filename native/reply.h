/* Replies with what functions give. */
#ifndef GEARTRAIN_REPLY_H
#define GEARTRAIN_REPLY_H

#include "api.h"
#include "functions.h"
#include "python.h"

/* Send what a function gave, as `geartrain.resp3.encode` would. The main thread holds the GIL. */
void reply_value(RedisModuleCtx *ctx, Function *function, PyObject *value);

#endif
