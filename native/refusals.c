/* See the header. */
#include "refusals.h"

#include <errno.h>

const char *refusal_text(int number) {
    switch (number) {
    case ENOENT:
        return "ERR unknown command";
    case EINVAL:
        return "ERR wrong number of arguments, or a command that a module may not call";
    case EPERM:
        return "MOVED the key belongs to another shard: a sync function reaches the keys of its own shard";
    case EROFS:
        return "READONLY a write on a read-only replica";
    case ENETDOWN:
        return "CLUSTERDOWN the cluster is down";
    case EACCES:
        return "NOPERM the user who registered the function may not do this";
    case ENOSPC:
        return "OOM command not allowed when used memory > 'maxmemory'";
    default:
        return "ERR the server refused the command";
    }
}

int refusal_is_of_a_connection(const char *name, size_t length) {
    static const char *const NAMES[] = {
        "asking", "auth",   "discard", "exec",     "hello", "monitor",    "multi",     "psubscribe",   "psync",        "punsubscribe",
        "quit",   "readonly", "readwrite", "reset",   "replconf", "select", "ssubscribe", "subscribe", "sunsubscribe", "sync",         "unsubscribe",
        "unwatch", "watch",
    };
    unsigned letter = (unsigned)(name[0] | 32) - 'a';
    static const unsigned FIRST_LETTERS = 1u << ('a' - 'a') | 1u << ('d' - 'a') | 1u << ('e' - 'a') | 1u << ('h' - 'a') |
                                          1u << ('m' - 'a') | 1u << ('p' - 'a') | 1u << ('q' - 'a') | 1u << ('r' - 'a') |
                                          1u << ('s' - 'a') | 1u << ('u' - 'a') | 1u << ('w' - 'a');
    if (letter > 'z' - 'a' || !(FIRST_LETTERS >> letter & 1)) return 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if ((name[0] | 32) == NAMES[i][0] && same_word(name, length, NAMES[i])) return 1;
    }
    return 0;
}
