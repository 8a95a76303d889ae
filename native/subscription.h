/* Which events the server tells us of: those that some hook may want, class by class.
 *
 * A class of events that nobody subscribed to costs the server nothing, one that somebody did some 4 % of a SET (it makes a
 * context for each call), even where the call does nothing. So it is asked for strings' events when a hook first may want
 * one of them. Events that are rare, or that come in a class of their own in some versions only (`lrem`, what modules tell),
 * are asked for with the first hook. A hook without `events`, or with a name that is not known here, may want any.
 *
 * Redis 8.2 and later can be told when the last hook has gone; on other servers a class stays once it was asked for.
 */
#ifndef GEARTRAIN_SUBSCRIPTION_H
#define GEARTRAIN_SUBSCRIPTION_H

#include "api.h"
#include "hook.h"

/* Have `callback` called with events from now on. */
int subscription_load(RedisModuleCtx *ctx, RedisModuleNotificationFunc callback);

/* A hook comes: its events are told from now on. At any time, also while data are loaded. */
void subscription_want(const Hook *hook);

/* A hook has gone: what it alone wanted may end, at the next `subscription_settle`. */
void subscription_doubt(void);

/* End what no hook wants. Not while an event is told: the server goes through its list of subscriptions then. */
void subscription_settle(void);

void subscription_info(RedisModuleInfoCtx *ctx);

#endif
