/* `Commands`: commands that are sent later, packed in the server's protocol. */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

PyTypeObject *commands_type;

/* -- packing ----------------------------------------------------------------------------------------------------------- */

static int reserve(Commands *commands, size_t more) {
    if (commands->room - commands->length >= more) return 0;
    size_t wanted = commands->room ? commands->room : 16 * 1024;
    while (wanted - commands->length < more) wanted *= 2;
    char *found = realloc(commands->bytes, wanted);
    if (!found) {
        PyErr_NoMemory();
        return -1;
    }
    commands->bytes = found;
    commands->room = wanted;
    return 0;
}

enum { LONGEST_HEAD = 32, MOST_KEPT = 1024 * 1024 };

/* `$15\r\n` */
static void head(Commands *commands, char kind, size_t number) {
    char digits[LONGEST_HEAD];
    char *end = digits + sizeof digits, *at = end;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    *--at = kind;
    memcpy(commands->bytes + commands->length, at, (size_t)(end - at));
    commands->length += (size_t)(end - at);
}

static int bulk(Commands *commands, const char *text, size_t length) {
    if (reserve(commands, length + LONGEST_HEAD + 2)) return -1;
    head(commands, '$', length);
    memcpy(commands->bytes + commands->length, text, length);
    memcpy(commands->bytes + commands->length + length, "\r\n", 2);
    commands->length += length + 2;
    return 0;
}

static int text(Commands *commands, PyObject *string) {
    Py_ssize_t length;
    const char *utf8 = PyUnicode_AsUTF8AndSize(string, &length);
    return utf8 ? bulk(commands, utf8, (size_t)length) : -1;
}

static int bytes(Commands *commands, PyObject *object) {
    char *found;
    Py_ssize_t length;
    return PyBytes_AsStringAndSize(object, &found, &length) ? -1 : bulk(commands, found, (size_t)length);
}

static int shown(Commands *commands, PyObject *number) {
    PyObject *string = PyObject_Str(number);
    int failed = string ? text(commands, string) : -1;
    Py_XDECREF(string);
    return failed;
}

/* Whether an argument is packed as it is: a str, bytes, float, or an int that no limit of Python's applies to. */
static bool is_usual(PyObject *argument) {
    PyTypeObject *type = Py_TYPE(argument);
    if (type != &PyLong_Type) return type == &PyUnicode_Type || type == &PyBytes_Type || type == &PyFloat_Type;
    int overflow;
    (void)PyLong_AsLongLongAndOverflow(argument, &overflow);
    return !overflow;
}

static int pack_word(Commands *commands, PyObject *word) {
    PyTypeObject *type = Py_TYPE(word);
    if (type == &PyUnicode_Type) return text(commands, word);
    if (type == &PyBytes_Type) return bytes(commands, word);
    return shown(commands, word);
}

/* Pack a command of usual words; nothing here runs code of a user. -1: nothing is packed. */
static int pack(Commands *commands, PyObject *const *words, Py_ssize_t count) {
    size_t before = commands->length;
    if (reserve(commands, LONGEST_HEAD)) return -1;
    head(commands, '*', (size_t)count);
    for (Py_ssize_t number = 0; number < count; number++) {
        if (pack_word(commands, words[number])) {
            commands->length = before;
            return -1;
        }
    }
    return 0;
}

static int add_usual(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at) {
    PyObject *pair = PyTuple_Pack(2, words[0], at);
    size_t before = commands->length;
    int failed = pair ? pack(commands, words, count) : -1;
    if (!failed && PyList_Append(commands->pending, pair)) {
        commands->length = before;
        failed = -1;
    }
    Py_XDECREF(pair);
    if (failed) return -1;
    commands->unsent++;
    return 0;
}

/* What `accepted` makes of a word, a new reference. */
static PyObject *usual(Commands *commands, PyObject *command, Py_ssize_t number, PyObject *word) {
    if (is_usual(word)) {
        Py_INCREF(word);
        return word;
    }
    PyObject *found = PyObject_CallFunction(commands->accepted, "OnO", command, number, word);
    if (!found || is_usual(found)) return found;
    Py_DECREF(found);
    return PyErr_Format(PyExc_TypeError, "an argument that was accepted is none of str, bytes, int, float");
}

/* All words are made before the first one is packed: making them may run code of a user, which may add commands. */
static int add_any(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at) {
    PyObject **made = PyMem_Calloc((size_t)count, sizeof *made);
    if (!made) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t number = 0;
    while (number < count && (made[number] = usual(commands, words[0], number, words[number]))) number++;
    int failed = number < count ? -1 : add_usual(commands, made, count, at);
    while (number) Py_DECREF(made[--number]);
    PyMem_Free(made);
    return failed;
}

