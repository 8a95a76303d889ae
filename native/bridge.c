/* `_geartrain`; the header lists it. Python checks no argument's type for us here: each function does. */
#include "bridge.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "capture.h"
#include "foreign.h"
#include "functions.h"
#include "hooked.h"
#include "links.h"
#include "refusals.h"
#include "slots.h"
#include "values.h"
#include "watchdog.h"

enum { FEW = 16 };

Bridge bridge;

static RedisModuleCtx *base;
static pthread_t main_thread;
static int is_direct; /* whether `execute` in the main thread means this server: no client of another one runs a script */

static PyObject *none(void) {
    py.Py_IncRef(py.none);
    return py.none;
}

/* Whether there are that many arguments at least; an exception is set where not. */
static int has(ptrdiff_t count, ptrdiff_t needed, const char *usage) {
    if (count >= needed) return 1;
    py.PyErr_Format(py.TypeError, "use %s", usage);
    return 0;
}

/* -- commands ----------------------------------------------------------------------------------------------------- */

/* Whether a command may run at this moment, in this thread; an exception is set where not. */
static int may_call(void) {
    if (!pthread_equal(pthread_self(), main_thread)) {
        py.PyErr_SetString(py.RuntimeError, "execute() in the server works in the thread of the function alone, not in one"
                                            " that it started");
        return 0;
    }
    if (function_ctx != NULL) return 1;
    py.PyErr_SetString(py.RuntimeError, "execute() in the server works only while a function of a registration runs");
    return 0;
}

/* Raise what an error reply means: `raise_for(reply, (command,))`. */
static PyObject *raise_reply(PyObject *command, const char *bytes, size_t length) {
    PyObject *error = value_of_error(bytes, length), *names = py.PyTuple_New(1);
    if (error != NULL && names != NULL) {
        py.Py_IncRef(command);
        py.PyTuple_SetItem(names, 0, command);
        PyObject *args[] = {error, names};
        python_drop(py.PyObject_Vectorcall(bridge.raise_for, args, 2, NULL));
    }
    python_drop(error);
    python_drop(names);
    if (py.PyErr_Occurred() == NULL) py.PyErr_SetString(py.RuntimeError, "an error reply was not raised");
    return NULL;
}

static PyObject *answer(PyObject *command, RedisModuleCallReply *reply, int number) {
    if (reply == NULL) {
        const char *why = refusal_text(number);
        return raise_reply(command, why, strlen(why));
    }
    PyObject *value = NULL;
    int type = RM_CallReplyType(reply);
    if (type == REDISMODULE_REPLY_ERROR) {
        size_t length;
        const char *bytes = RM_CallReplyStringPtr(reply, &length);
        raise_reply(command, bytes, length);
    } else {
        value = value_of_type(reply, type);
    }
    RM_FreeCallReply(reply);
    return value;
}

/* Call as a user; the reply, or NULL with errno. -1 in `*gone`: there is no such user any more. */
static RedisModuleCallReply *call_as(Function *function, const char *command, RedisModuleString **argv, size_t argc,
                                     int *gone) {
    const Text *name = &function->hook->user;
    if (function->user == NULL) function->user = RM_CreateString(NULL, name->bytes, name->length);
    RedisModuleUser *user = RM_GetModuleUserFromUserName(function->user);
    *gone = user == NULL;
    if (user == NULL) return NULL;
    RM_SetContextUser(function_ctx, user);
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(function_ctx, command, foreign_is_bound() ? "!CESMv" : "!CEMv", argv, argc);
    int number = errno;
    RM_SetContextUser(function_ctx, NULL);
    RM_FreeModuleUser(user);
    errno = number;
    return reply;
}

static RedisModuleCallReply *call_own(int db, const char *command, RedisModuleString **argv, size_t argc) {
    int before = RM_GetSelectedDb(function_ctx);
    if (before != db) RM_SelectDb(function_ctx, db);
    errno = 0;
    RedisModuleCallReply *reply = RM_Call(function_ctx, command, "!Ev", argv, argc);
    int number = errno;
    if (before != db) RM_SelectDb(function_ctx, before);
    errno = number;
    return reply;
}

