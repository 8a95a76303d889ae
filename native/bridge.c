/* `_geartrain`; the header lists it. Python checks no argument's type for us here: each function does. */
#include "bridge.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "capture.h"
#include "foreign.h"
#include "functions.h"
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

/* What a call that gave no reply at all means. */
static const char *no_reply(int number) {
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
        const char *why = no_reply(number);
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
    RedisModuleCallReply *reply = RM_Call(function_ctx, command, "!CEMv", argv, argc);
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

/* Commands about the connection that sends them: there is none, and the server is not made for them here (PSYNC would end
 * it). Transactions are among them: the function is one, with the write that caused it. */
static int is_of_a_connection(const char *name) {
    static const char *const NAMES[] = {
        "auth",   "discard", "exec",     "hello", "monitor",    "multi",     "psubscribe",   "psync",        "punsubscribe",
        "quit",   "reset",   "replconf", "select", "ssubscribe", "subscribe", "sunsubscribe", "sync",         "unsubscribe",
        "unwatch", "watch",
    };
    unsigned letter = (unsigned)(name[0] | 32) - 'a';
    static const unsigned FIRST_LETTERS = 1u << ('a' - 'a') | 1u << ('d' - 'a') | 1u << ('e' - 'a') | 1u << ('h' - 'a') |
                                          1u << ('m' - 'a') | 1u << ('p' - 'a') | 1u << ('q' - 'a') | 1u << ('r' - 'a') |
                                          1u << ('s' - 'a') | 1u << ('u' - 'a') | 1u << ('w' - 'a');
    if (letter > 'z' - 'a' || !(FIRST_LETTERS >> letter & 1)) return 0;
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if ((name[0] | 32) == NAMES[i][0] && same_word(name, length, NAMES[i])) return 1;
    }
    return 0;
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
    if (is_of_a_connection(name)) {
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

static PyObject *run_command(Function *function, int own, PyObject *command, PyObject *const *args, ptrdiff_t argc) {
    ptrdiff_t made = 0;
    RedisModuleString *few[FEW];
    RedisModuleString **argv = argc <= FEW ? few : RM_Alloc((size_t)argc * sizeof *argv);
    for (; made < argc; made++) {
        argv[made] = value_argument(command, made + 1, args[made]);
        if (argv[made] == NULL) break;
    }
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

static const char INSTALL[] = "install(handle, call, failed, value, context, absent, untouched)";

static PyObject *install(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    Function *function = has(count, 7, INSTALL) ? function_of(args[0]) : NULL;
    if (function == NULL) return NULL;
    replace(&function->call, args[1]);
    replace(&function->failed, args[2]);
    replace(&function->value, args[3]);
    replace(&function->context, args[4]);
    replace(&function->absent, args[5]);
    function->untouched = args[6] == py.true_object;
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
    return function == NULL ? NULL : function_drain(function);
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
    const char *text = capture_tag(function_ctx != NULL ? function_ctx : base);
    slots_note_use();
    return value_text(text, strlen(text));
}

static PyObject *expired(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self, (void)args, (void)count;
    return py.PyBool_FromLong(watchdog_expired());
}

static PyObject *setup(PyObject *self, PyObject *const *args, ptrdiff_t count) {
    (void)self;
    if (!has(count, 6, "setup(load, unload, raise_for, error_reply, accepted, execute)")) return NULL;
    replace(&bridge.load, args[0]);
    replace(&bridge.unload, args[1]);
    replace(&bridge.raise_for, args[2]);
    values_setup(args[3], args[4]);
    replace(&bridge.execute, args[5]);
    return none();
}

static PyMethodDef methods[] = {
    {"call", call, PYTHON_FASTCALL, "call(command, args): run a command as the running function's user"},
    {"own", own, PYTHON_FASTCALL, "own(handle, command, args): run a command of Geartrain's own"},
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
    {"setup", setup, PYTHON_FASTCALL, "setup(load, unload, raise_for, error_reply, accepted, execute)"},
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
