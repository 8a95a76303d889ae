/* Clients that wait for what their command has triggered (`commands=` of a KeysReader).
 *
 *   hooked command ──links_enter──> the original, whose events come ──links_expect──> a link, for each of them
 *        └──links_leave: some are to come──> the client is blocked, with the original's reply kept
 *   job after the command ──> the function runs: links_done            (sync)
 *                         └─> outbox entry with `link <id>` ──> worker ──> GEARTRAIN.LINK DONE     (async)
 *   the last one is done ──> the client gets its reply: the original's, or what one of them put in its place
 *
 * A link is in memory, known by a number that is not used twice, also not by the next process: whoever has an old one is
 * told that its client is gone. So a worker may die, or the server, and nothing is left over. A client waits at most
 * LINK_MS; then it gets the reply that it would have had without the link, and what is late finds its client gone. Without
 * that bound a registration that is paused, or that no worker serves, would keep clients for ever.
 *
 * The same where the registration goes.
 *
 * Within MULTI and scripts nobody can wait: the events come, and belong to no link.
 *
 *   GEARTRAIN.LINK OVERRIDE outbox id reply    1; an error where it was done already, or the client is gone
 *   GEARTRAIN.LINK DONE outbox id              1, or 0: the client is gone
 *
 * The outbox is named because a cluster's commands go where their key is. `reply` is one value as RESP3 text.
 *
 * Rejected: the worker's answer as a key that is watched (a write and a notification more for each miss); a call (calls.h)
 * in the place of the outbox entry, which would be lost with the server, while events are not.
 */
#ifndef GEARTRAIN_LINKS_H
#define GEARTRAIN_LINKS_H

#include "api.h"
#include "hook.h"

enum { LINK_MS = 30000 };

/* The original command runs from now on, until `links_leave`: events are its. */
void links_enter(RedisModuleString *command, int may_wait);

/* The link for which executions are to come; 0: there are none. */
uint64_t links_leave(void);

/* Whether the events that come now are those of a command that the hook names, or it names none. */
int links_wants(const Hook *hook);

/* Which command it is whose events come now, 0: none of ours; and the last one whose client was blocked. While that one's
 * jobs run the server takes it for running still (foreign.h), so in a cluster they are to come later, from a timer: of what
 * waits for clients the outbox entry is then not of one unit with the write. */
uint64_t links_unit(void);
uint64_t links_blocked_unit(void);

/* An execution is to come because of an event that comes now: its link, or 0. */
uint64_t links_expect(const Hook *hook);

/* One is done, or will not come. */
void links_done(uint64_t id);

/* A hook goes, and what it has captured with it: whoever waits for that gets its reply. */
void links_forget(const Hook *hook);

/* Block the client until all are done; `reply` is what it gets otherwise, and is freed by the caller. */
int links_block(RedisModuleCtx *ctx, uint64_t id, RedisModuleCallReply *reply);

/* The link of the function that runs in the server from now on; returns the one before. */
uint64_t links_run(uint64_t id);

/* Give the client of the running function another reply, as RESP3 text. NULL, or why that cannot be. */
const char *links_override(const char *reply, size_t length);

/* Called now and then: those that have waited too long get their reply. */
void links_expire(void);

int links_load(RedisModuleCtx *ctx);
void links_info(RedisModuleInfoCtx *ctx);

#endif
