/* Hooks: what the module must know of the registrations whose key events it captures or executes.
 *
 * A hook belongs to one database. `GEARTRAIN.HOOK SET` and `DEL` change the table on the primary and, replicated, on
 * replicas; it is part of the RDB (an auxiliary field), so it is there before the first client is served. Everything
 * here is for the server's main thread.
 */
#ifndef GEARTRAIN_HOOKS_H
#define GEARTRAIN_HOOKS_H

#include "api.h"

typedef struct {
    char *bytes; /* ends with a NUL that does not count */
    size_t length;
} Text;

enum { READER_KEYS = 0, READER_STREAM = 1 };
enum { MODE_ASYNC = 0, MODE_SYNC = 1 };

typedef struct Hook {
    Text id;
    Text version;
    Text pattern;
    Text events; /* " set hset " with a space at both ends, lower case; empty: all */
    Text types;  /* the same, names of key types */
    Text user;   /* whose permissions execute has (sync) */
    Text definition;
    int db;
    int reader;
    int mode;
    int snapshot;
    int value;
    unsigned partitions;
    unsigned long long limit;

    RedisModuleString **outboxes; /* names, one for each partition; made at the first event, gone when the tag changes */
    char *error;                  /* why it does not run, or NULL; allocated */
    void *sync;                   /* the sync part's own */
    int dead;                     /* removed, and kept only while `users` are there */
    int users;                    /* jobs and running functions that hold it */

    unsigned long long captured;  /* events that went into its outbox, or to its function */
    unsigned long long dropped;   /* events past the limit of its outbox, or beyond the depth */
} Hook;

/* Keep a hook while a job refers to it; `hook_release` frees it where it was removed meanwhile. */
void hook_hold(Hook *hook);
void hook_release(Hook *hook);

/* Say why a hook does not run; NULL: it does. Shown by LIST. */
void hook_error(Hook *hook, const char *message);

/* The hooks of a key's database that match it. Calls `found` for each; none of them may be removed meanwhile. */
void hooks_matching(int db, const char *key, size_t length, void (*found)(Hook *hook, void *data), void *data);

/* Whether there are any in that database: the first question of every event. */
int hooks_in(int db);

/* Every hook, in no order. */
void hooks_each(void (*visit)(Hook *hook, void *data), void *data);
size_t hooks_count(void);

/* Whether a word of a list " a b " is this one (lower case); an empty list has every word. */
int list_has(const Text *list, const char *word);

/* Remove the hooks of a database (-1: of all), or exchange those of two. */
void hooks_flush(int db);
void hooks_swap(int first, int second);

/* Forget the outboxes' names: the shard owns other slots now. */
void hooks_forget_outboxes(void);

/* Register the command and the data type. */
int hooks_load(RedisModuleCtx *ctx);

#endif
