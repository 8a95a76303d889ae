/* The block of one client; the header has the protocol. */
#include "atomic.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "foreign.h"

enum { MOST_MS = 60000, MOST_ARGUMENTS = 1 << 20, FIRST_ROOM = 16384, LAST_WORDS_US = 10000 };

static const size_t MOST_BYTES = (size_t)64 << 20; /* of one command */

static unsigned long long blocks, timeouts;

typedef enum { GOES_ON, ENDS, TIMED_OUT, BROKEN } Outcome;

typedef struct {
    int fd;
    uint64_t deadline; /* of RM_MonotonicMicroseconds */
    char *bytes;
    size_t length, room;
} Conversation;

/* A command that was parsed: where its arguments are. */
typedef struct {
    RedisModuleString **argv;
    long argc;
    size_t consumed;
} Parsed;

/* -- the socket --------------------------------------------------------------------------------------------------- */

static Outcome wait_for(const Conversation *talk, short what) {
    for (;;) {
        uint64_t now = RM_MonotonicMicroseconds();
        if (now >= talk->deadline) return TIMED_OUT;
        struct pollfd poller = {.fd = talk->fd, .events = what};
        int ready = poll(&poller, 1, (int)((talk->deadline - now) / 1000) + 1);
        if (ready > 0) return GOES_ON;
        if (ready < 0 && errno != EINTR) return BROKEN;
    }
}

static Outcome send_all(const Conversation *talk, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(talk->fd, bytes, length, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
            continue;
        }
        if (sent == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return BROKEN;
        Outcome outcome = wait_for(talk, POLLOUT);
        if (outcome != GOES_ON) return outcome;
    }
    return GOES_ON;
}

static Outcome read_more(Conversation *talk) {
    Outcome outcome = wait_for(talk, POLLIN);
    if (outcome != GOES_ON) return outcome;
    if (talk->length == talk->room) {
        if (talk->room >= MOST_BYTES) return BROKEN;
        talk->room *= 2;
        talk->bytes = RM_Realloc(talk->bytes, talk->room);
    }
    ssize_t got = recv(talk->fd, talk->bytes + talk->length, talk->room - talk->length, 0);
    if (got > 0) talk->length += (size_t)got;
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)) ? GOES_ON : BROKEN;
}

/* -- a command ---------------------------------------------------------------------------------------------------- */

/* A line `<mark>number\r\n` at `*at`: its number; -1 where the line is not complete; -2 where it is no such line. */
static long line_number(const Conversation *talk, size_t *at, char mark, long most) {
    const char *begin = talk->bytes + *at, *end = talk->bytes + talk->length;
    const char *stop = begin < end ? memchr(begin, '\n', (size_t)(end - begin)) : NULL;
    if (begin < end && *begin != mark) return -2;
    if (stop == NULL) return end - begin > 32 ? -2 : -1;
    long number = 0;
    const char *digit = begin + 1;
    for (; digit < stop && *digit >= '0' && *digit <= '9' && number <= most; digit++) number = number * 10 + (*digit - '0');
    if (digit == begin + 1 || digit + 1 != stop || *digit != '\r' || number > most) return -2;
    *at = (size_t)(stop + 1 - talk->bytes);
    return number;
}

static void free_parsed(Parsed *parsed) {
    for (long i = 0; i < parsed->argc; i++) RM_FreeString(NULL, parsed->argv[i]);
    RM_Free(parsed->argv);
    *parsed = (Parsed){0};
}

/* One argument; GOES_ON: it is there. ENDS: not all of it has come. */
static Outcome parse_argument(const Conversation *talk, size_t *at, RedisModuleString **argument) {
    long length = line_number(talk, at, '$', (long)MOST_BYTES);
    if (length == -1) return ENDS;
    if (length < 0) return BROKEN;
    if (talk->length - *at < (size_t)length + 2) return ENDS;
    *argument = RM_CreateString(NULL, talk->bytes + *at, (size_t)length);
    *at += (size_t)length + 2;
    return GOES_ON;
}

/* The command at the beginning of the buffer, as parse_argument. */
static Outcome parse(const Conversation *talk, Parsed *parsed) {
    size_t at = 0;
    *parsed = (Parsed){0};
    long count = line_number(talk, &at, '*', MOST_ARGUMENTS);
    if (count == -1) return ENDS;
    if (count < 1) return BROKEN;
    /* As many as can have come: the number alone is nothing to reserve memory for. */
    size_t possible = talk->length / 4 + 1;
    if ((size_t)count > possible) return ENDS;
    parsed->argv = RM_Calloc((size_t)count, sizeof *parsed->argv);
    while (parsed->argc < count) {
        Outcome outcome = parse_argument(talk, &at, &parsed->argv[parsed->argc]);
        if (outcome != GOES_ON) {
            free_parsed(parsed);
            return outcome;
        }
        parsed->argc++;
    }
    parsed->consumed = at;
    return GOES_ON;
}

static int is_end(const Parsed *parsed) {
    size_t length;
    const char *name = RM_StringPtrLen(parsed->argv[0], &length);
    return same_word(name, length, "geartrain.atomic");
}

static const char *call_failure(void) {
    switch (errno) {
    case ENOSPC:
        return "-OOM command not allowed when used memory > 'maxmemory'\r\n";
    case ENOENT:
        return "-ERR unknown command\r\n";
    case EINVAL:
        return "-ERR wrong number of arguments\r\n";
    default:
        return "-ERR this command cannot be used in an atomic block\r\n";
    }
}