bool commands_are_usual(PyObject *const *words, Py_ssize_t count) {
    for (Py_ssize_t number = 0; number < count; number++) {
        if (!is_usual(words[number])) return false;
    }
    return true;
}

int commands_add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at) {
    return commands_are_usual(words, count) ? add_usual(commands, words, count, at) : add_any(commands, words, count, at);
}

PyObject *commands_packed(Commands *commands, PyObject *const *words, Py_ssize_t count) {
    size_t before = commands->length;
    if (pack(commands, words, count)) return NULL;
    PyObject *found = PyBytes_FromStringAndSize(commands->bytes + before, (Py_ssize_t)(commands->length - before));
    commands->length = before;
    return found;
}

PyDoc_STRVAR(pack_doc, "pack(words, /)\n--\n\nA command, a tuple or list of words, in the server's protocol; None: a word is none of str, "
                       "bytes, float or int of 64 bits.");

static PyObject *pack_words(PyObject *module, PyObject *words) {
    (void)module;
    /* Used again and again; whoever is here has the interpreter, and nothing that is called gives it up. */
    static Commands scratch;
    PyObject *list = PySequence_Fast(words, "pack() takes a tuple or a list");
    if (!list) return NULL;
    int is_list = PyList_Check(list);
    Py_ssize_t count = is_list ? PyList_Size(list) : PyTuple_Size(list);
    PyObject **items = PyMem_Malloc((size_t)(count + 1) * sizeof *items), *found = NULL;
    for (Py_ssize_t number = 0; items && number < count; number++) {
        items[number] = is_list ? PyList_GetItem(list, number) : PyTuple_GetItem(list, number);
    }
    if (!items) {
        PyErr_NoMemory();
    } else if (commands_are_usual(items, count)) {
        found = commands_packed(&scratch, items, count);
    } else {
        Py_INCREF(Py_None);
        found = Py_None;
    }
    PyMem_Free(items);
    Py_DECREF(list);
    if (scratch.room > MOST_KEPT) {
        free(scratch.bytes);
        scratch = (Commands){0};
    }
    return found;
}

static PyMethodDef commands_functions[] = {
    {"pack", pack_words, METH_O, pack_doc},
    {0},
};

/* -- Commands ---------------------------------------------------------------------------------------------------------- */

/* Command and arguments in one piece, borrowed; to be freed. NULL: with a Python error. */
static PyObject **words_of(PyObject *const *args, Py_ssize_t count) {
    if (count != 3 || !PyTuple_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "there have to be a command, a tuple and a place");
        return NULL;
    }
    Py_ssize_t size = PyTuple_Size(args[1]);
    PyObject **words = PyMem_Malloc((size_t)(size + 1) * sizeof *words);
    if (!words) {
        PyErr_NoMemory();
        return NULL;
    }
    words[0] = args[0];
    for (Py_ssize_t index = 0; index < size; index++) words[index + 1] = PyTuple_GetItem(args[1], index);
    return words;
}

PyDoc_STRVAR(add_doc, "add(command, args, at, /)\n--\n\nAdd a command, called at `at`; returns how many are to be sent.");

static PyObject *add(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    PyObject **words = words_of(args, count);
    int failed = words ? commands_add((Commands *)self, words, PyTuple_Size(args[1]) + 1, args[2]) : -1;
    PyMem_Free(words);
    return failed ? NULL : PyLong_FromSsize_t(((Commands *)self)->unsent);
}

PyDoc_STRVAR(add_to_lane_doc, "add_to_lane(command, args, at, /)\n--\n\nThe same on a cluster; returns the lane where it is full "
                              "now, else None. False: it is not plain where it goes, and nothing is done.");

static PyObject *add_to_lane(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    Commands *commands = (Commands *)self;
    PyObject **words = words_of(args, count);
    if (!words) return NULL;
    int added = 0;
    PyObject *full = commands->routes.lanes ? routes_add(commands, words, PyTuple_Size(args[1]) + 1, args[2], &added) : NULL;
    PyMem_Free(words);
    return added ? full : PyBool_FromLong(0);
}

PyDoc_STRVAR(take_doc, "take()\n--\n\nThe commands that were added since the last call, to be sent now.");

static PyObject *take(PyObject *self, PyObject *unused) {
    (void)unused;
    Commands *commands = (Commands *)self;
    PyObject *found = PyBytes_FromStringAndSize(commands->bytes, (Py_ssize_t)commands->length);
    if (!found) return NULL;
    commands->length = 0;
    commands->unsent = 0;
    return found;
}

static void forget(Routes *routes) {
    Py_CLEAR(routes->lanes);
    Py_CLEAR(routes->order);
    Py_CLEAR(routes->places);
}

static PyObject *get_unsent(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSsize_t(((Commands *)self)->unsent);
}

