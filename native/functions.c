/* Running functions; the header says what is what. */
#include "functions.h"

#include <string.h>
#include <time.h>

#include "values.h"
#include "watchdog.h"

enum { NAMES = 256, NAME_LENGTH = 32, TYPES = 8, FIELDS = 4, LARGE = 1024 };

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

static unsigned last_event; /* most often the next one is the same */

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
    if (strcmp(events[last_event].text, event) == 0 && events[last_event].name != NULL) {
        return python_held(events[last_event].name);
    }
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
    last_event = at;
    return python_held(events[at].name);
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
    if (--function->references > 0) return;
    if (function->user != NULL) RM_FreeString(NULL, function->user);
    RM_Free(function);
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

/* The server's clock reads the processor's where it can: half the cost of the system's. */
long long function_now(void) {
    return (long long)RM_MonotonicMicroseconds();
}

/* What has to be added to a time of the server's clock for one of Python's perf_counter. */
static long long python_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000 - function_now();
}

/* A record, and what it holds besides its key where that is known; the dict keeps these objects alive. */
typedef struct {
    PyObject *dict, *value, *kind, *event;
    int large; /* the value: it may not stay longer than the event */
} Record;

/* The type of a key, and its value in the record where it is a string. `at_event`: its type when the event came; where the value is not
 * wanted that will do, and the key is not opened. -1: an exception is set. */
static int look(RedisModuleCtx *ctx, RedisModuleString *name, int at_event, int wanted, Record *record) {
    if (!wanted && at_event != REDISMODULE_KEYTYPE_MODULE) return at_event;
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK | REDISMODULE_OPEN_KEY_NOEXPIRE);
    if (key == NULL) return REDISMODULE_KEYTYPE_EMPTY;
    int type = RM_KeyType(key), failed = 0;
    if (type == REDISMODULE_KEYTYPE_STRING && wanted) {
        size_t length = 0;
        const char *bytes = RM_StringDMA(key, &length, REDISMODULE_READ);
        record->value = value_text(bytes, length);
        record->large = length > LARGE;
        failed = record->value == NULL;
    }
    RM_CloseKey(key);
    if (failed) return -1;
    return type < 0 || type >= TYPES ? REDISMODULE_KEYTYPE_MODULE : type;
}

/* The last record, where nobody kept it: used again, it costs nothing to make. Four values that replace four others take a
 * third of the time of a new dict, and what a function only reads need not even be replaced. */
static Record spare;

/* Whether a field could be set to a value; it is left alone where it holds that already. */
static int set_field(PyObject *record, PyObject *field, PyObject *value, const PyObject *present) {
    return value == present || py.PyDict_SetItem(record, field, value) == 0;
}

/* Set all fields; `before`: what is known of those it has. */
static int fill(const Record *record, PyObject *key, const Record *before) {
    return record->dict != NULL && py.PyDict_SetItem(record->dict, field_key, key) == 0 &&
           set_field(record->dict, field_value, record->value, before->value) &&
           set_field(record->dict, field_type, record->kind, before->kind) &&
           set_field(record->dict, field_event, record->event, before->event);
}

/* {'key', 'value', 'type', 'event'} of these: the spare dict, or a new one. Whether that went well. */
static int make(Record *record, PyObject *key) {
    static const Record NOTHING;
    Record before = spare;
    spare = NOTHING;
    record->dict = before.dict != NULL ? before.dict : py.PyDict_New();
    int filled = fill(record, key, &before);
    if (filled && before.kind == NULL && py.PyDict_Size(record->dict) != FIELDS) {
        /* The function exchanged one of its fields for another. */
        python_drop(record->dict);
        record->dict = py.PyDict_New();
        filled = fill(record, key, &NOTHING);
    }
    if (!filled) python_drop(record->dict);
    return filled;
}

/* Keep a record for the next event, or drop it. `untouched`: nobody can have changed it. */
static void keep(Record *record, int untouched) {
    int usable = record->dict->refcount == 1 && (untouched || py.PyDict_Size(record->dict) == FIELDS);
    if (usable && (record->large || !untouched)) {
        usable = py.PyDict_SetItem(record->dict, field_value, py.none) == 0;
        record->value = py.none;
    }
    if (!usable) {
        py.PyErr_Clear();
        python_drop(record->dict);
        return;
    }
    python_drop(spare.dict);
    spare = *record;
    if (!untouched) spare.value = spare.kind = spare.event = NULL;
}

