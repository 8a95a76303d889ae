/* Sync hooks: from the hook table and the server's events to functions.
 *
 *   sync_set ──> UNLOADED ──timer, or its first event──> LOADED ──events──> function_event, or the stream's `call`
 *                               └──────────────────────> FAILED (the hook's error says why)
 *
 * The interpreter starts with the first function that is loaded: a server without sync registrations, and a replica,
 * never has one. Loading runs user code and happens on a primary alone.
 */
#include "sync.h"

#include <string.h>

#include "bridge.h"
#include "capture.h"
#include "commandcall.h"
#include "events.h"
#include "foreign.h"
#include "functions.h"
#include "python.h"
#include "values.h"
#include "watchdog.h"

enum { SOON_MS = 1, REPLICA_MS = 500 };

static const char NOT_YET[] = "its code is not loaded yet";

static RedisModuleCtx *base;
static const char *reason = "the module is not loaded yet";
static long long timeout;
static Function *unloaded; /* a list, by `next_unloaded` */
static int timer_set;
static unsigned long long loaded_count, failed_count;

/* -- the interpreter ---------------------------------------------------------------------------------------------- */

/* The text of the exception that is set, which is cleared; it is valid until the next call. */
static const char *exception_text(void) {
    static char text[1024];
    PyObject *type, *error, *trace;
    py.PyErr_Fetch(&type, &error, &trace);
    py.PyErr_NormalizeException(&type, &error, &trace);
    PyObject *shown = error == NULL ? NULL : py.PyObject_Str(error);
    const char *bytes = shown == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(shown, NULL);
    snprintf(text, sizeof text, "%s", bytes == NULL ? "an error that cannot be shown" : bytes);
    py.PyErr_Clear();
    python_drop(shown);
    python_drop(type);
    python_drop(error);
    python_drop(trace);
    return text;
}

static void before_sleep(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)data;
    if (sub == REDISMODULE_SUBEVENT_EVENTLOOP_BEFORE_SLEEP && function_ctx == NULL) python_give();
}

/* Start the interpreter with Geartrain's Python half in it; NULL, or why that failed (and will again). */
static const char *start(void) {
    static char why[1200];
    static int done;
    if (done) return why[0] == 0 ? NULL : why;
    done = 1;
    const char *failure = python_start();
    if (failure != NULL) {
        snprintf(why, sizeof why, "%s", failure);
        return why;
    }
    PyObject *module = bridge_start(base, timeout) ? py.PyImport_ImportModule("geartrain.inserver.entry") : NULL;
    if (module == NULL || bridge.load == NULL) {
        snprintf(why, sizeof why, "Python %s does not find Geartrain: %s", python_version(), exception_text());
        return why;
    }
    py.Py_DecRef(module);
    if (!watchdog_start(timeout)) snprintf(why, sizeof why, "no thread can be started for the watchdog");
    events_listen(base, REDISMODULE_EVENT_EVENTLOOP, before_sleep);
    return why[0] == 0 ? NULL : why;
}

/* -- loading ------------------------------------------------------------------------------------------------------ */

/* Call `load` of the Python half; NULL, or why the function does not run. */
static const char *call_load(Function *function) {
    Hook *hook = function->hook;
    PyObject *args[] = {
        function_handle(function),
        value_text(hook->id.bytes, hook->id.length),
        value_text(hook->version.bytes, hook->version.length),
        py.PyBytes_FromStringAndSize(hook->definition.bytes, (ptrdiff_t)hook->definition.length),
        py.PyLong_FromLongLong(hook->db),
    };
    static char why[4096];
    why[0] = 0;
    PyObject *result = NULL;
    if (args[0] != NULL && args[1] != NULL && args[2] != NULL && args[3] != NULL && args[4] != NULL)
        result = py.PyObject_Vectorcall(bridge.load, args, 5, NULL);
    if (result == NULL) {
        snprintf(why, sizeof why, "%s", exception_text());
    } else if (result != py.none) {
        const char *text = py.PyUnicode_AsUTF8AndSize(result, NULL);
        snprintf(why, sizeof why, "%s", text == NULL ? exception_text() : text);
    }
    python_drop(result);
    for (int i = 1; i < 5; i++) python_drop(args[i]);
    return why[0] == 0 ? NULL : why;
}

/* Load a function; afterwards it is LOADED or FAILED, or its hook is gone. */
static void load(RedisModuleCtx *ctx, Function *function) {
    Hook *hook = function->hook;
    hook_hold(hook);
    function_hold(function);
    function->state = FUNCTION_FAILED;
    const char *why = start();
    if (why == NULL) {
        python_take();
        RedisModuleCtx *before = function_ctx;
        function_ctx = ctx;
        why = call_load(function);
        function_ctx = before;
    }
    if (function->hook != NULL) {
        hook_error(hook, why);
        if (why == NULL) function->state = FUNCTION_LOADED;
        if (why == NULL) loaded_count++;
        else failed_count++;
    }
    if (why != NULL) RM_Log(ctx, "warning", "geartrain: %.200s does not run here: %.800s", hook->id.bytes, why);
    function_release(function);
    hook_release(hook);
}

static void load_next(RedisModuleCtx *ctx, void *data);

