/* Running functions; the header says what is what. */
#include "functions.h"

#include <string.h>
#include <time.h>

#include "values.h"
#include "watchdog.h"

enum { NAMES = 256, NAME_LENGTH = 32, TYPES = 8, FIELDS = 4 };

RedisModuleCtx *function_ctx;

static Function *running;
static int depth, next_depth;

static const char CAPSULE[] = "geartrain.function";
static const char *const TYPE_NAMES[TYPES] = {"none", "string", "list", "hash", "set", "zset", "module", "stream"};

/* -- names: str objects that are made once ------------------------------------------------------------------------ */

static PyObject *types[TYPES], *field_key, *field_value, *field_type, *field_event;

static struct {
    char text[NAME_LENGTH];
    PyObject *name;
} events[NAMES];

static void make_names(void) {
    if (field_key != NULL) return;
    for (int i = 0; i < TYPES; i++) types[i] = py.PyUnicode_InternFromString(TYPE_NAMES[i]);
    field_value = py.PyUnicode_InternFromString("value");
    field_type = py.PyUnicode_InternFromString("type");
    field_event = py.PyUnicode_InternFromString("event");
    field_key = py.PyUnicode_InternFromString("key");
}

/* The event's name; a new reference. Each lies in one place by its hash, where it stays until another needs it. */
static PyObject *event_name(const char *event) {
    size_t length = strlen(event);
    if (length == 0 || length >= NAME_LENGTH) return value_text(event, length);
    unsigned at = ((unsigned)length * 31 + (unsigned char)event[0] * 7 + (unsigned char)event[length / 2] * 5 +
                   (unsigned char)event[length - 1]) % NAMES;
    if (events[at].name == NULL || strcmp(events[at].text, event) != 0) {
        PyObject *made = value_text(event, length);
        if (made == NULL) return NULL;
        python_drop(events[at].name);
        memcpy(events[at].text, event, length + 1);
        events[at].name = made;
    }
    py.Py_IncRef(events[at].name);
    return events[at].name;
}

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
    if (--function->references == 0) RM_Free(function);
}

static void drop_lines(Function *function) {
    for (int i = 0; i < FUNCTION_LINES; i++) {
        python_drop(function->lines[i].key);
        function->lines[i].key = NULL;
    }
    function->line_count = 0;
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
    drop_lines(function);
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

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The type of a key, and its value where it is a string. `at_event`: its type when the event came; where the value is not
 * wanted that will do, and the key is not opened. -1: an exception is set. */
static int look(RedisModuleCtx *ctx, RedisModuleString *name, int at_event, int wanted, PyObject **value) {
    if (!wanted && at_event != REDISMODULE_KEYTYPE_MODULE) return at_event;
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK | REDISMODULE_OPEN_KEY_NOEXPIRE);
    if (key == NULL) return REDISMODULE_KEYTYPE_EMPTY;
    int type = RM_KeyType(key), failed = 0;
    if (type == REDISMODULE_KEYTYPE_STRING && wanted) {
        size_t length = 0;
        const char *bytes = RM_StringDMA(key, &length, REDISMODULE_READ);
        *value = value_text(bytes, length);
        failed = *value == NULL;
    }
    RM_CloseKey(key);
    if (failed) return -1;
    return type < 0 || type >= TYPES ? REDISMODULE_KEYTYPE_MODULE : type;
}

/* Whether all four fields could be set. */
static int fill(PyObject *record, PyObject *key, PyObject *value, PyObject *kind, PyObject *event) {
    return record != NULL && event != NULL && py.PyDict_SetItem(record, field_key, key) == 0 &&
           py.PyDict_SetItem(record, field_value, value) == 0 && py.PyDict_SetItem(record, field_type, kind) == 0 &&
           py.PyDict_SetItem(record, field_event, event) == 0;
}

static PyObject *held(PyObject *object) {
    py.Py_IncRef(object);
    return object;
}

/* The last record and the list that it was passed in, where nobody kept them: used again, they cost nothing to make. Four
 * values that replace four others take a third of the time of a new dict. */
static PyObject *spare_record, *spare_records;

/* What the spare record holds besides its key, where nobody can have changed it: a function that cannot notice the value
 * does nothing but look fields up (geartrain.pipeline.usage). The record keeps these objects alive. NULL: not known. */
static PyObject *spare_value, *spare_kind, *spare_event;
static const PyObject *filled_last; /* the record that they are of */

static PyObject *take_spare(PyObject **spare) {
    PyObject *object = *spare;
    *spare = NULL;
    return object;
}

/* Keep what can be used again, and drop the rest. A large value does not stay. `untouched`: the record is as it was made. */
static void keep_spare(PyObject *record, PyObject *records, int untouched) {
    int whole = records->refcount == 1 && py.PyList_Size(records) == 1 && py.PyList_GetItem(records, 0) == record;
    if (whole) {
        py.Py_IncRef(py.none);
        py.PyList_SetItem(records, 0, py.none);
        python_drop(spare_records);
        spare_records = records;
    } else {
        py.PyErr_Clear();
        py.Py_DecRef(records);
    }
    if (!untouched || record != filled_last) spare_value = NULL;
    if (record->refcount == 1 && (untouched || (py.PyDict_Size(record) == FIELDS &&
                                                py.PyDict_SetItem(record, field_value, py.none) == 0))) {
        python_drop(spare_record);
        spare_record = record;
    } else {
        py.PyErr_Clear();
        py.Py_DecRef(record);
    }
}

