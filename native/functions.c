/* Running functions; the header says what is what. */
#include "functions.h"

#include "eventrecord.h"
#include "values.h"
#include "watchdog.h"

RedisModuleCtx *function_ctx;

static Function *running;
static int depth, next_depth;

static const char CAPSULE[] = "geartrain.function";

/* -- life --------------------------------------------------------------------------------------------------------- */

Function *function_new(Hook *hook) {
    Function *function = RM_Calloc(1, sizeof *function);
    function->hook = hook;
    function->references = 1;
    return function;
}

void function_hold(Function *function) {
    function->references++;
}

void function_release(Function *function) {
    if (--function->references > 0) return;
    if (function->user != NULL) RM_FreeString(NULL, function->user);
    RM_Free(function);
}

static void drop(PyObject **reference) {
    PyObject *object = *reference;
    *reference = NULL;
    python_drop(object);
}

void function_detach(Function *function) {
    function->hook = NULL;
    if (function->handle == NULL) return;
    python_take();
    drop(&function->call);
    drop(&function->failed);
    drop(&function->value);
    drop(&function->context);
    drop(&function->absent);
    drop(&function->handle);
    runs_drop(&function->runs);
}

static void release_capsule(PyObject *capsule) {
    Function *function = py.PyCapsule_GetPointer(capsule, CAPSULE);
    if (function != NULL) function_release(function);
}

PyObject *function_handle(Function *function) {
    if (function->handle == NULL) {
        function->handle = py.PyCapsule_New(function, CAPSULE, release_capsule);
        if (function->handle != NULL) function_hold(function);
    }
    return function->handle;
}

Function *function_of(PyObject *handle) {
    Function *function = py.PyCapsule_GetPointer(handle, CAPSULE);
    if (function != NULL && function->hook == NULL) {
        py.PyErr_SetString(py.RuntimeError, "the registration is gone");
        return NULL;
    }
    return function;
}

/* -- running ------------------------------------------------------------------------------------------------------ */

Function *function_running(void) {
    return running;
}

int function_depth(void) {
    return depth;
}

void function_at_depth(int value) {
    next_depth = value;
}

PyObject *function_run(Function *function, int factor, PyObject *callable, PyObject *const *args, size_t count) {
    Function *before = running;
    Hook *hook = function->hook;
    function_hold(function);
    hook_hold(hook);
    running = function;
    if (before == NULL) {
        depth = next_depth > 0 ? next_depth : 1;
        watchdog_begin(factor);
    }
    PyObject *result = py.PyObject_Vectorcall(callable, args, count, NULL);
    if (before == NULL) {
        watchdog_end();
        depth = 0;
    }
    running = before;
    hook_release(hook);
    function_release(function);
    return result;
}

/* -- failing ------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject *type, *error, *trace;
} Raised;

/* The exception that is set; it is not set any more. */
static Raised take_raised(void) {
    Raised raised;
    py.PyErr_Fetch(&raised.type, &raised.error, &raised.trace);
    py.PyErr_NormalizeException(&raised.type, &raised.error, &raised.trace);
    if (raised.trace != NULL && raised.error != NULL) py.PyException_SetTraceback(raised.error, raised.trace);
    return raised;
}

/* Give it to Python code, and drop it. */
static PyObject *tell(Function *function, Raised *raised, long long begin, long long duration, PyObject *key,
                      PyObject *record) {
    PyObject *handler = function->failed, *result = NULL;
    if (handler != NULL && raised->error != NULL) {
        function_hold(function);
        python_held(handler);
        PyObject *args[] = {py.PyLong_FromLongLong(begin + runs_python_clock()), py.PyLong_FromLongLong(duration), key,
                            raised->error, record};
        result = py.PyObject_Vectorcall(handler, args, 5, NULL);
        if (result == NULL) py.PyErr_WriteUnraisable(handler);
        python_drop(args[0]);
        python_drop(args[1]);
        python_release(handler);
        function_release(function);
    }
    python_drop(raised->type);
    python_drop(raised->error);
    python_drop(raised->trace);
    return result;
}

PyObject *function_failed(Function *function, long long begin, long long duration, PyObject *key) {
    Raised raised = take_raised();
    return tell(function, &raised, begin, duration, key, py.none);
}

/* -- key events --------------------------------------------------------------------------------------------------- */

/* Call the function with the record. Where it has no context, it is called with that alone. */
static PyObject *call_with(Function *function, const EventRecord *record) {
    PyObject *call = python_held(function->call), *context = python_held(function->context);
    PyObject *args[] = {record->dict, context};
    PyObject *result = function_run(function, 1, call, args, context == py.none ? 1 : 2);
    python_release(call);
    python_release(context);
    return result;
}

void function_event(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type) {
    long long begin = runs_now();
    EventRecord record;
    int made = eventrecord_make(ctx, function, event, name, type, &record);
    PyObject *result = made ? call_with(function, &record) : NULL;
    long long duration = runs_now() - begin;
    if (result != NULL) {
        if (function->hook != NULL) runs_note_name(&function->runs, begin, duration, name);
        eventrecord_keep(&record, function->untouched);
        python_release(result);
        return;
    }
    Raised raised = take_raised();
    PyObject *key = value_of_string(name);
    if (key == NULL) py.PyErr_Clear();
    if (made && key != NULL) eventrecord_complete(&record, function, key, event, type);
    python_drop(tell(function, &raised, begin, duration, key == NULL ? py.none : key, made ? record.dict : py.none));
    if (made) python_release(record.dict);
    python_drop(key);
}
