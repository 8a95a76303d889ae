/* The part of the server's module API that Geartrain uses, declared by ourselves and resolved by name at load.
 *
 * Redis >= 7.2 and Valkey >= 7.2 offer the same functions under the same names; what only newer servers have is resolved
 * too and may be NULL (the second list). Types of the server are opaque here. Every function is called through its
 * pointer `RM_Name`.
 */
#ifndef GEARTRAIN_API_H
#define GEARTRAIN_API_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct RedisModuleCtx RedisModuleCtx;
typedef struct RedisModuleString RedisModuleString;
typedef struct RedisModuleKey RedisModuleKey;
typedef struct RedisModuleCallReply RedisModuleCallReply;
typedef struct RedisModuleIO RedisModuleIO;
typedef struct RedisModuleType RedisModuleType;
typedef struct RedisModuleInfoCtx RedisModuleInfoCtx;
typedef struct RedisModuleUser RedisModuleUser;
typedef struct RedisModuleDigest RedisModuleDigest;
typedef struct RedisModuleCommandFilter RedisModuleCommandFilter;
typedef struct RedisModuleCommandFilterCtx RedisModuleCommandFilterCtx;
typedef struct RedisModuleCommand RedisModuleCommand;
typedef struct RedisModuleBlockedClient RedisModuleBlockedClient;
typedef struct RedisModuleScanCursor RedisModuleScanCursor;

typedef struct {
    uint64_t ms, seq;
} RedisModuleStreamID;

typedef struct {
    uint64_t id, version;
} RedisModuleEvent;

typedef uint64_t RedisModuleTimerID;

typedef int (*RedisModuleCmdFunc)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
typedef int (*RedisModuleNotificationFunc)(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key);
typedef void (*RedisModulePostNotificationJobFunc)(RedisModuleCtx *ctx, void *pd);
typedef void (*RedisModuleTimerProc)(RedisModuleCtx *ctx, void *data);
typedef void (*RedisModuleEventCallback)(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data);
typedef void (*RedisModuleCommandFilterFunc)(RedisModuleCommandFilterCtx *filter);
typedef void (*RedisModuleInfoFunc)(RedisModuleInfoCtx *ctx, int for_crash_report);
typedef void (*RedisModuleFreeFunc)(RedisModuleCtx *ctx, void *data);
typedef void (*RedisModuleDisconnectFunc)(RedisModuleCtx *ctx, RedisModuleBlockedClient *client);

typedef void (*RedisModuleScanKeyFunc)(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value, void *data);

/* The methods of a data type, in the layout of version 5 (servers since 7.2). */
typedef struct {
    uint64_t version;
    void *(*rdb_load)(RedisModuleIO *rdb, int encver);
    void (*rdb_save)(RedisModuleIO *rdb, void *value);
    void (*aof_rewrite)(RedisModuleIO *aof, RedisModuleString *key, void *value);
    size_t (*mem_usage)(const void *value);
    void (*digest)(RedisModuleDigest *digest, void *value);
    void (*free)(void *value);
    int (*aux_load)(RedisModuleIO *rdb, int encver, int when);
    void (*aux_save)(RedisModuleIO *rdb, int when);
    int aux_save_triggers;
    void (*unused[8])(void);
    void (*aux_save2)(RedisModuleIO *rdb, int when);
} RedisModuleTypeMethods;

enum { REDISMODULE_OK = 0, REDISMODULE_ERR = 1, REDISMODULE_APIVER_1 = 1 };

enum {
    REDISMODULE_READ = 1 << 0,
    REDISMODULE_WRITE = 1 << 1,
    REDISMODULE_OPEN_KEY_NOTOUCH = 1 << 16,
    REDISMODULE_OPEN_KEY_NONOTIFY = 1 << 17,
    REDISMODULE_OPEN_KEY_NOSTATS = 1 << 18,
    REDISMODULE_OPEN_KEY_NOEXPIRE = 1 << 19,
    REDISMODULE_OPEN_KEY_NOEFFECTS = 1 << 20,
};

