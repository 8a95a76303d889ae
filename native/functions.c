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

static void clear_line(Line *line) {
    python_drop(line->key);
    if (line->name != NULL) RM_FreeString(NULL, line->name);
    line->key = NULL;
    line->name = NULL;
    line->length = 0;
}

static void drop_lines(Function *function) {
    for (int i = 0; i < FUNCTION_LINES; i++) clear_line(&function->lines[i]);
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

/* -- records ------------------------------------------------------------------------------------------------------ */

/* A record's dict, and which objects it holds besides its key, where that is known; it keeps them alive. */
typedef struct {
    PyObject *dict, *value, *kind, *event;
    int large;    /* the value: it may not stay longer than the event */
    int doubtful; /* whether a function may have changed it */
} Record;

/* What is to be in a record; NULL: no step can notice that field. References of its own. */
typedef struct {
    PyObject *key, *value, *kind, *event;
    int large;
} Parts;

static inline void drop_parts(const Parts *parts) {
    python_drop(parts->key);
    python_drop(parts->value);
    python_drop(parts->kind);
    python_drop(parts->event);
}

static PyObject *key_text(RedisModuleString *name) {
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    return value_text(bytes, length);
}

/* The type of a key, and its value where it is a string. `at_event`: its type when the event came; where the value is not
 * wanted that will do, and the key is not opened. -1: an exception is set. */
static int look(RedisModuleCtx *ctx, RedisModuleString *name, int at_event, int wanted, Parts *parts) {
    if (!wanted && at_event != REDISMODULE_KEYTYPE_MODULE) return at_event;
    RedisModuleKey *key = RM_OpenKey(ctx, name, OPEN_TO_LOOK | REDISMODULE_OPEN_KEY_NOEXPIRE);
    if (key == NULL) return REDISMODULE_KEYTYPE_EMPTY;
    int type = RM_KeyType(key), failed = 0;
    if (type == REDISMODULE_KEYTYPE_STRING && wanted) {
        size_t length = 0;
        const char *bytes = RM_StringDMA(key, &length, REDISMODULE_READ);
        parts->value = value_text(bytes, length);
        parts->large = length > LARGE;
        failed = parts->value == NULL;
    }
    RM_CloseKey(key);
    if (failed) return -1;
    return type < 0 || type >= TYPES ? REDISMODULE_KEYTYPE_MODULE : type;
}

/* Have Python code read type and value of a key that is no string. Whether that went well. */
static int read_in_python(Function *function, RedisModuleString *name, int type, Parts *parts) {
    if (parts->key == NULL && (parts->key = key_text(name)) == NULL) return 0;
    PyObject *args[] = {types[type], parts->key}, *call = python_held(function->value);
    PyObject *pair = py.PyObject_Vectorcall(call, args, 2, NULL);
    python_release(call);
    if (pair == NULL) return 0;
    parts->kind = python_held(py.PyTuple_GetItem(pair, 0));
    parts->value = python_held(py.PyTuple_GetItem(pair, 1));
    parts->large = 1;
    python_release(pair);
    return 1;
}

/* What stands for a value that is not read. */
static PyObject *unread(const Function *function) {
    PyObject *absent = function->absent == NULL ? py.none : function->absent;
    return python_held(function->hook->value ? absent : py.none);
}

/* Type and value, as far as a step can notice them. Whether that went well. */
static int find_value(RedisModuleCtx *ctx, Function *function, RedisModuleString *name, int at_event, Parts *parts) {
    int wanted = (function->noticed & NOTICES_VALUE) != 0 && function->hook->value;
    int type = look(ctx, name, at_event, wanted, parts);
    if (type < 0) return 0;
    if (type == REDISMODULE_KEYTYPE_MODULE || (parts->value == NULL && wanted && type != REDISMODULE_KEYTYPE_EMPTY))
        return read_in_python(function, name, type, parts);
    parts->kind = python_held(types[type]);
    if (parts->value == NULL) parts->value = unread(function);
    return 1;
}

static int find_parts(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int at_event,
                      Parts *parts) {
    unsigned noticed = function->noticed;
    if ((noticed & NOTICES_KEY) && (parts->key = key_text(name)) == NULL) return 0;
    if ((noticed & (NOTICES_VALUE | NOTICES_TYPE)) && !find_value(ctx, function, name, at_event, parts)) return 0;
    return !(noticed & NOTICES_EVENT) || (parts->event = event_name(event)) != NULL;
}

/* The last record, where nobody kept it: used again, it costs nothing to make. Four values that replace four others take a
 * third of the time of a new dict, and what a function only reads need not even be replaced. */
static Record spare;

/* Whether a field could be set, where it has to be; it is left alone where it holds that object already. */
static int set_field(PyObject *dict, PyObject *field, PyObject *part, PyObject **present) {
    if (part == NULL || part == *present) return 1;
    *present = part;
    return py.PyDict_SetItem(dict, field, part) == 0;
}

static int fill(Record *record, const Parts *parts) {
    PyObject *unknown = NULL;
    int filled = set_field(record->dict, field_key, parts->key, &unknown) &&
                 set_field(record->dict, field_value, parts->value, &record->value) &&
                 set_field(record->dict, field_type, parts->kind, &record->kind) &&
                 set_field(record->dict, field_event, parts->event, &record->event);
    if (parts->value != NULL) record->large = parts->large;
    return filled;
}

/* A new dict with all fields, in their order. Whether that went well. */
static int fill_new(Record *record, const Parts *parts) {
    Parts nothing = {py.none, py.none, py.none, py.none, 0};
    *record = (Record){.dict = py.PyDict_New()};
    return record->dict != NULL && fill(record, &nothing) && fill(record, parts);
}

/* A record with these parts: the spare one, or a new one. Whether that went well. */
static int make(Record *record, const Parts *parts) {
    int whole = parts->key != NULL && parts->value != NULL && parts->kind != NULL && parts->event != NULL;
    *record = spare;
    spare = (Record){0};
    int filled = record->dict != NULL && (whole || !record->doubtful) && fill(record, parts) &&
                 /* Or the function exchanged one of its fields for another. */
                 (!record->doubtful || py.PyDict_Size(record->dict) == FIELDS);
    if (!filled) {
        py.PyErr_Clear();
        python_drop(record->dict);
        filled = fill_new(record, parts);
        if (!filled) python_drop(record->dict);
    }
    return filled;
}

/* Keep a record for the next event, or drop it. `untouched`: nobody can have changed it. */
static void keep(Record *record, int untouched) {
    int usable = record->dict->refcount == 1 && (untouched || py.PyDict_Size(record->dict) == FIELDS);
    if (usable && (record->large || !untouched)) {
        usable = py.PyDict_SetItem(record->dict, field_value, py.none) == 0;
        record->value = py.none;
        record->large = 0;
    }
    if (!usable) {
        py.PyErr_Clear();
        python_drop(record->dict);
        return;
    }
    python_drop(spare.dict);
    spare = *record;
    spare.doubtful = !untouched;
    if (!untouched) spare.value = spare.kind = spare.event = NULL;
}

/* For a message: what no step noticed too. Errors in here are no news. */
static void complete(Record *record, const Function *function, PyObject *key, const char *event, int type) {
    unsigned noticed = function->noticed;
    Parts parts = {0};
    if (!(noticed & NOTICES_KEY)) parts.key = python_held(key);
    if (!(noticed & (NOTICES_VALUE | NOTICES_TYPE))) parts.kind = python_held(types[type]);
    if (!(noticed & (NOTICES_VALUE | NOTICES_TYPE)) && function->hook != NULL) parts.value = unread(function);
    if (!(noticed & NOTICES_EVENT)) parts.event = event_name(event);
    fill(record, &parts);
    py.PyErr_Clear();
    drop_parts(&parts);
}

/* -- what a run leaves behind ------------------------------------------------------------------------------------- */

static Line *note_success(Function *function, long long begin, long long duration) {
    function->succeeded++;
    function->duration_us += (unsigned long long)duration;
    function->last_us = duration;
    Line *line = &function->lines[function->line_count++ % FUNCTION_LINES];
    clear_line(line);
    line->begin_us = begin;
    line->duration_us = duration;
    return line;
}

void function_succeeded(Function *function, long long begin, long long duration, PyObject *key) {
    note_success(function, begin, duration)->key = python_held(key);
}

static void event_succeeded(Function *function, long long begin, long long duration, RedisModuleString *name) {
    Line *line = note_success(function, begin, duration);
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    if (length <= sizeof line->bytes) memcpy(line->bytes, bytes, line->length = length);
    else line->name = RM_HoldString(NULL, name);
}

static PyObject *key_of(const Line *line) {
    if (line->key != NULL) return python_held(line->key);
    return line->name != NULL ? key_text(line->name) : value_text(line->bytes, line->length);
}

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
        PyObject *args[] = {py.PyLong_FromLongLong(begin + python_clock()), py.PyLong_FromLongLong(duration), key,
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
static PyObject *call_with(Function *function, const Record *record) {
    PyObject *call = python_held(function->call), *context = python_held(function->context);
    PyObject *args[] = {record->dict, context};
    PyObject *result = function_run(function, 1, call, args, context == py.none ? 1 : 2);
    python_release(call);
    python_release(context);
    return result;
}

void function_event(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type) {
    make_names();
    long long begin = function_now();
    Parts parts = {0};
    Record record;
    int made = find_parts(ctx, function, event, name, type, &parts) && make(&record, &parts);
    drop_parts(&parts);
    PyObject *result = made ? call_with(function, &record) : NULL;
    long long duration = function_now() - begin;
    if (result != NULL) {
        if (function->hook != NULL) event_succeeded(function, begin, duration, name);
        keep(&record, function->untouched);
        python_release(result);
        return;
    }
    Raised raised = take_raised();
    PyObject *key = key_text(name);
    if (key == NULL) py.PyErr_Clear();
    if (made && key != NULL) complete(&record, function, key, event, type);
    python_drop(tell(function, &raised, begin, duration, key == NULL ? py.none : key, made ? record.dict : py.none));
    if (made) python_release(record.dict);
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
        PyObject *items[] = {py.PyLong_FromLongLong(line->begin_us + clock), py.PyLong_FromLongLong(line->duration_us),
                             key_of(line)};
        clear_line(line);
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