/* Run a command with arguments that are strings already: as the function's user, or as ourselves. */
static PyObject *perform(Function *function, int own, PyObject *command, RedisModuleString **argv, size_t argc) {
    const char *name;
    if (command->type == (void *)py.bytes_type) {
        char *bytes;
        if (py.PyBytes_AsStringAndSize(command, &bytes, NULL) != 0) return NULL;
        name = bytes;
    } else {
        name = py.PyUnicode_AsUTF8AndSize(command, NULL);
    }
    if (name == NULL) return NULL;
    if (own) {
        RedisModuleCallReply *reply = call_own(function->hook->db, name, argv, argc);
        return answer(command, reply, errno);
    }
    if (refusal_is_of_a_connection(name, strlen(name))) {
        static const char WHY[] = "ERR not in the server: the command is about a connection, and a function has none; it is "
                                  "one transaction with the write that caused it";
        return raise_reply(command, WHY, sizeof WHY - 1);
    }
    const char *several = foreign_several(function_ctx, name, argv, argc);
    if (several != NULL) return raise_reply(command, several, strlen(several));
    int gone;
    RedisModuleCallReply *reply = call_as(function, name, argv, argc, &gone);
    int number = errno;
    if (foreign_is(number) && (reply == NULL || RM_CallReplyType(reply) == REDISMODULE_REPLY_ERROR)) {
        if (reply != NULL) RM_FreeCallReply(reply);
        const char *why = foreign_text(function_ctx, number, name, argv, argc);
        return raise_reply(command, why, strlen(why));
    }
    if (!gone) return answer(command, reply, number);
    static const char GONE[] = "NOPERM the user who registered the function is gone: register it again";
    return raise_reply(command, GONE, sizeof GONE - 1);
}

/* The arguments as strings; how many could be made (an exception is set where not all). */
static ptrdiff_t strings_of(PyObject *command, PyObject *const *args, ptrdiff_t count, RedisModuleString **argv) {
    ptrdiff_t made = 0;
    for (; made < count; made++) {
        argv[made] = value_argument(command, made + 1, args[made]);
        if (argv[made] == NULL) break;
    }
    return made;
}

static PyObject *run_command(Function *function, int own, PyObject *command, PyObject *const *args, ptrdiff_t argc) {
    RedisModuleString *few[FEW];
    RedisModuleString **argv = argc <= FEW ? few : RM_Alloc((size_t)argc * sizeof *argv);
    ptrdiff_t made = strings_of(command, args, argc, argv);
    PyObject *reply = made == argc ? perform(function, own, command, argv, (size_t)argc) : NULL;
    for (ptrdiff_t i = 0; i < made; i++) RM_FreeString(NULL, argv[i]);
    if (argv != few) RM_Free(argv);
    return reply;
}

/* The same, where the arguments are a tuple. */
static PyObject *run_tuple(Function *function, int own, PyObject *command, PyObject *arguments) {
    if (!may_call()) return NULL;
    ptrdiff_t argc = py.PyTuple_Size(arguments);
    if (argc < 0) return NULL;
    PyObject *few[FEW];
    PyObject **args = argc <= FEW ? few : RM_Alloc((size_t)argc * sizeof *args);
    for (ptrdiff_t i = 0; i < argc; i++) args[i] = py.PyTuple_GetItem(arguments, i);
    PyObject *reply = run_command(function, own, command, args, argc);
    if (args != few) RM_Free(args);
    return reply;
}

/* What `geartrain.execute` is in the server: in a function it runs the command at once; in all other cases (another thread,
 * another server, no function) Python code says what happens. */
static PyObject *execute(PyObject *self, PyObject *const *args, ptrdiff_t count, PyObject *keywords) {
    (void)self;
    Function *function = function_running();
    if (is_direct && keywords == NULL && count > 0 && function != NULL && function->hook != NULL &&
        function_ctx != NULL && pthread_equal(pthread_self(), main_thread)) {
        return run_command(function, 0, args[0], args + 1, count - 1);
    }
    return py.PyObject_Vectorcall(bridge.execute, args, (size_t)count, keywords);
}

static PyObject *direct(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 1, "direct(is_own)")) return NULL;
    if (pthread_equal(pthread_self(), main_thread)) is_direct = args[0] == py.true_object;
    return none();
}

static PyObject *call(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 2, "call(command, args)") || !may_call()) return NULL;
    Function *function = function_running();
    if (function == NULL || function->hook == NULL) {
        py.PyErr_SetString(py.RuntimeError, "execute(): no registration's function runs now, or it was just removed");
        return NULL;
    }
    return run_tuple(function, 0, args[0], args[1]);
}

