/* Which commands are hooked, and the filter that turns them into the module's own.
 *
 *   client, script ──HSET k f v──> filter ──> GEARTRAIN.HOOKED... HSET k f v ──> the hook's function (hooked.h)
 *
 * A hook `reader command hook C` and an events' hook with `commands C` are listed here under C. While there are any, a
 * command filter looks at the name of each command that clients send or scripts call; what the module itself calls is not
 * filtered. So a server without hooks pays nothing, and one with them, for each other command, what a look into a bit set
 * costs. A filter cannot refuse or answer, and an answer that comes later needs a command of the module's: so the filter puts
 * one before the command. It does so only where a hook concerns it, by its keys.
 *
 * What is put before depends on what the server is to check. Its checks are made for the command that it then sees:
 *
 *   | command                  | for                                    | flags                                    |
 *   |--------------------------|----------------------------------------|------------------------------------------|
 *   | GEARTRAIN.HOOKED         | writes                                 | write: not in read-only scripts, pauses  |
 *   | GEARTRAIN.HOOKEDREAD     | what is no write                       | may-replicate: its function may write    |
 *   | GEARTRAIN.HOOKEDSCRIPT   | the same, called by a script           | readonly: a read-only script may call it |
 *
 * The first two exist twice. Users must not need a permission for them beside the one for the command they sent, which
 * hooked.c checks. A command that anybody may call is one with the flag `no-auth`, and that one also clients may call who
 * have not logged in. Such a client has the user `default`; so `default` gets the command without the flag (with it ends the
 * name in `.`), unless it needs no password anyway. Nobody can call these commands by their names: hooked.c takes them only
 * from the filter, whose strings it knows by their addresses.
 *
 * Not hooked: commands with a key under `geartrain:` (a hook of HSET is not to change the registry), what replicas get from their primary, what slot migrations bring, what is read from an append-only file (their
 * effects are in there already), and the connections that have said GEARTRAIN.UNHOOKED (workers: what a function executes is
 * not hooked, wherever it runs).
 *
 * Rejected: getting at the command through its proc (no API); a permission that each user is given (the ACL is theirs).
 */
#ifndef GEARTRAIN_COMMANDHOOKS_H
#define GEARTRAIN_COMMANDHOOKS_H

#include "api.h"
#include "hook.h"

/* Why a hook cannot be set, as an error line that is valid until the next call; NULL: it can. */
const char *commandhooks_refusal(RedisModuleCtx *ctx, const Hook *hook);

/* The same as far as it is about the commands that it names, whatever other hooks there are. */
const char *commandhooks_unsuitable(RedisModuleCtx *ctx, const Hook *hook);

/* A hook comes, or goes; any reader's. The filter follows at the next `commandhooks_settle`. */
void commandhooks_add(Hook *hook);
void commandhooks_remove(Hook *hook);

/* Look up what is not known yet of the commands that are hooked, and have a filter where one is needed. Not in a filter. */
void commandhooks_settle(void);

/* The hook that comes after one in the chain of a command (NULL: the first of all), for these arguments; NULL: none, now it
 * is the server's turn. Those that were registered last come first. */
Hook *commandhooks_next(int db, RedisModuleString **argv, int argc, const Hook *after);

/* Whether that string is what the filter puts before commands. */
int commandhooks_is_own(const RedisModuleString *name);

/* Register the commands, which all have this handler. */
int commandhooks_load(RedisModuleCtx *ctx, RedisModuleCmdFunc handler);

void commandhooks_info(RedisModuleInfoCtx *ctx);

#endif