static void load_soon(int ms) {
    if (timer_set) return;
    timer_set = 1;
    RM_CreateTimer(base, ms, load_next, NULL);
}

/* Load one function for each turn of the event loop, so that clients get theirs. */
static void load_next(RedisModuleCtx *ctx, void *data) {
    (void)data;
    timer_set = 0;
    if (unloaded == NULL) return;
    if (!capture_active() || api_writes_paused()) {
        load_soon(REPLICA_MS);
        return;
    }
    Function *function = unloaded;
    unloaded = function->next_unloaded;
    function->queued = 0;
    if (function->hook != NULL && function->state == FUNCTION_UNLOADED) {
        RM_SelectDb(ctx, function->hook->db);
        load(ctx, function);
    }
    function_release(function);
    if (unloaded != NULL) load_soon(SOON_MS);
}

/* -- the interface ------------------------------------------------------------------------------------------------ */

void sync_load(RedisModuleCtx *ctx, const char *python, long long timeout_ms) {
    timeout = timeout_ms;
    reason = python_load(python);
    base = RM_GetDetachedThreadSafeContext(ctx);
}

const char *sync_reason(void) {
    return reason;
}

void sync_set(Hook *hook) {
    Function *function = function_new(hook);
    hook->sync = function;
    hook_error(hook, NOT_YET);
    function_hold(function);
    function->queued = 1;
    function->next_unloaded = NULL;
    Function **last = &unloaded;
    while (*last != NULL) last = &(*last)->next_unloaded;
    *last = function;
    load_soon(SOON_MS);
}

void sync_del(Hook *hook) {
    Function *function = hook->sync;
    if (function == NULL) return;
    hook->sync = NULL;
    if (function->handle != NULL && bridge.unload != NULL) {
        python_take();
        PyObject *result = py.PyObject_Vectorcall(bridge.unload, &function->handle, 1, NULL);
        if (result == NULL) py.PyErr_WriteUnraisable(bridge.unload);
        python_drop(result);
    }
    function_detach(function);
    function_release(function);
}

/* A stream got an entry: Python code reads it. */
static void stream_event(Function *function, RedisModuleString *name) {
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    PyObject *key = py.PyBytes_FromStringAndSize(bytes, (ptrdiff_t)length), *call = function->call;
    py.Py_IncRef(call);
    PyObject *result = key == NULL ? NULL : py.PyObject_Vectorcall(call, &key, 1, NULL);
    if (result == NULL) py.PyErr_WriteUnraisable(call);
    python_drop(result);
    python_drop(key);
    py.Py_DecRef(call);
}

void sync_event(RedisModuleCtx *ctx, Hook *hook, const char *event, RedisModuleString *key, int type) {
    Function *function = hook->sync;
    if (function == NULL) return;
    if (function->state == FUNCTION_UNLOADED) load(ctx, function);
    if (function->state != FUNCTION_LOADED || function->hook == NULL) {
        hook->dropped++;
        return;
    }
    python_take();
    RedisModuleCtx *before = function_ctx;
    function_ctx = ctx;
    function_hold(function);
    if (hook->reader == READER_STREAM) stream_event(function, key);
    else function_event(ctx, function, event, key, type);
    function_at_depth(0);
    function_release(function);
    function_ctx = before;
}

PyObject *sync_command(RedisModuleCtx *ctx, Hook *hook, RedisModuleString **argv, int argc, const char **error) {
    static char text[400];
    Function *function = hook->sync;
    /* Loading has keys of its own: see foreign.h. */
    if (function != NULL && function->state == FUNCTION_UNLOADED && foreign_is_bound()) {
        *error = "TRYAGAIN the hook's function is being loaded";
        return NULL;
    }
    if (function != NULL && function->state == FUNCTION_UNLOADED) load(ctx, function);
    if (function == NULL || function->state != FUNCTION_LOADED || function->hook == NULL) {
        hook->dropped++;
        snprintf(text, sizeof text, "ERR the hook %.120s cannot run: %.240s", hook->id.bytes,
                 hook->error != NULL ? hook->error : sync_reason() != NULL ? sync_reason() : "it is gone");
        *error = text;
        return NULL;
    }
    python_take();
    RedisModuleCtx *before = function_ctx;
    function_ctx = ctx;
    hook->captured++;
    function_hold(function);
    PyObject *result = function_command(function, argv, argc, error);
    function_release(function);
    function_ctx = before;
    return result;
}

Hook *sync_running(void) {
    Function *function = function_running();
    return function == NULL ? NULL : function->hook;
}

int sync_depth(void) {
    return function_depth();
}

void sync_at_depth(int depth) {
    function_at_depth(depth);
}

void sync_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldCString(ctx, "sync", reason == NULL ? "ok" : reason);
    RM_InfoAddFieldCString(ctx, "sync_python", python_version());
    RM_InfoAddFieldCString(ctx, "sync_executable", python_executable());
    RM_InfoAddFieldLongLong(ctx, "sync_interpreter_running", python_started());
    RM_InfoAddFieldULongLong(ctx, "sync_functions_loaded", loaded_count);
    RM_InfoAddFieldULongLong(ctx, "sync_functions_refused", failed_count);
    RM_InfoAddFieldULongLong(ctx, "sync_timeouts", watchdog_count());
}
