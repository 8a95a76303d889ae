/* The record of a key event, `{'key', 'value', 'type', 'event'}`, as a function gets it.
 *
 * A new dict costs three times what four values cost that replace four others. So the last record is used again where nobody
 * has kept it; what the function cannot notice (`noticed`) is not made, and what it only reads is not even replaced.
 */
#ifndef GEARTRAIN_EVENTRECORD_H
#define GEARTRAIN_EVENTRECORD_H

#include "functions.h"

/* Its dict, and which objects that holds besides the key, where that is known; it keeps them alive. */
typedef struct {
    PyObject *dict, *value, *kind, *event;
    int large;    /* the value: it may not stay longer than the event */
    int doubtful; /* whether a function may have changed it */
} EventRecord;

/* Make the record; whether that went well: an exception is set where not. `type`: the key's when the event came. */
int eventrecord_make(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type,
                     EventRecord *record);

/* Keep a record for the next event, or drop it. `untouched`: nobody can have changed it. */
void eventrecord_keep(EventRecord *record, int untouched);

/* For a message: add what no step noticed. Errors in here are no news. */
void eventrecord_complete(EventRecord *record, const Function *function, PyObject *key, const char *event, int type);

#endif