/* How a key is opened that is only looked at: nobody else notices. */
enum {
    OPEN_TO_LOOK = REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH | REDISMODULE_OPEN_KEY_NONOTIFY |
                   REDISMODULE_OPEN_KEY_NOSTATS | REDISMODULE_OPEN_KEY_NOEFFECTS,
};

enum {
    REDISMODULE_KEYTYPE_EMPTY = 0,
    REDISMODULE_KEYTYPE_STRING = 1,
    REDISMODULE_KEYTYPE_LIST = 2,
    REDISMODULE_KEYTYPE_HASH = 3,
    REDISMODULE_KEYTYPE_SET = 4,
    REDISMODULE_KEYTYPE_ZSET = 5,
    REDISMODULE_KEYTYPE_MODULE = 6,
    REDISMODULE_KEYTYPE_STREAM = 7,
};

/* What those types are called, by number. */
extern const char *const api_type_names[8];

enum {
    REDISMODULE_REPLY_STRING = 0,
    REDISMODULE_REPLY_ERROR = 1,
    REDISMODULE_REPLY_INTEGER = 2,
    REDISMODULE_REPLY_ARRAY = 3,
    REDISMODULE_REPLY_NULL = 4,
    REDISMODULE_REPLY_BOOL = 7,
    REDISMODULE_REPLY_DOUBLE = 8,
};

enum {
    REDISMODULE_CTX_FLAGS_LUA = 1 << 0,
    REDISMODULE_CTX_FLAGS_MULTI = 1 << 1,
    REDISMODULE_CTX_FLAGS_SLAVE = 1 << 3,
    REDISMODULE_CTX_FLAGS_CLUSTER = 1 << 5,
    REDISMODULE_CTX_FLAGS_AOF = 1 << 6,
    REDISMODULE_CTX_FLAGS_REPLICATED = 1 << 12,
    REDISMODULE_CTX_FLAGS_LOADING = 1 << 13,
    REDISMODULE_CTX_FLAGS_DENY_BLOCKING = 1 << 21,
    REDISMODULE_CTX_FLAGS_RESP3 = 1 << 22,
};

enum {
    REDISMODULE_NOTIFY_GENERIC = 1 << 2,
    REDISMODULE_NOTIFY_STRING = 1 << 3,
    REDISMODULE_NOTIFY_LIST = 1 << 4,
    REDISMODULE_NOTIFY_SET = 1 << 5,
    REDISMODULE_NOTIFY_HASH = 1 << 6,
    REDISMODULE_NOTIFY_ZSET = 1 << 7,
    REDISMODULE_NOTIFY_EXPIRED = 1 << 8,
    REDISMODULE_NOTIFY_EVICTED = 1 << 9,
    REDISMODULE_NOTIFY_STREAM = 1 << 10,
    REDISMODULE_NOTIFY_KEY_MISS = 1 << 11,
    REDISMODULE_NOTIFY_MODULE = 1 << 13,
};

enum { REDISMODULE_STREAM_ADD_AUTOID = 1 << 0 };

enum { REDISMODULE_AUX_BEFORE_RDB = 1 << 0, REDISMODULE_AUX_AFTER_RDB = 1 << 1 };

enum {
    REDISMODULE_OPTIONS_HANDLE_IO_ERRORS = 1 << 0,
    VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION = 1 << 5,
};

enum {
    REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED = 0,
    REDISMODULE_EVENT_FLUSHDB = 2,
    REDISMODULE_EVENT_LOADING = 3,
    REDISMODULE_EVENT_CLIENT_CHANGE = 4,
    REDISMODULE_EVENT_SHUTDOWN = 5,
    REDISMODULE_EVENT_CRON_LOOP = 8,
    REDISMODULE_EVENT_SWAPDB = 11,
    REDISMODULE_EVENT_FORK_CHILD = 13,
    REDISMODULE_EVENT_EVENTLOOP = 15,
    VALKEYMODULE_EVENT_ATOMIC_SLOT_MIGRATION = 19,
};