/* {'key', 'value', 'type', 'event'}. NULL: an exception is set. */
static PyObject *record_of(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name,
                           int at_event, PyObject *key) {
    PyObject *value = NULL, *kind = NULL, *absent = function->absent == NULL ? py.none : function->absent;
    int wanted = function->hook->value && absent == py.none;
    int type = look(ctx, name, at_event, wanted, &value);
    if (type < 0) return NULL;
    kind = held(types[type]);
    if (type == REDISMODULE_KEYTYPE_MODULE || (value == NULL && wanted && type != 0)) {
        /* Python code reads it; it gives (type, value). */
        PyObject *args[] = {kind, key};
        PyObject *pair = py.PyObject_Vectorcall(function->value, args, 2, NULL);
        py.Py_DecRef(kind);
        if (pair == NULL) return NULL;
        kind = held(py.PyTuple_GetItem(pair, 0));
        value = held(py.PyTuple_GetItem(pair, 1));
        py.Py_DecRef(pair);
    }
    if (value == NULL) value = held(function->hook->value ? absent : py.none);
    PyObject *record = take_spare(&spare_record);
    PyObject *name_of_event = event_name(event);
    int filled;
    if (record != NULL && value == spare_value && kind == spare_kind && name_of_event == spare_event) {
        filled = py.PyDict_SetItem(record, field_key, key) == 0;
    } else {
        if (record == NULL) record = py.PyDict_New();
        filled = fill(record, key, value, kind, name_of_event);
        if (filled && py.PyDict_Size(record) != FIELDS) {
            /* The function exchanged one of its fields for another. */
            py.Py_DecRef(record);
            record = py.PyDict_New();
            filled = fill(record, key, value, kind, name_of_event);
        }
        spare_value = value;
        spare_kind = kind;
        spare_event = name_of_event;
        filled_last = record;
    }
    python_drop(value);
    python_drop(kind);
    python_drop(name_of_event);
    if (filled) return record;
    python_drop(record);
    return NULL;
}

static void succeeded(Function *function, long long begin, long long duration, PyObject *key) {
    function->succeeded++;
    function->duration_us += (unsigned long long)duration;
    function->last_us = duration;
    Line *line = &function->lines[function->line_count++ % FUNCTION_LINES];
    python_drop(line->key);
    *line = (Line){begin, duration, held(key)};
}

/* Give the exception that is set to Python code. */
static void failed(Function *function, long long begin, long long duration, PyObject *key) {
    PyObject *type, *error, *trace;
    py.PyErr_Fetch(&type, &error, &trace);
    py.PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL && error != NULL) py.PyException_SetTraceback(error, trace);
    PyObject *handler = function->failed;
    if (handler != NULL && error != NULL) {
        function_hold(function);
        py.Py_IncRef(handler);
        PyObject *args[] = {py.PyLong_FromLongLong(begin), py.PyLong_FromLongLong(duration), key, error};
        PyObject *result = py.PyObject_Vectorcall(handler, args, 4, NULL);
        if (result == NULL) py.PyErr_WriteUnraisable(handler);
        python_drop(result);
        python_drop(args[0]);
        python_drop(args[1]);
        py.Py_DecRef(handler);
        function_release(function);
    }
    python_drop(type);
    python_drop(error);
    python_drop(trace);
}

void function_event(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type) {
    make_names();
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    PyObject *key = value_text(bytes, length), *result = NULL;
    long long begin = now_us();
    PyObject *record = key == NULL ? NULL : record_of(ctx, function, event, name, type, key);
    if (record != NULL) {
        PyObject *records = take_spare(&spare_records);
        if (records == NULL) records = py.PyList_New(1);
        py.PyList_SetItem(records, 0, held(record));
        PyObject *args[] = {records, function->context}, *call = held(function->call), *context = held(args[1]);
        result = function_run(function, 1, call, args, 2);
        py.Py_DecRef(call);
        py.Py_DecRef(context);
        if (result != NULL) {
            keep_spare(record, records, function->absent != NULL && function->absent != py.none);
        } else {
            py.Py_DecRef(records);
            py.Py_DecRef(record);
        }
    }
    long long duration = now_us() - begin;
    if (result != NULL) {
        if (function->hook != NULL) succeeded(function, begin, duration, key);
    } else {
        failed(function, begin, duration, key == NULL ? py.none : key);
    }
    python_drop(result);
    python_drop(key);
}

/* -- statistics --------------------------------------------------------------------------------------------------- */

static PyObject *tuple_of(PyObject **items, ptrdiff_t count) {
    PyObject *tuple = py.PyTuple_New(count);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (tuple != NULL && items[i] != NULL) py.PyTuple_SetItem(tuple, i, items[i]);
        else python_drop(items[i]);
    }
    return tuple;
}

static PyObject *lines_of(Function *function) {
    unsigned count = function->line_count < FUNCTION_LINES ? function->line_count : FUNCTION_LINES;
    unsigned first = function->line_count - count;
    PyObject *list = py.PyList_New(count);
    for (unsigned i = 0; list != NULL && i < count; i++) {
        Line *line = &function->lines[(first + i) % FUNCTION_LINES];
        PyObject *items[] = {py.PyLong_FromLongLong(line->begin_us), py.PyLong_FromLongLong(line->duration_us), line->key};
        line->key = NULL;
        py.PyList_SetItem(list, i, tuple_of(items, 3));
    }
    return list;
}

PyObject *function_drain(Function *function) {
    if (function->line_count == 0) return held(py.none);
    PyObject *items[] = {
        py.PyLong_FromLongLong((long long)function->succeeded),
        py.PyLong_FromLongLong((long long)function->duration_us),
        py.PyLong_FromLongLong(function->last_us),
        lines_of(function),
    };
    function->succeeded = function->duration_us = 0;
    function->line_count = 0;
    return tuple_of(items, 4);
}
