/* `GEARTRAIN.ATOMIC MS`: hold the server for a block of commands of one client, while all others wait.
 *
 *   client                          server (in the command's handler, on the main thread)
 *   GEARTRAIN.ATOMIC 1000  ──────>
 *                          <──────  +OK                         from here on nobody else is served
 *   any command            ──────>
 *                          <──────  its reply                   ...
 *   GEARTRAIN.ATOMIC END   ──────>
 *                          <──────  +END                        the reply to the first command; the others go on
 *
 * While the handler runs it reads and writes the client's socket itself, so the client must not send ahead. All the block's
 * writes are one unit of replication: in the append-only file and on replicas between MULTI and EXEC. When MS milliseconds
 * are over the handler answers -ATOMICTIMEOUT and shuts the connection: what the block has done stays, and nothing of it
 * can run later by mistake.
 *
 * Rejected: pausing all other clients (CLIENT PAUSE pauses this one too); a command filter that sends other clients'
 * commands to a waiting room (MULTI, SUBSCRIBE and what belongs to a connection cannot be replayed by somebody else); a
 * thread that holds the server's lock (its client is not served either, as the main thread serves it).
 */
#ifndef GEARTRAIN_ATOMIC_H
#define GEARTRAIN_ATOMIC_H

#include "api.h"

int atomic_load(RedisModuleCtx *ctx);

void atomic_info(RedisModuleInfoCtx *ctx);

#endif