enum {
    REDISMODULE_SUBEVENT_FLUSHDB_START = 0,
    REDISMODULE_SUBEVENT_LOADING_REPL_START = 2,
    REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED = 1,
    REDISMODULE_SUBEVENT_EVENTLOOP_BEFORE_SLEEP = 0,
    VALKEYMODULE_SUBEVENT_IMPORT_STARTED = 0,
    VALKEYMODULE_SUBEVENT_IMPORT_ABORTED = 2,
    VALKEYMODULE_SUBEVENT_IMPORT_COMPLETED = 4,
};

/* What GetClientInfoById tells, in its first version; it comes with REDISMODULE_EVENT_CLIENT_CHANGE too. */
typedef struct {
    uint64_t version;
    uint64_t flags;
    uint64_t id;
    char addr[46];
    uint16_t port;
    uint16_t db;
} RedisModuleClientInfo;

enum { REDISMODULE_CLIENTINFO_FLAG_SSL = 1 << 0 };

/* For RegisterCommandFilter: what the module itself calls is not filtered. */
enum { REDISMODULE_CMDFILTER_NOSELF = 1 << 0 };

/* What comes with REDISMODULE_EVENT_FLUSHDB: dbnum is -1 for all. */
typedef struct {
    uint64_t version;
    int32_t sync;
    int32_t dbnum;
} RedisModuleFlushInfo;

/* What comes with VALKEYMODULE_EVENT_ATOMIC_SLOT_MIGRATION. */
typedef struct {
    int first;
    int last;
} ValkeyModuleSlots;

typedef struct {
    uint64_t version;
    char job[41];
    const ValkeyModuleSlots *ranges;
    uint32_t range_count;
} ValkeyModuleMigrationInfo;

/* What comes with REDISMODULE_EVENT_SWAPDB. */
typedef struct {
    uint64_t version;
    int32_t first;
    int32_t second;
} RedisModuleSwapDbInfo;