static PyObject *get_pending(PyObject *self, void *unused) {
    (void)unused;
    Py_INCREF(((Commands *)self)->pending);
    return ((Commands *)self)->pending;
}

static int set_sites(PyObject *self, PyObject *sites, void *unused) {
    (void)unused;
    if (sites == Py_None) sites = NULL;
    if (sites && !PyObject_TypeCheck(sites, sites_type)) {
        PyErr_SetString(PyExc_TypeError, "sites are Sites, or None");
        return -1;
    }
    PyObject *before = ((Commands *)self)->sites;
    Py_XINCREF(sites);
    ((Commands *)self)->sites = sites;
    Py_XDECREF(before);
    return 0;
}

PyDoc_STRVAR(route_doc, "route(lanes, order, places, most, /)\n--\n\nFrom now on `execute` adds commands to the lanes of a "
                        "cluster.\n\nlanes: by slot, or None where none is known; order: of what is outstanding; places: of "
                        "first keys, by name; most: what waits in a lane before it is sent.");

static PyObject *route(PyObject *self, PyObject *args) {
    Commands *commands = (Commands *)self;
    Routes found = {0}, before = commands->routes;
    if (!PyArg_ParseTuple(args, "O!O!O!n", &PyList_Type, &found.lanes, &PyList_Type, &found.order, &PyDict_Type, &found.places,
                          &found.most)) {
        return NULL;
    }
    Py_INCREF(found.lanes);
    Py_INCREF(found.order);
    Py_INCREF(found.places);
    commands->routes = found;
    forget(&before);
    Py_RETURN_NONE;
}

static PyObject *commands_make(PyTypeObject *type, PyObject *args, PyObject *named) {
    PyObject *accepted;
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "Commands() takes no keyword arguments");
    if (!PyArg_ParseTuple(args, "O", &accepted)) return NULL;
    Commands *commands = (Commands *)object_new(type);
    if (!commands) return NULL;
    Py_INCREF(accepted);
    commands->accepted = accepted;
    commands->pending = PyList_New(0);
    if (!commands->pending) {
        Py_DECREF(commands);
        return NULL;
    }
    return (PyObject *)commands;
}

static int commands_traverse(PyObject *self, visitproc visit, void *arg) {
    Commands *commands = (Commands *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(commands->pending);
    Py_VISIT(commands->accepted);
    Py_VISIT(commands->sites);
    Py_VISIT(commands->routes.lanes);
    Py_VISIT(commands->routes.order);
    Py_VISIT(commands->routes.places);
    return 0;
}

static int commands_clear(PyObject *self) {
    Commands *commands = (Commands *)self;
    Py_CLEAR(commands->pending);
    Py_CLEAR(commands->accepted);
    Py_CLEAR(commands->sites);
    forget(&commands->routes);
    return 0;
}

static void commands_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    commands_clear(self);
    free(((Commands *)self)->bytes);
    object_free(self);
}

static PyMethodDef commands_methods[] = {
    {"add", (PyCFunction)(void (*)(void))add, METH_FASTCALL, add_doc},
    {"add_to_lane", (PyCFunction)(void (*)(void))add_to_lane, METH_FASTCALL, add_to_lane_doc},
    {"take", take, METH_NOARGS, take_doc},
    {"route", route, METH_VARARGS, route_doc},
    {0},
};

static PyGetSetDef commands_attributes[] = {
    {"unsent", get_unsent, NULL, "How many commands have been added since the last `take`.", NULL},
    {"pending", get_pending, NULL, "The list of (command, place); whoever reads the replies empties it.", NULL},
    {"sites", NULL, set_sites, "The calls that `execute` puts off, or None.", NULL},
    {0},
};

static PyType_Slot commands_slots[] = {
    {Py_tp_doc, "Commands(accepted, /)\n--\n\nCommands that are sent later.\n\naccepted: called with command, number and "
                "value of an argument (0: the command) that is none of str, bytes, float or int of 64 bits."},
    {Py_tp_new, commands_make},
    {Py_tp_traverse, commands_traverse},
    {Py_tp_clear, commands_clear},
    {Py_tp_dealloc, commands_dealloc},
    {Py_tp_methods, commands_methods},
    {Py_tp_getset, commands_attributes},
    {0},
};

static PyType_Spec commands_spec = {
    .name = "_geartrain_records.Commands",
    .basicsize = sizeof(Commands),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = commands_slots,
};

int commands_ready(PyObject *module) {
    commands_type = (PyTypeObject *)PyType_FromSpec(&commands_spec);
    if (!commands_type || PyModule_AddObjectRef(module, "Commands", (PyObject *)commands_type)) return -1;
    return PyModule_AddFunctions(module, commands_functions);
}
