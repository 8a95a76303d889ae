/* The connections that serve calls: `GEARTRAIN.SERVE` and what goes with it.
 *
 *   SERVE timeout-ms lane [lane]...   the next call of the first of these lanes that has one; null after that time (0: never)
 *   ANSWER id blob                    1; 0: its client has gone, or there is no such call
 *   ANSWER id blob timeout-ms lane... as ANSWER and then SERVE, and the reply is that of SERVE: a worker that is told both
 *                                     replies wakes up twice, at the price of a fifth of a trigger's time
 *   RETURN id                         1; 0 likewise: back to the front of its lane
 *   CALL lane arg...                  a call of one's own; its answer
 *
 * A connection serves the lanes of its last SERVE, whether it waits or works, until it ends; one that does neither for ten
 * seconds does not count any more. When it ends, what it had taken is answered with an error: the worker may have done a part
 * of it, so nobody does it again.
 *
 * Waiting connections get no call when they are woken; they take one when their turn to reply comes. So a call is never on
 * the way to a connection that ends at that moment; whoever was woken for nothing gets null, and comes again.
 */
#ifndef GEARTRAIN_SERVING_H
#define GEARTRAIN_SERVING_H

#include "api.h"
#include "calls.h"
#include "lanes.h"

enum { MOST_LANES = 64 };

/* One lane of one connection. */
typedef struct Seat {
    struct Seat *next, *previous; /* in the lane; those that were woken longest ago come first */
    Lane *lane;
    struct Serving *serving;
} Seat;

typedef struct Serving {
    struct Serving *next;
    unsigned long long client_id;
    RedisModuleBlockedClient *waiting; /* NULL: it does not wait */
    CallList running;
    uint64_t seen; /* when it last came, or began to wait; microseconds */
    int count;
    Seat seats[];
} Serving;

/* Wake a connection for a lane's first call, if one waits. */
void serving_wake(Lane *lane);

/* Whether somebody serves a lane. */
int serving_is_served(Lane *lane);

/* A call does not run any more. */
void serving_lose(Serving *serving, Call *call);

/* Have the commands (servecommand.c). */
int servecommand_load(RedisModuleCtx *ctx);

/* The present connection, serving these lanes; NULL: the server would not tell when it goes. */
Serving *serving_of(RedisModuleCtx *ctx, RedisModuleString **names, int count);

/* Reply with the next call; 0: there is none. */
int serving_reply(RedisModuleCtx *ctx, Serving *serving);

/* Let the connection wait. */
void serving_wait(RedisModuleCtx *ctx, Serving *serving, long long timeout_ms);

void serving_info(RedisModuleInfoCtx *ctx);

#endif