/* Execute one command as the client's user, and send its reply. `S`: what scripts may not call cannot be called here;
 * `M`: nor what needs memory where there is none. */
static Outcome execute(RedisModuleCtx *ctx, const Conversation *talk, const Parsed *parsed) {
    const char *name = RM_StringPtrLen(parsed->argv[0], NULL);
    const char *several = foreign_several(ctx, name, parsed->argv + 1, (size_t)(parsed->argc - 1));
    if (several != NULL) {
        char line[200];
        int written = snprintf(line, sizeof line, "-%s\r\n", several);
        return send_all(talk, line, (size_t)written);
    }
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(ctx, name, "!ECSMv", parsed->argv + 1, (size_t)(parsed->argc - 1));
    if (reply == NULL) {
        const char *text = call_failure();
        return send_all(talk, text, strlen(text));
    }
    size_t length = 0;
    const char *bytes = RM_CallReplyProto(reply, &length);
    Outcome outcome = bytes != NULL ? send_all(talk, bytes, length) : BROKEN;
    RM_FreeCallReply(reply);
    return outcome;
}

static Outcome next(RedisModuleCtx *ctx, Conversation *talk) {
    Parsed parsed;
    Outcome outcome = parse(talk, &parsed);
    if (outcome == ENDS) return read_more(talk);
    if (outcome != GOES_ON) return outcome;
    outcome = is_end(&parsed) ? ENDS : execute(ctx, talk, &parsed);
    talk->length -= parsed.consumed;
    memmove(talk->bytes, talk->bytes + parsed.consumed, talk->length);
    free_parsed(&parsed);
    return outcome;
}

/* -- the block ---------------------------------------------------------------------------------------------------- */

/* The socket of the client that calls, or -1: it has none of its own, or an encrypted one. */
static int socket_of(RedisModuleCtx *ctx) {
    RedisModuleClientInfo info = {.version = 1};
    unsigned long long id = RM_GetClientId(ctx);
    if (RM_GetClientInfoById(&info, id) != REDISMODULE_OK || (info.flags & REDISMODULE_CLIENTINFO_FLAG_SSL) != 0) return -1;
    RedisModuleCallReply *reply = RM_Call(ctx, "CLIENT", "ccl", "LIST", "ID", (long long)id);
    size_t length = 0;
    const char *line = reply != NULL ? RM_CallReplyStringPtr(reply, &length) : NULL;
    const char *field = line != NULL ? memmem(line, length, " fd=", 4) : NULL;
    int fd = field != NULL ? atoi(field + 4) : -1;
    if (reply != NULL) RM_FreeCallReply(reply);
    return fd;
}

/* The error goes out here, and then the connection is shut: whatever the client has sent meanwhile is not executed. */
static int timed_out(RedisModuleCtx *ctx, Conversation *talk, long long ms) {
    char text[128];
    timeouts++;
    int length = snprintf(text, sizeof text, "-ATOMICTIMEOUT the block took longer than %lld ms; what it did stays\r\n", ms);
    talk->deadline = RM_MonotonicMicroseconds() + LAST_WORDS_US;
    send_all(talk, text, (size_t)length);
    shutdown(talk->fd, SHUT_RDWR);
    return RM_ReplyWithError(ctx, "ATOMICTIMEOUT");
}

static int hold(RedisModuleCtx *ctx, int fd, long long ms) {
    Conversation talk = {.fd = fd, .deadline = RM_MonotonicMicroseconds() + (uint64_t)ms * 1000, .room = FIRST_ROOM};
    talk.bytes = RM_Alloc(talk.room);
    blocks++;
    Outcome outcome = send_all(&talk, "+OK\r\n", 5);
    while (outcome == GOES_ON) outcome = next(ctx, &talk);
    RM_Free(talk.bytes);
    if (outcome == TIMED_OUT) return timed_out(ctx, &talk, ms);
    if (outcome == BROKEN) return RM_ReplyWithError(ctx, "ERR the atomic block was broken off");
    return RM_ReplyWithSimpleString(ctx, "END");
}

static int atomic_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    long long ms;
    size_t length;
    if (argc != 2) return RM_WrongArity(ctx);
    const char *word = RM_StringPtrLen(argv[1], &length);
    if (same_word(word, length, "end")) return RM_ReplyWithError(ctx, "ERR there is no atomic block to end");
    if (RM_StringToLongLong(argv[1], &ms) != REDISMODULE_OK || ms < 1 || ms > MOST_MS) {
        return RM_ReplyWithError(ctx, "ERR GEARTRAIN.ATOMIC takes milliseconds, 1 to 60000, or END");
    }
    int flags = RM_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_DENY_BLOCKING)) != 0) {
        return RM_ReplyWithError(ctx, "ERR no atomic block within MULTI or a script: it is atomic already");
    }
    int fd = socket_of(ctx);
    if (fd < 0) return RM_ReplyWithError(ctx, "ERR no atomic block on this connection: it has TLS, or no socket of its own");
    return hold(ctx, fd, ms);
}

int atomic_load(RedisModuleCtx *ctx) {
    return api_command(ctx, "geartrain.atomic", atomic_command);
}

void atomic_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "atomic_blocks", blocks);
    RM_InfoAddFieldULongLong(ctx, "atomic_timeouts", timeouts);
}