/* name, result, parameters: needed. A server that lacks one of them is too old. */
#define GEARTRAIN_NEEDED(X)                                                                                            \
    X(Alloc, void *, (size_t))                                                                                         \
    X(Calloc, void *, (size_t, size_t))                                                                                \
    X(Realloc, void *, (void *, size_t))                                                                               \
    X(Free, void, (void *))                                                                                            \
    X(SetModuleAttribs, void, (RedisModuleCtx *, const char *, int, int))                                              \
    X(IsModuleNameBusy, int, (const char *))                                                                           \
    X(SetModuleOptions, void, (RedisModuleCtx *, int))                                                                 \
    X(GetModuleOptionsAll, int, (void))                                                                                \
    X(CreateCommand, int, (RedisModuleCtx *, const char *, RedisModuleCmdFunc, const char *, int, int, int))           \
    X(GetCommand, RedisModuleCommand *, (RedisModuleCtx *, const char *))                                              \
    X(SetCommandACLCategories, int, (RedisModuleCommand *, const char *))                                              \
    X(Log, void, (RedisModuleCtx *, const char *, const char *, ...))                                                  \
    X(GetContextFlags, int, (RedisModuleCtx *))                                                                        \
    X(GetSelectedDb, int, (RedisModuleCtx *))                                                                          \
    X(SelectDb, int, (RedisModuleCtx *, int))                                                                          \
    X(GetDetachedThreadSafeContext, RedisModuleCtx *, (RedisModuleCtx *))                                              \
    X(CreateString, RedisModuleString *, (RedisModuleCtx *, const char *, size_t))                                     \
    X(CreateStringFromLongLong, RedisModuleString *, (RedisModuleCtx *, long long))                                    \
    X(CreateStringFromStreamID, RedisModuleString *, (RedisModuleCtx *, const RedisModuleStreamID *))                  \
    X(HoldString, RedisModuleString *, (RedisModuleCtx *, RedisModuleString *))                                        \
    X(FreeString, void, (RedisModuleCtx *, RedisModuleString *))                                                       \
    X(StringPtrLen, const char *, (const RedisModuleString *, size_t *))                                               \
    X(StringToLongLong, int, (const RedisModuleString *, long long *))                                                 \
    X(WrongArity, int, (RedisModuleCtx *))                                                                             \
    X(ReplyWithError, int, (RedisModuleCtx *, const char *))                                                           \
    X(ReplyWithSimpleString, int, (RedisModuleCtx *, const char *))                                                    \
    X(ReplyWithCString, int, (RedisModuleCtx *, const char *))                                                         \
    X(ReplyWithStringBuffer, int, (RedisModuleCtx *, const char *, size_t))                                            \
    X(ReplyWithLongLong, int, (RedisModuleCtx *, long long))                                                           \
    X(ReplyWithArray, int, (RedisModuleCtx *, long))                                                                   \
    X(ReplyWithString, int, (RedisModuleCtx *, RedisModuleString *))                                                   \
    X(ReplyWithNull, int, (RedisModuleCtx *))                                                                          \
    X(ReplyWithNullArray, int, (RedisModuleCtx *))                                                                     \
    X(ReplyWithBool, int, (RedisModuleCtx *, int))                                                                     \
    X(ReplyWithDouble, int, (RedisModuleCtx *, double))                                                                \
    X(ReplyWithBigNumber, int, (RedisModuleCtx *, const char *, size_t))                                               \
    X(ReplyWithVerbatimStringType, int, (RedisModuleCtx *, const char *, size_t, const char *))                        \
    X(ReplyWithMap, int, (RedisModuleCtx *, long))                                                                     \
    X(ReplyWithSet, int, (RedisModuleCtx *, long))                                                                     \
    X(ReplyWithCallReply, int, (RedisModuleCtx *, RedisModuleCallReply *))                                             \
    X(ReplicateVerbatim, int, (RedisModuleCtx *))                                                                      \
    X(Replicate, int, (RedisModuleCtx *, const char *, const char *, ...))                                             \
    X(OpenKey, RedisModuleKey *, (RedisModuleCtx *, RedisModuleString *, int))                                         \
    X(CloseKey, void, (RedisModuleKey *))                                                                              \
    X(KeyType, int, (RedisModuleKey *))                                                                                \
    X(ValueLength, size_t, (RedisModuleKey *))                                                                         \
    X(StringDMA, char *, (RedisModuleKey *, size_t *, int))                                                            \
    X(ListGet, RedisModuleString *, (RedisModuleKey *, long))                                                          \
    X(ScanCursorCreate, RedisModuleScanCursor *, (void))                                                               \
    X(ScanCursorDestroy, void, (RedisModuleScanCursor *))                                                              \
    X(ScanKey, int, (RedisModuleKey *, RedisModuleScanCursor *, RedisModuleScanKeyFunc, void *))                       \
    X(ZsetFirstInScoreRange, int, (RedisModuleKey *, double, double, int, int))                                        \
    X(ZsetRangeCurrentElement, RedisModuleString *, (RedisModuleKey *, double *))                                      \
    X(ZsetRangeNext, int, (RedisModuleKey *))                                                                          \
    X(ZsetRangeEndReached, int, (RedisModuleKey *))                                                                    \
    X(ZsetRangeStop, void, (RedisModuleKey *))                                                                         \
    X(StreamIteratorStart, int, (RedisModuleKey *, int, RedisModuleStreamID *, RedisModuleStreamID *))                 \
    X(StreamIteratorNextID, int, (RedisModuleKey *, RedisModuleStreamID *, long *))                                    \
    X(StreamIteratorNextField, int, (RedisModuleKey *, RedisModuleString **, RedisModuleString **))                    \
    X(StreamIteratorStop, int, (RedisModuleKey *))                                                                     \
    X(StreamAdd, int, (RedisModuleKey *, int, RedisModuleStreamID *, RedisModuleString **, long))                      \
    X(Call, RedisModuleCallReply *, (RedisModuleCtx *, const char *, const char *, ...))                               \
    X(FreeCallReply, void, (RedisModuleCallReply *))                                                                   \
    X(CallReplyType, int, (RedisModuleCallReply *))                                                                    \
    X(CallReplyInteger, long long, (RedisModuleCallReply *))                                                           \
    X(CallReplyDouble, double, (RedisModuleCallReply *))                                                               \
    X(CallReplyBool, int, (RedisModuleCallReply *))                                                                    \
    X(CallReplyLength, size_t, (RedisModuleCallReply *))                                                               \
    X(CallReplyArrayElement, RedisModuleCallReply *, (RedisModuleCallReply *, size_t))                                 \
    X(CallReplyStringPtr, const char *, (RedisModuleCallReply *, size_t *))                                            \
    X(CallReplyProto, const char *, (RedisModuleCallReply *, size_t *))                                                \
    X(SubscribeToKeyspaceEvents, int, (RedisModuleCtx *, int, RedisModuleNotificationFunc))                            \
    X(AddPostNotificationJob, int, (RedisModuleCtx *, RedisModulePostNotificationJobFunc, void *, void (*)(void *)))   \
    X(SubscribeToServerEvent, int, (RedisModuleCtx *, RedisModuleEvent, RedisModuleEventCallback))                     \
    X(CreateDataType, RedisModuleType *, (RedisModuleCtx *, const char *, int, RedisModuleTypeMethods *))              \
    X(SaveUnsigned, void, (RedisModuleIO *, uint64_t))                                                                 \
    X(LoadUnsigned, uint64_t, (RedisModuleIO *))                                                                       \
    X(SaveStringBuffer, void, (RedisModuleIO *, const char *, size_t))                                                 \
    X(LoadStringBuffer, char *, (RedisModuleIO *, size_t *))                                                           \
    X(IsIOError, int, (RedisModuleIO *))                                                                               \
    X(RegisterInfoFunc, int, (RedisModuleCtx *, RedisModuleInfoFunc))                                                  \
    X(InfoAddSection, int, (RedisModuleInfoCtx *, const char *))                                                       \
    X(InfoAddFieldCString, int, (RedisModuleInfoCtx *, const char *, const char *))                                    \
    X(InfoAddFieldLongLong, int, (RedisModuleInfoCtx *, const char *, long long))                                      \
    X(InfoAddFieldULongLong, int, (RedisModuleInfoCtx *, const char *, unsigned long long))                            \
    X(CreateTimer, RedisModuleTimerID, (RedisModuleCtx *, int64_t, RedisModuleTimerProc, void *))                      \
    X(StopTimer, int, (RedisModuleCtx *, RedisModuleTimerID, void **))                                                 \
    X(GetCurrentUserName, RedisModuleString *, (RedisModuleCtx *))                                                     \
    X(GetModuleUserFromUserName, RedisModuleUser *, (RedisModuleString *))                                             \
    X(FreeModuleUser, int, (RedisModuleUser *))                                                                        \
    X(SetContextUser, void, (RedisModuleCtx *, const RedisModuleUser *))                                               \
    X(GetClientId, unsigned long long, (RedisModuleCtx *))                                                             \
    X(BlockClient, RedisModuleBlockedClient *, (RedisModuleCtx *, RedisModuleCmdFunc, RedisModuleCmdFunc,             \
      RedisModuleFreeFunc, long long))                                                                                 \
    X(UnblockClient, int, (RedisModuleBlockedClient *, void *))                                                        \
    X(SetDisconnectCallback, void, (RedisModuleBlockedClient *, RedisModuleDisconnectFunc))                            \
    X(BlockClientSetPrivateData, void, (RedisModuleBlockedClient *, void *))                                           \
    X(BlockClientGetPrivateData, void *, (RedisModuleBlockedClient *))                                                 \
    X(GetBlockedClientPrivateData, void *, (RedisModuleCtx *))                                                         \
    X(RegisterCommandFilter, RedisModuleCommandFilter *, (RedisModuleCtx *, RedisModuleCommandFilterFunc, int))        \
    X(UnregisterCommandFilter, int, (RedisModuleCtx *, RedisModuleCommandFilter *))                                    \
    X(CommandFilterArgsCount, int, (RedisModuleCommandFilterCtx *))                                                    \
    X(CommandFilterArgInsert, int, (RedisModuleCommandFilterCtx *, int, RedisModuleString *))                          \
    X(CommandFilterGetClientId, unsigned long long, (RedisModuleCommandFilterCtx *))                                   \
    X(GetClientUserNameById, RedisModuleString *, (RedisModuleCtx *, uint64_t))                                        \
    X(GetModuleUserACLString, RedisModuleString *, (RedisModuleUser *))                                                \
    X(ACLCheckCommandPermissions, int, (RedisModuleUser *, RedisModuleString **, int))                                 \
    X(GetCommandKeysWithFlags, int *, (RedisModuleCtx *, RedisModuleString **, int, int *, int **))                    \
    X(IsKeysPositionRequest, int, (RedisModuleCtx *))                                                                  \
    X(KeyAtPosWithFlags, void, (RedisModuleCtx *, int, int))                                                           \
    X(GetCommandKeys, int *, (RedisModuleCtx *, RedisModuleString **, int, int *))                                     \
    X(CommandFilterArgGet, RedisModuleString *, (RedisModuleCommandFilterCtx *, int))                                  \
    X(GetClientInfoById, int, (void *, uint64_t))                                                                      \
    X(MonotonicMicroseconds, uint64_t, (void))

