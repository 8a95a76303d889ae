/* The records of key events: dicts that are used again. The header says more. */
#include "eventrecord.h"

#include <string.h>

#include "values.h"

enum { NAMES = 256, NAME_LENGTH = 32, TYPES = 8, FIELDS = 4, LARGE = 1024 };

/* -- names: str objects that are made once ------------------------------------------------------------------------ */

static PyObject *types[TYPES], *field_key, *field_value, *field_type, *field_event;

static struct {
    char text[NAME_LENGTH];
    PyObject *name;
} events[NAMES];

static unsigned last_event; /* most often the next one is the same */

static void make_names(void) {
    if (field_key != NULL) return;
    for (int i = 0; i < TYPES; i++) types[i] = py.PyUnicode_InternFromString(api_type_names[i]);
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

/* -- parts -------------------------------------------------------------------------------------------------------- */

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
    if (parts->key == NULL && (parts->key = value_of_string(name)) == NULL) return 0;
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
    if ((noticed & NOTICES_KEY) && (parts->key = value_of_string(name)) == NULL) return 0;
    if ((noticed & (NOTICES_VALUE | NOTICES_TYPE)) && !find_value(ctx, function, name, at_event, parts)) return 0;
    return !(noticed & NOTICES_EVENT) || (parts->event = event_name(event)) != NULL;
}

/* -- records ------------------------------------------------------------------------------------------------------ */

/* The last record, where nobody kept it: used again, it costs nothing to make. Four values that replace four others take a
 * third of the time of a new dict, and what a function only reads need not even be replaced. */
static EventRecord spare;

/* Whether a field could be set, where it has to be; it is left alone where it holds that object already. */
static int set_field(PyObject *dict, PyObject *field, PyObject *part, PyObject **present) {
    if (part == NULL || part == *present) return 1;
    *present = part;
    return py.PyDict_SetItem(dict, field, part) == 0;
}

static int fill(EventRecord *record, const Parts *parts) {
    PyObject *unknown = NULL;
    int filled = set_field(record->dict, field_key, parts->key, &unknown) &&
                 set_field(record->dict, field_value, parts->value, &record->value) &&
                 set_field(record->dict, field_type, parts->kind, &record->kind) &&
                 set_field(record->dict, field_event, parts->event, &record->event);
    if (parts->value != NULL) record->large = parts->large;
    return filled;
}

/* A new dict with all fields, in their order. Whether that went well. */
static int fill_new(EventRecord *record, const Parts *parts) {
    Parts nothing = {py.none, py.none, py.none, py.none, 0};
    *record = (EventRecord){.dict = py.PyDict_New()};
    return record->dict != NULL && fill(record, &nothing) && fill(record, parts);
}

/* A record with these parts: the spare one, or a new one. Whether that went well. */
static int make(EventRecord *record, const Parts *parts) {
    int whole = parts->key != NULL && parts->value != NULL && parts->kind != NULL && parts->event != NULL;
    *record = spare;
    spare = (EventRecord){0};
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

int eventrecord_make(RedisModuleCtx *ctx, Function *function, const char *event, RedisModuleString *name, int type,
                     EventRecord *record) {
    make_names();
    Parts parts = {0};
    int made = find_parts(ctx, function, event, name, type, &parts) && make(record, &parts);
    drop_parts(&parts);
    return made;
}

void eventrecord_keep(EventRecord *record, int untouched) {
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

void eventrecord_complete(EventRecord *record, const Function *function, PyObject *key, const char *event, int type) {
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
