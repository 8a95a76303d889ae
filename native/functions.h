/* A function: the Python half of a sync hook, and how it is called. Main thread only.
 *
 * A function belongs to its hook until that goes; whoever runs it, or has its handle (a capsule that Python code keeps),
 * holds it meanwhile. What it is given is in eventrecord.h and commandcall.h, what its runs leave behind in runs.h.
 */
#ifndef GEARTRAIN_FUNCTIONS_H
#define GEARTRAIN_FUNCTIONS_H

#include "api.h"
#include "hooks.h"
#include "python.h"
#include "runs.h"

typedef enum { FUNCTION_UNLOADED, FUNCTION_LOADED, FUNCTION_FAILED } FunctionState;

/* The fields of a key event's record that its function may look at: the others need not be there. */
enum { NOTICES_KEY = 1, NOTICES_VALUE = 2, NOTICES_TYPE = 4, NOTICES_EVENT = 8, NOTICES_ALL = 15 };

typedef struct Function {
    struct Function *next_unloaded;
    int references;
    int queued; /* whether it is among those that wait to be loaded */
    Hook *hook; /* NULL once it is removed */
    FunctionState state;
    RedisModuleString *user; /* the hook's user, as a string that is made when a command is first run; or NULL */
    PyObject *handle; /* a capsule; NULL before it is loaded */
    PyObject *call;   /* keys: called with (record, context), or (record) where `context` is None; streams: with (key) */
    PyObject *failed; /* keys: called with (begin, duration, key, error, record or None) */
    PyObject *value;  /* keys: called with (type, key): the value of a key that is no string */
    PyObject *context;
    PyObject *absent; /* keys: stands for a value that is not read because the function cannot notice it */
    int untouched;    /* keys: the function does nothing with a record but take fields of it (geartrain.pipeline.usage) */
    unsigned noticed; /* keys: which fields that may be */
    Runs runs;
} Function;

/* What runs now, and where it may call the server; NULL between two runs. */
extern RedisModuleCtx *function_ctx;
Function *function_running(void);
int function_depth(void);
void function_at_depth(int depth);

Function *function_new(Hook *hook);
void function_hold(Function *function);
void function_release(Function *function);

/* Its hook goes. Takes the GIL where the function has something of Python. */
void function_detach(Function *function);

/* The function's handle (a borrowed reference), and the function of a handle; NULL: an exception is set. */
PyObject *function_handle(Function *function);
Function *function_of(PyObject *handle);

/* Call user code as this function, watched for `factor` timeouts. The result, or NULL: an exception is set. */
PyObject *function_run(Function *function, int factor, PyObject *callable, PyObject *const *args, size_t count);

/* One key event. */
void function_event(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type);

/* Give the exception that is set to Python code, whose answer (a new reference, or NULL) tells what it was. Times are those of
 * `runs_now`. */
PyObject *function_failed(Function *function, long long begin, long long duration, PyObject *key);

#endif
