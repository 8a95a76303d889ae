/* `execute`: a call whose reply nobody can notice only adds a command; any other does the same as ever, in Python.
 *
 *     execute('set', 'k', 'v') ──one of the Sites──> Commands ──take──> one piece of bytes for many
 *                                                └─on a cluster──> the lane of the key's shard (routes.c)
 *                              └─any other──> the function that was there before
 */
#include "commands.h"

#include <stdlib.h>

/* Calls of `execute` whose reply nobody can notice: (code object, offset of the call). */
typedef struct {
    PyObject_HEAD
    struct {
        const void *code;
        long offset;
    } *calls;
    size_t count;
} Sites;

PyTypeObject *sites_type;
static PyObject *fallback;
static PyObject *name_at, *name_enough, *name_lasti;
static Py_ssize_t send_at;

/* What this thread runs, both borrowed: the thread's Python half holds them, and tells when they change. */
static _Thread_local struct {
    PyObject *context;
    Commands *commands;
} here;

/* -- Sites ------------------------------------------------------------------------------------------------------------- */

static PyObject *sites_make(PyTypeObject *type, PyObject *args, PyObject *named) {
    PyObject *pairs;
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "Sites() takes no keyword arguments");
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &pairs)) return NULL;
    Sites *sites = (Sites *)object_new(type);
    if (!sites) return NULL;
    sites->count = (size_t)PyTuple_Size(pairs);
    sites->calls = calloc(sites->count + 1, sizeof *sites->calls);
    for (size_t index = 0; sites->calls && index < sites->count; index++) {
        Py_ssize_t code;
        if (!PyArg_ParseTuple(PyTuple_GetItem(pairs, (Py_ssize_t)index), "nl", &code, &sites->calls[index].offset)) {
            Py_DECREF(sites);
            return NULL;
        }
        sites->calls[index].code = (const void *)code;
    }
    if (sites->calls) return (PyObject *)sites;
    Py_DECREF(sites);
    return PyErr_NoMemory();
}

static void sites_dealloc(PyObject *self) {
    free(((Sites *)self)->calls);
    object_free(self);
}

static PyType_Slot sites_slots[] = {
    {Py_tp_doc, "Sites(pairs, /)\n--\n\nCalls of `execute` whose reply nobody can notice: a tuple of (id of a code object, offset)."},
    {Py_tp_new, sites_make},
    {Py_tp_dealloc, sites_dealloc},
    {0},
};

static PyType_Spec sites_spec = {
    .name = "_geartrain_records.Sites",
    .basicsize = sizeof(Sites),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sites_slots,
};

/* -- execute ----------------------------------------------------------------------------------------------------------- */

/* Whether Python calls from one of the sites; -1: with an error. */
static int is_called_from(const Sites *sites) {
    PyObject *frame = (PyObject *)PyEval_GetFrame();
    if (!frame) return 0;
    PyObject *code = (PyObject *)PyFrame_GetCode((PyFrameObject *)frame);
    Py_DECREF(code);
    long offset = -1;
    for (size_t index = 0; index < sites->count; index++) {
        if (sites->calls[index].code != code) continue;
        if (offset < 0) {
            PyObject *found = PyObject_GetAttr(frame, name_lasti);
            if (!found) return -1;
            offset = PyLong_AsLong(found);
            Py_DECREF(found);
        }
        if (sites->calls[index].offset == offset) return 1;
    }
    return 0;
}

/* What is given by name, as a dict; NULL without an error: there is nothing. */
static PyObject *named_of(PyObject *const *values, PyObject *names) {
    PyObject *named = names && PyTuple_Size(names) ? PyDict_New() : NULL;
    for (Py_ssize_t index = 0; named && index < PyTuple_Size(names); index++) {
        if (PyDict_SetItem(named, PyTuple_GetItem(names, index), values[index])) Py_CLEAR(named);
    }
    return named;
}