/* Have Python code read type and value of a key that is no string. Whether that went well. */
static int read_in_python(Function *function, PyObject *key, Record *record) {
    PyObject *args[] = {record->kind, key}, *call = python_held(function->value);
    PyObject *pair = py.PyObject_Vectorcall(call, args, 2, NULL);
    python_release(call);
    if (pair == NULL) return 0;
    record->kind = python_held(py.PyTuple_GetItem(pair, 0));
    record->value = python_held(py.PyTuple_GetItem(pair, 1));
    record->large = 1;
    python_release(pair);
    return 1;
}

/* The record of an event. Whether it was made; an exception is set where not. */
static int record_of(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int at_event,
                     PyObject *key, Record *record) {
    PyObject *absent = function->absent == NULL ? py.none : function->absent;
    int wanted = function->hook->value && absent == py.none;
    *record = (Record){0};
    int type = look(ctx, name, at_event, wanted, record);
    if (type < 0) return 0;
    record->kind = types[type];
    if (type == REDISMODULE_KEYTYPE_MODULE || (record->value == NULL && wanted && type != 0)) {
        if (!read_in_python(function, key, record)) return 0;
    } else {
        python_held(record->kind);
        if (record->value == NULL) record->value = python_held(function->hook->value ? absent : py.none);
    }
    record->event = event_name(event);
    int made = record->event != NULL && make(record, key);
    python_drop(record->value);
    python_drop(record->kind);
    python_drop(record->event);
    return made;
}

void function_succeeded(Function *function, long long begin, long long duration, PyObject *key) {
    function->succeeded++;
    function->duration_us += (unsigned long long)duration;
    function->last_us = duration;
    Line *line = &function->lines[function->line_count++ % FUNCTION_LINES];
    python_drop(line->key);
    *line = (Line){begin, duration, python_held(key)};
}

PyObject *function_failed(Function *function, long long begin, long long duration, PyObject *key) {
    PyObject *type, *error, *trace, *result = NULL;
    py.PyErr_Fetch(&type, &error, &trace);
    py.PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL && error != NULL) py.PyException_SetTraceback(error, trace);
    PyObject *handler = function->failed;
    if (handler != NULL && error != NULL) {
        function_hold(function);
        python_held(handler);
        PyObject *args[] = {py.PyLong_FromLongLong(begin + python_clock()), py.PyLong_FromLongLong(duration), key, error};
        result = py.PyObject_Vectorcall(handler, args, 4, NULL);
        if (result == NULL) py.PyErr_WriteUnraisable(handler);
        python_drop(args[0]);
        python_drop(args[1]);
        python_release(handler);
        function_release(function);
    }
    python_drop(type);
    python_drop(error);
    python_drop(trace);
    return result;
}

void function_event(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type) {
    make_names();
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    PyObject *key = value_text(bytes, length), *result = NULL;
    long long begin = function_now();
    Record record;
    if (key != NULL && record_of(ctx, function, event, name, type, key, &record)) {
        PyObject *call = python_held(function->call), *context = python_held(function->context);
        PyObject *args[] = {record.dict, context};
        result = function_run(function, 1, call, args, 2);
        python_release(call);
        python_release(context);
        if (result != NULL) keep(&record, function->untouched);
        else python_release(record.dict);
    }
    long long duration = function_now() - begin;
    if (result != NULL) {
        if (function->hook != NULL) function_succeeded(function, begin, duration, key);
    } else {
        python_drop(function_failed(function, begin, duration, key == NULL ? py.none : key));
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
    long long clock = python_clock();
    for (unsigned i = 0; list != NULL && i < count; i++) {
        Line *line = &function->lines[(first + i) % FUNCTION_LINES];
        PyObject *items[] = {py.PyLong_FromLongLong(line->begin_us + clock), py.PyLong_FromLongLong(line->duration_us), line->key};
        line->key = NULL;
        py.PyList_SetItem(list, i, tuple_of(items, 3));
    }
    return list;
}

PyObject *function_drain(Function *function) {
    if (function->line_count == 0) return python_held(py.none);
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
