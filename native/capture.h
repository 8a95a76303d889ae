/* Capture: from a key event to a hook's outbox, or to its function.
 *
 *   notification ──matches──> job ──after the command, before its reply──> XADD to the outbox, or the function
 *
 * A notification callback must not write, so it only notes what happened (a job: hook, event, key, type). The server runs
 * the job at the end of the command, of EXEC or of the script, within the same unit of replication: key and outbox are both
 * in the append-only file and on replicas, or neither is. The entry's XADD is replicated with the id that it got.
 *
 * Nothing is captured on a replica (its primary has), while data are loaded (they have been), and for keys under
 * `geartrain:`. Main thread only.
 */
#ifndef GEARTRAIN_CAPTURE_H
#define GEARTRAIN_CAPTURE_H

#include "api.h"

/* Begin to listen. */
int capture_load(RedisModuleCtx *ctx);

/* What the outboxes of this shard have between braces: a number that hashes to a slot of its own. */
const char *capture_tag(RedisModuleCtx *ctx);

/* Whether this server executes and captures now: it is a primary and has loaded its data. */
int capture_active(void);

void capture_info(RedisModuleInfoCtx *ctx);

#endif
