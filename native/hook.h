/* One hook: what the module must know of a registration whose key events it captures or executes. */
#ifndef GEARTRAIN_HOOK_H
#define GEARTRAIN_HOOK_H

#include "api.h"

enum { MOST_PARTITIONS = 1024 };

typedef struct {
    char *bytes; /* ends with a NUL that does not count */
    size_t length;
} Text;

enum { READER_KEYS = 0, READER_STREAM = 1, READER_COMMAND = 2 };
enum { MODE_ASYNC = 0, MODE_SYNC = 1 };

typedef struct Hook {
    Text id;
    Text version;
    Text pattern;
    Text events; /* " set hset " with a space at both ends, lower case; empty: all */
    Text types;  /* the same, names of key types */
    Text user;   /* whose permissions execute has (sync) */
    Text definition;
    Text command;   /* the command that it hooks, lower case; empty: none */
    Text keyprefix; /* with that: what one of the command's keys begins with; empty: anything */
    Text commands;  /* " get hget ": its events count where one of these caused them, and its client waits; empty: all */
    Text trigger;     /* the name by which RG.TRIGGER calls it; empty: none */
    Text environment; /* of its session's requirements: where its calls are served; empty: everywhere */
    unsigned long long order; /* among registrations of one version, which one was made later */
    int db;
    int reader;
    int mode;
    int in_order; /* of its calls the next one is handed out when the one before is answered */
    int snapshot;
    int value;
    unsigned partitions;
    unsigned long long limit;

    RedisModuleString **outboxes; /* names, one for each partition; made at the first event, gone when the tag changes */
    char *error;                  /* why it does not run, or NULL; allocated */
    struct Hook *next_trigger;    /* in the table of triggers */
    void *sync;                   /* the sync part's own */
    int aborted;                  /* its policy has stopped it; whoever sees that in LIST tells the registry */
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

/* A new one with its defaults, and the end of one that nobody has. */
Hook *hook_new(int db, const char *id, size_t id_length, const char *version, size_t version_length);
void hook_free(Hook *hook);

/* Give a field the value that `GEARTRAIN.HOOK SET` names. NULL: it was taken; else what is allowed instead, and whether
 * there is such a field at all. */
const char *hook_set(Hook *hook, const char *name, size_t name_length, const char *value, size_t length, int *known);

/* Forget its outboxes' names. */
void hook_forget_outboxes(Hook *hook);

/* Whether a word of a list " a b " is this one (lower case); an empty list has every word. */
int list_has(const Text *list, const char *word);

/* Bytes with the letters A to Z as a to z; `into` may be where they are. */
void lower_case(char *into, const char *bytes, size_t length);

Text text_of(const char *bytes, size_t length);
void text_replace(Text *text, Text by);
int same_text(const Text *text, const char *bytes, size_t length);

/* A whole number of digits alone, `most` at the most; 0 where it is none. */
int number_of(const char *bytes, size_t length, unsigned long long most, unsigned long long *number);

#endif