/* May be NULL. */
#define GEARTRAIN_OPTIONAL(X)                                                                                          \
    X(AvoidReplicaTraffic, int, (void))                                                                               \
    X(ClusterCanAccessKeysInSlot, int, (int))                                                                          \
    X(UnsubscribeFromKeyspaceEvents, int, (RedisModuleCtx *, int, RedisModuleNotificationFunc))                        \

#define GEARTRAIN_DECLARE(name, result, parameters) extern result(*RM_##name) parameters;
GEARTRAIN_NEEDED(GEARTRAIN_DECLARE)
GEARTRAIN_OPTIONAL(GEARTRAIN_DECLARE)
#undef GEARTRAIN_DECLARE

/* Whether the server is Valkey, which offers the functions under two names: some numbers mean something else in Redis. */
int api_is_valkey(void);

/* Resolve everything; the name of the first function that is needed and missing, or NULL. */
const char *api_resolve(RedisModuleCtx *ctx);

/* Free what RM_LoadStringBuffer or RM_GetCommandKeys gave (NULL: nothing): it is the server's, and RM_Free is not in builds with
 * AddressSanitizer. */
void api_free_given(void *memory);

/* Have a command that only administrators may call: it is in @admin, @dangerous and @slow, as the server's own are by their
 * flags alone. While clients' writes are paused (a failover), it waits as writes do. */
int api_command(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc handler);

/* Have a command; `keys` is where its key is among the arguments, 0: it has none. */
int api_command_of(RedisModuleCtx *ctx, const char *name, RedisModuleCmdFunc handler, const char *flags, int keys,
                   const char *categories);

/* Whether nothing may be written now, nor by ourselves: the server aborts where it is. */
int api_writes_paused(void);

/* Whether two names are the same, whatever their case. */
int same_word(const char *a, size_t a_length, const char *b);

#endif