static PyObject *next_of(PyObject *name, RedisModuleString **argv, size_t count) {
    Next next;
    if (!hooked_next(argv, count, &next)) {
        py.PyErr_SetString(py.RuntimeError, "call_next() works only in a function that hooks a command, while that runs");
        return NULL;
    }
    if (next.value != NULL) return next.value;
    return next.error != NULL ? raise_reply(name, next.error, strlen(next.error)) : answer(name, next.reply, 0);
}

static PyObject *call_next(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    PyObject *name = may_call() ? py.PyUnicode_DecodeUTF8("call_next", 9, NULL) : NULL;
    if (name == NULL) return NULL;
    RedisModuleString *few[FEW], **argv = count <= FEW ? few : RM_Alloc((size_t)count * sizeof *argv);
    ptrdiff_t made = strings_of(name, args, count, argv);
    PyObject *result = made == count ? next_of(name, argv, (size_t)count) : NULL;
    for (ptrdiff_t i = 0; i < made; i++) RM_FreeString(NULL, argv[i]);
    if (argv != few) RM_Free(argv);
    python_release(name);
    return result;
}

static PyObject *override_reply(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    char *bytes;
    ptrdiff_t length;
    if (!has(count, 1, "override(reply)") || !may_call()) return NULL;
    if (py.PyBytes_AsStringAndSize(args[0], &bytes, &length) != 0) return NULL;
    const char *why = links_override(bytes, (size_t)length);
    if (why == NULL) return none();
    py.PyErr_SetString(py.RuntimeError, why);
    return NULL;
}

static PyObject *own(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 3, "own(handle, command, args)") ? function_of(args[0]) : NULL;
    return function == NULL ? NULL : run_tuple(function, 1, args[1], args[2]);
}

/* -- functions ---------------------------------------------------------------------------------------------------- */

static PyObject *guarded(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 3, "guarded(handle, factor, function, *args)") ? function_of(args[0]) : NULL;
    if (function == NULL || !may_call()) return NULL;
    long long factor = py.PyLong_AsLongLong(args[1]);
    if (py.PyErr_Occurred() != NULL) return NULL;
    return function_run(function, (int)factor, args[2], args + 3, (size_t)(count - 3));
}

static void replace(PyObject **place, PyObject *by) {
    PyObject *before = *place;
    py.Py_IncRef(by);
    *place = by;
    python_drop(before);
}

static const char INSTALL[] = "install(handle, call, failed, value, context, absent, noticed)";

static PyObject *install(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 7, INSTALL) ? function_of(args[0]) : NULL;
    if (function == NULL) return NULL;
    long long noticed = py.PyLong_AsLongLong(args[6]);
    if (noticed == -1 && py.PyErr_Occurred() != NULL) return NULL;
    replace(&function->call, args[1]);
    replace(&function->failed, args[2]);
    replace(&function->value, args[3]);
    replace(&function->context, args[4]);
    replace(&function->absent, args[5]);
    function->untouched = noticed >= 0;
    function->noticed = function->untouched ? (unsigned)noticed : NOTICES_ALL;
    return none();
}

static PyObject *aborted(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 1, "aborted(handle)") ? function_of(args[0]) : NULL;
    if (function == NULL) return NULL;
    if (function->hook != NULL) function->hook->aborted = 1;
    return none();
}

static PyObject *drain(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 1, "drain(handle)") ? function_of(args[0]) : NULL;
    return function == NULL ? NULL : runs_drain(&function->runs);
}

/* -- timers ------------------------------------------------------------------------------------------------------- */

static void on_timer(RedisModuleCtx *ctx, void *data) {
    PyObject *callable = data;
    python_take();
    RedisModuleCtx *before = function_ctx;
    function_ctx = ctx;
    PyObject *result = py.PyObject_Vectorcall(callable, NULL, 0, NULL);
    if (result == NULL) py.PyErr_WriteUnraisable(callable);
    python_drop(result);
    py.Py_DecRef(callable);
    function_ctx = before;
}

static PyObject *timer(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 2, "timer(ms, callable)")) return NULL;
    if (!pthread_equal(pthread_self(), main_thread)) return may_call() ? NULL : NULL;
    long long ms = py.PyLong_AsLongLong(args[0]);
    if (py.PyErr_Occurred() != NULL) return NULL;
    py.Py_IncRef(args[1]);
    return py.PyLong_FromLongLong((long long)RM_CreateTimer(base, ms > 0 ? ms : 1, on_timer, args[1]));
}

