/* No sync yet: stands in for sync.c until that is there. */
#include "sync.h"

void sync_load(RedisModuleCtx *ctx, const char *python, long long timeout_ms) { (void)ctx, (void)python, (void)timeout_ms; }
const char *sync_reason(void) { return "this build has no sync"; }
void sync_set(Hook *hook) { (void)hook; }
void sync_del(Hook *hook) { (void)hook; }
void sync_event(RedisModuleCtx *ctx, Hook *hook, const char *event, RedisModuleString *key) { (void)ctx, (void)hook, (void)event, (void)key; }
Hook *sync_running(void) { return NULL; }
int sync_depth(void) { return 0; }
void sync_at_depth(int depth) { (void)depth; }
void sync_info(RedisModuleInfoCtx *ctx) { RM_InfoAddFieldCString(ctx, "sync", sync_reason()); }
