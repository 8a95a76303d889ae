/* Calls: commands whose answer comes from a worker process.
 *
 *   client ──command──> call (the client is blocked) ──lane──> GEARTRAIN.SERVE of a worker ──GEARTRAIN.ANSWER──> reply
 *
 * Calls with the same registration that ask for order go through their lane one at a time (lanes.h):
 *
 *   made ──> BEHIND ──the one before has ended──> WAITING ──taken──> RUNNING ──answered, or its worker is gone──> ENDED
 *                                                    └───────<──returned──────┘
 *
 * The client may go at any moment: what was not taken yet is forgotten; what runs stays until its answer, which tells the
 * worker that nobody is there. `client` is the blocked client while we owe it an end, and each is unblocked once: with the
 * call (ENDED; the server frees it after the reply), or with nothing when the client has gone.
 *
 * Calls are in memory alone; a server that becomes a replica drops its blocked clients, and so our calls. Main thread only.
 */
#ifndef GEARTRAIN_CALLS_H
#define GEARTRAIN_CALLS_H

#include "api.h"
#include "hook.h"

typedef enum { CALL_BEHIND, CALL_WAITING, CALL_RUNNING, CALL_ENDED } CallState;

struct Lane;
struct Order;
struct Serving;

typedef struct Call {
    struct Call *next, *previous; /* in the one list that its state says */
    struct Call *next_id;         /* in the table of ids */
    CallState state;
    uint64_t id;
    struct Lane *lane;
    struct Order *order;          /* NULL: calls before it do not matter */
    struct Serving *serving;      /* who runs it */
    RedisModuleBlockedClient *client; /* NULL: it has gone */
    RedisModuleString **argv, *user;
    int argc, db, resp;
    Text registration;
    uint64_t since;               /* when it came into its lane; microseconds of the monotonic clock */
    RedisModuleString *answer;    /* ENDED: RESP3 text, or NULL: `error` */
    const char *error;            /* a text that stays */
} Call;

/* What a call is made of. `registration`: whose trigger or hook it is, or NULL; then `in_order` may ask for one at a time. */
typedef struct {
    const char *lane;
    size_t lane_length;
    RedisModuleString **argv;
    int argc;
    const Text *registration;
    int in_order;
} CallWish;

int calls_load(RedisModuleCtx *ctx);

/* Why a client cannot wait for an answer here (MULTI, a script, a replica): the error to reply; NULL: it can. */
const char *calls_refusal(RedisModuleCtx *ctx);

/* Make a call of the present command: its client is blocked until the answer, or gets an error at once. Where nobody serves the
 * lane the server starts a worker, if it may (workers.h), and the call waits for one: ten seconds, or thirty for the server's. */
int calls_make(RedisModuleCtx *ctx, const CallWish *wish);

/* A call that runs, or NULL. */
Call *calls_running(uint64_t id);

/* From a lane to a worker's connection, and back to its front. */
Call *calls_take(struct Lane *lane, struct Serving *serving);
void calls_return(Call *call);

/* The end of a running call: an answer in RESP3 text, or an error (a text that stays). Whether its client was still there. */
int calls_end(Call *call, RedisModuleString *answer, const char *error);

void calls_info(RedisModuleInfoCtx *ctx);

#endif