static PyObject *cancel(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 1, "cancel(number)")) return NULL;
    long long number = py.PyLong_AsLongLong(args[0]);
    if (py.PyErr_Occurred() != NULL) return NULL;
    void *callable = NULL;
    int stopped = RM_StopTimer(base, (RedisModuleTimerID)number, &callable) == REDISMODULE_OK;
    if (stopped) py.Py_DecRef(callable);
    return py.PyBool_FromLong(stopped);
}

/* -- the rest ----------------------------------------------------------------------------------------------------- */

static PyObject *log_line(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 2, "log(level, text)")) return NULL;
    const char *level = py.PyUnicode_AsUTF8AndSize(args[0], NULL);
    const char *text = level == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(args[1], NULL);
    if (text == NULL) return NULL;
    RM_Log(NULL, level, "%s", text);
    return none();
}

static PyObject *active(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self, (void)args, (void)count;
    return py.PyBool_FromLong(capture_active() && !api_writes_paused());
}

static PyObject *tag(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self, (void)args, (void)count;
    RedisModuleCtx *ctx = function_ctx != NULL ? function_ctx : base;
    const char *text = capture_tag(ctx);
    slots_note_use(ctx);
    return value_text(text, strlen(text));
}

static PyObject *expired(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self, (void)args, (void)count;
    return py.PyBool_FromLong(watchdog_expired());
}

static PyObject *setup(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 7, "setup(load, unload, raise_for, error_reply, accepted, execute, encode)")) return NULL;
    replace(&bridge.load, args[0]);
    replace(&bridge.unload, args[1]);
    replace(&bridge.raise_for, args[2]);
    values_setup(args[3], args[4]);
    replace(&bridge.execute, args[5]);
    replace(&bridge.encode, args[6]);
    return none();
}

static PyMethodDef methods[] = {
    {"call", call, PYTHON_FASTCALL, "call(command, args): run a command as the running function's user"},
    {"own", own, PYTHON_FASTCALL, "own(handle, command, args): run a command of Geartrain's own"},
    {"call_next", call_next, PYTHON_FASTCALL, "call_next(*args): what comes after the hook whose function runs"},
    {"override", override_reply, PYTHON_FASTCALL, "override(reply): give the waiting client this reply, as RESP3 text"},
    {"guarded", guarded, PYTHON_FASTCALL, "guarded(handle, factor, function, *args): call user code, watched"},
    {"aborted", aborted, PYTHON_FASTCALL, "aborted(handle): its policy has stopped it, which GEARTRAIN.HOOK LIST tells"},
    {"install", install, PYTHON_FASTCALL, INSTALL},
    {"drain", drain, PYTHON_FASTCALL, "drain(handle): what successful runs left"},
    {"timer", timer, PYTHON_FASTCALL, "timer(ms, callable): call it later; its number"},
    {"cancel", cancel, PYTHON_FASTCALL, "cancel(number): whether the timer was still to come"},
    {"log", log_line, PYTHON_FASTCALL, "log(level, text): a line in the server's log"},
    {"active", active, PYTHON_FASTCALL, "active(): whether this is a primary that may write"},
    {"tag", tag, PYTHON_FASTCALL, "tag(): what hashes to this shard"},
    {"expired", expired, PYTHON_FASTCALL, "expired(): whether the running function is late and was not told"},
    {"setup", setup, PYTHON_FASTCALL, "setup(load, unload, raise_for, error_reply, accepted, execute, encode)"},
    {"direct", direct, PYTHON_FASTCALL, "direct(is_own): whether execute() in this thread means this server"},
    {"execute", (PyFastFunction)(void (*)(void))execute, PYTHON_FASTCALL | PYTHON_KEYWORDS, "execute(command, *args)"},
};

static int add(PyObject *module, const char *name, PyObject *object) {
    int failed = object == NULL || py.PyObject_SetAttrString(module, name, object) != 0;
    python_drop(object);
    return !failed;
}

int bridge_start(RedisModuleCtx *ctx, long long timeout_ms) {
    base = ctx;
    main_thread = pthread_self();
    PyObject *module = py.PyImport_AddModule("_geartrain");
    if (module == NULL) return 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!add(module, methods[i].name, py.PyCFunction_NewEx(&methods[i], NULL, NULL))) return 0;
    }
    return add(module, "SIGNAL", py.PyLong_FromLongLong(watchdog_signal())) &&
           add(module, "TIMEOUT_MS", py.PyLong_FromLongLong(timeout_ms)) &&
           add(module, "CLUSTER", py.PyBool_FromLong((RM_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER) != 0));
}