static PyObject *in_python(PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *named = named_of(args + count, names);
    PyObject *words = PyErr_Occurred() ? NULL : PyTuple_New(count);
    if (!words) {
        Py_XDECREF(named);
        return NULL;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_INCREF(args[index]);
        PyTuple_SetItem(words, index, args[index]);
    }
    PyObject *reply = PyObject_Call(fallback, words, named);
    Py_DECREF(words);
    Py_XDECREF(named);
    return reply;
}

static PyObject *enough(PyObject *context, PyObject *lane) {
    PyObject *done = PyObject_CallMethodObjArgs(context, name_enough, lane, NULL);
    if (!done) return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

/* For the one server. */
static PyObject *put_off(PyObject *context, Commands *commands, PyObject *const *args, Py_ssize_t count, PyObject *at) {
    if (commands_add(commands, args, count, at)) return NULL;
    if (commands->unsent >= send_at) return enough(context, NULL);
    Py_RETURN_NONE;
}

/* For a shard. */
static PyObject *put_on(PyObject *context, Commands *commands, PyObject *const *args, Py_ssize_t count, PyObject *at) {
    int added;
    PyObject *full = routes_add(commands, args, count, at, &added);
    if (!added) return in_python(args, count, NULL);
    if (!full || full == Py_None) return full;
    PyObject *done = enough(context, full);
    Py_DECREF(full);
    return done;
}

PyDoc_STRVAR(execute_doc, "execute(command, *args)\n--\n\nAs geartrain.execute.");

static PyObject *execute(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    (void)module;
    Commands *commands = here.commands;
    int called = commands && commands->sites && count && !names ? is_called_from((Sites *)commands->sites) : 0;
    if (called < 0) return NULL;
    if (!called) return in_python(args, count, names);
    PyObject *context = here.context;
    Py_INCREF(context);
    Py_INCREF((PyObject *)commands);
    PyObject *at = PyObject_GetAttr(context, name_at), *reply = NULL;
    if (at) reply = (commands->routes.lanes ? put_on : put_off)(context, commands, args, count, at);
    Py_XDECREF(at);
    Py_DECREF((PyObject *)commands);
    Py_DECREF(context);
    return reply;
}

PyDoc_STRVAR(enter_doc, "enter(context, commands, /)\n--\n\nWhat this thread runs from now on, or None and None; both are borrowed.");

static PyObject *enter(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 2 || (args[1] != Py_None && !PyObject_TypeCheck(args[1], commands_type))) {
        return PyErr_Format(PyExc_TypeError, "enter() takes a context and its Commands, or None and None");
    }
    here.context = args[1] == Py_None ? NULL : args[0];
    here.commands = args[1] == Py_None ? NULL : (Commands *)args[1];
    Py_RETURN_NONE;
}

PyDoc_STRVAR(prepare_doc, "prepare(fallback, send_at, /)\n--\n\nfallback: does what `execute` does, for all other calls.\n\n"
                          "send_at: commands after which a context's `send_deferred` is called.");

static PyObject *prepare(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *function;
    if (!PyArg_ParseTuple(args, "On", &function, &send_at)) return NULL;
    Py_INCREF(function);
    Py_XDECREF(fallback);
    fallback = function;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"execute", (PyCFunction)(void (*)(void))execute, METH_FASTCALL | METH_KEYWORDS, execute_doc},
    {"enter", (PyCFunction)(void (*)(void))enter, METH_FASTCALL, enter_doc},
    {"prepare", prepare, METH_VARARGS, prepare_doc},
    {0},
};

int execute_ready(PyObject *module) {
    name_at = PyUnicode_InternFromString("at");
    name_enough = PyUnicode_InternFromString("send_deferred");
    name_lasti = PyUnicode_InternFromString("f_lasti");
    sites_type = (PyTypeObject *)PyType_FromSpec(&sites_spec);
    if (!name_at || !name_enough || !name_lasti || !sites_type) return -1;
    if (PyModule_AddObjectRef(module, "Sites", (PyObject *)sites_type)) return -1;
    return PyModule_AddFunctions(module, functions);
}
