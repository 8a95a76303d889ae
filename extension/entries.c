/* `Entries`: stream entries as the server sent them, until records are made of them.
 *
 *     Entries [start, end) ──> Block: where each entry begins, and its bytes `*2 $id *K $field $value ...`
 *     a slice of it        ──┘
 *
 * A sequence of lists `[id, [field, value, ...]]`, each made when it is asked for. What was scanned is trusted: the bytes are
 * ours.
 */
#include "extension.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t references;
    size_t *offsets; /* count + 1, the last one: where the last entry ends */
    char *bytes;
} Block;

typedef struct {
    PyObject_HEAD
    Block *block;
    size_t start, end;
} Entries;

typedef struct {
    const char *text;
    size_t length;
} Piece;

enum { MOST_NAMES = 32 }; /* fields of which the name is looked up among the previous entry's */

/* The names of the previous entry's fields: streams mostly have the same ones in each entry. */
typedef struct {
    Piece pieces[MOST_NAMES];
    PyObject *names[MOST_NAMES];
    size_t count;
} Names;

PyTypeObject *entries_type;
static PyObject *id_name; /* 'streamId' */
static PyObject *gears_names[3]; /* 'key', 'id', 'value' */

static Block *block_new(size_t count, size_t bytes) {
    Block *block = malloc(sizeof(Block) + (count + 1) * sizeof(size_t) + bytes);
    if (!block) {
        PyErr_NoMemory();
        return NULL;
    }
    block->references = 1;
    block->offsets = (size_t *)(block + 1);
    block->bytes = (char *)(block->offsets + count + 1);
    return block;
}

static void block_leave(Block *block) {
    if (block && --block->references == 0) free(block);
}

/* Takes over one reference of the block. */
static PyObject *view(Block *block, size_t start, size_t end) {
    Entries *entries = (Entries *)object_new(entries_type);
    if (!entries) {
        block_leave(block);
        return NULL;
    }
    entries->block = block;
    entries->start = start;
    entries->end = end;
    return (PyObject *)entries;
}

/* Append entries to a block that has `at` of them, which end at `size`. */
static void append(Block *block, size_t at, size_t size, const char *data, const size_t *offsets, size_t count, size_t end) {
    size_t base = count ? offsets[0] : end;
    for (size_t index = 0; index < count; index++) block->offsets[at + index] = size + offsets[index] - base;
    block->offsets[at + count] = size + end - base;
    memcpy(block->bytes + size, data + base, end - base);
}

PyObject *entries_new(const char *data, const size_t *offsets, size_t count, size_t end) {
    Block *block = block_new(count, count ? end - offsets[0] : 0);
    if (!block) return NULL;
    append(block, 0, 0, data, offsets, count, end);
    return view(block, 0, count);
}

static size_t length_of(const Entries *entries) { return entries->end - entries->start; }

static size_t bytes_of(const Entries *entries) {
    return entries->block->offsets[entries->end] - entries->block->offsets[entries->start];
}

PyObject *text_new(const char *text, size_t length) {
    PyObject *found = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, NULL);
    if (!found && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        found = PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
    }
    return found;
}

/* -- reading an entry -------------------------------------------------------------------------------------------------- */

/* The number of a line, `$15\r\n`; moves on behind it. */
static size_t number(const char **at) {
    const char *p = *at + 1;
    size_t found = 0;
    while (*p != '\r') found = found * 10 + (size_t)(*p++ - '0');
    *at = p + 2;
    return found;
}

static Piece piece(const char **at) {
    size_t length = number(at);
    Piece found = {*at, length};
    *at += length + 2;
    return found;
}

/* An entry's id, and how many fields and values follow at `*at`. */
static Piece opened(const Entries *entries, size_t index, const char **at, size_t *count) {
    *at = entries->block->bytes + entries->block->offsets[entries->start + index];
    number(at);
    Piece id = piece(at);
    *count = number(at);
    return id;
}

static PyObject *text_of(Piece piece) { return text_new(piece.text, piece.length); }

/* -- records ----------------------------------------------------------------------------------------------------------- */

static bool same(Piece one, Piece other) {
    return one.length == other.length && memcmp(one.text, other.text, one.length) == 0;
}

/* The name of the field at that place, a new reference. */
static PyObject *name_of(Names *names, size_t place, Piece found) {
    if (place < names->count && same(names->pieces[place], found)) {
        Py_INCREF(names->names[place]);
        return names->names[place];
    }
    PyObject *name = text_of(found);
    if (!name || place > names->count || place >= MOST_NAMES) return name;
    if (place < names->count) {
        Py_DECREF(names->names[place]);
    } else {
        names->count++;
    }
    names->pieces[place] = found;
    Py_INCREF(name);
    names->names[place] = name;
    return name;
}

static void forget(Names *names) {
    for (size_t place = 0; place < names->count; place++) Py_DECREF(names->names[place]);
}

/* Put an entry's fields into a dict; but `streamId`, where that is the record's own. */
static int fill(PyObject *record, const char *at, size_t count, Names *names, bool own) {
    for (size_t place = 0; place < count / 2; place++) {
        Piece name_piece = piece(&at), value_piece = piece(&at);
        PyObject *name = name_of(names, place, name_piece);
        if (!name) return -1;
        if (own && name_piece.length == 8 && memcmp(name_piece.text, "streamId", 8) == 0) {
            Py_DECREF(name);
            continue;
        }
        PyObject *value = text_of(value_piece);
        int failed = value ? PyDict_SetItem(record, name, value) : -1;
        Py_DECREF(name);
        Py_XDECREF(value);
        if (failed) return -1;
    }
    return 0;
}

static int put(PyObject *record, PyObject *name, PyObject *value) {
    int failed = value ? PyDict_SetItem(record, name, value) : -1;
    Py_XDECREF(value);
    return failed;
}

/* `{'streamId': id, field: value, ...}` */
static PyObject *record_of(const Entries *entries, size_t index, Names *names) {
    const char *at;
    size_t count;
    Piece id = opened(entries, index, &at, &count);
    PyObject *record = PyDict_New();
    if (!record) return NULL;
    if (put(record, id_name, text_of(id)) || fill(record, at, count, names, true)) {
        Py_DECREF(record);
        return NULL;
    }
    return record;
}

/* `{'key': stream, 'id': id, 'value': {field: value, ...}}` */
static PyObject *gears_record_of(const Entries *entries, size_t index, Names *names, PyObject *stream) {
    const char *at;
    size_t count;
    Piece id = opened(entries, index, &at, &count);
    PyObject *record = PyDict_New(), *fields = PyDict_New();
    bool whole = record && fields && !PyDict_SetItem(record, gears_names[0], stream) &&
                 !put(record, gears_names[1], text_of(id)) && !fill(fields, at, count, names, false) &&
                 !PyDict_SetItem(record, gears_names[2], fields);
    Py_XDECREF(fields);
    if (whole) return record;
    Py_XDECREF(record);
    return NULL;
}

PyDoc_STRVAR(records_doc, "records(stream=None, /)\n--\n\nThe records of Geartrain's own format; with a stream's name those of "
                          "RedisGears 1.2's.");

static PyObject *records(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    if (count > 1) return PyErr_Format(PyExc_TypeError, "records() takes at most one argument, not %zd", count);
    Entries *entries = (Entries *)self;
    size_t length = length_of(entries);
    PyObject *made = PyList_New((Py_ssize_t)length);
    if (!made) return NULL;
    Names names = {.count = 0};
    for (size_t index = 0; index < length; index++) {
        PyObject *record = count ? gears_record_of(entries, index, &names, args[0]) : record_of(entries, index, &names);
        if (!record) {
            Py_CLEAR(made);
            break;
        }
        PyList_SetItem(made, (Py_ssize_t)index, record);
    }
    forget(&names);
    return made;
}

/* -- as a sequence ----------------------------------------------------------------------------------------------------- */

static Py_ssize_t entries_length(PyObject *self) { return (Py_ssize_t)length_of((Entries *)self); }

static PyObject *fields_of(const char *at, size_t count) {
    PyObject *fields = PyList_New((Py_ssize_t)count);
    for (size_t place = 0; fields && place < count; place++) {
        PyObject *text = text_of(piece(&at));
        if (!text) {
            Py_CLEAR(fields);
            break;
        }
        PyList_SetItem(fields, (Py_ssize_t)place, text);
    }
    return fields;
}

/* A negative index has the length added already. */
static PyObject *entries_item(PyObject *self, Py_ssize_t index) {
    Entries *entries = (Entries *)self;
    if (index < 0 || index >= entries_length(self)) {
        PyErr_SetString(PyExc_IndexError, "there is no such entry");
        return NULL;
    }
    const char *at;
    size_t count;
    Piece id = opened(entries, (size_t)index, &at, &count);
    PyObject *entry = PyList_New(2), *text = text_of(id), *fields = fields_of(at, count);
    if (!entry || !text || !fields) {
        Py_XDECREF(entry);
        Py_XDECREF(text);
        Py_XDECREF(fields);
        return NULL;
    }
    PyList_SetItem(entry, 0, text);
    PyList_SetItem(entry, 1, fields);
    return entry;
}

static PyObject *entries_subscript(PyObject *self, PyObject *key) {
    Entries *entries = (Entries *)self;
    if (!PySlice_Check(key)) {
        Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (index == -1 && PyErr_Occurred()) return NULL;
        return entries_item(self, index < 0 ? index + entries_length(self) : index);
    }
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(key, &start, &stop, &step)) return NULL;
    if (step != 1) return PyErr_Format(PyExc_ValueError, "the step of a slice of entries must be 1, not %zd", step);
    Py_ssize_t length = PySlice_AdjustIndices(entries_length(self), &start, &stop, step);
    entries->block->references++;
    return view(entries->block, entries->start + (size_t)start, entries->start + (size_t)(start + length));
}

static PyObject *entries_concat(PyObject *self, PyObject *other) {
    if (!PyObject_TypeCheck(other, entries_type)) {
        return PyErr_Format(PyExc_TypeError, "only entries can be added to entries");
    }
    Entries *parts[] = {(Entries *)self, (Entries *)other};
    Block *block = block_new(length_of(parts[0]) + length_of(parts[1]), bytes_of(parts[0]) + bytes_of(parts[1]));
    if (!block) return NULL;
    size_t at = 0, size = 0;
    for (int part = 0; part < 2; part++) {
        const Entries *from = parts[part];
        const size_t *offsets = from->block->offsets;
        append(block, at, size, from->block->bytes, offsets + from->start, length_of(from), offsets[from->end]);
        at += length_of(from);
        size += bytes_of(from);
    }
    return view(block, 0, at);
}

PyDoc_STRVAR(id_doc, "id(index, /)\n--\n\nThe id of an entry, `milliseconds-number`; a negative index counts from the end.");

static PyObject *entry_id(PyObject *self, PyObject *argument) {
    Py_ssize_t index = PyNumber_AsSsize_t(argument, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) return NULL;
    if (index < 0) index += entries_length(self);
    if (index < 0 || index >= entries_length(self)) {
        PyErr_SetString(PyExc_IndexError, "there is no such entry");
        return NULL;
    }
    const char *at;
    size_t count;
    return text_of(opened((Entries *)self, (size_t)index, &at, &count));
}

static PyObject *entries_size(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(bytes_of((Entries *)self));
}

static void entries_dealloc(PyObject *self) {
    block_leave(((Entries *)self)->block);
    object_free(self);
}

static PyMethodDef methods[] = {
    {"id", entry_id, METH_O, id_doc},
    {"records", (PyCFunction)(void (*)(void))records, METH_FASTCALL, records_doc},
    {0},
};

static PyGetSetDef attributes[] = {
    {"size", entries_size, NULL, "Bytes that the entries take.", NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Entries of one stream, as the server sent them: a sequence of `[id, [field, value, ...]]`."},
    {Py_tp_dealloc, entries_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_sq_length, entries_length},
    {Py_sq_item, entries_item},
    {Py_sq_concat, entries_concat},
    {Py_mp_length, entries_length},
    {Py_mp_subscript, entries_subscript},
    {0},
};

static PyType_Spec spec = {
    .name = "_geartrain_records.Entries",
    .basicsize = sizeof(Entries),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

int entries_ready(PyObject *module) {
    static const char *const names[] = {"key", "id", "value"};
    for (int index = 0; index < 3; index++) {
        if (!(gears_names[index] = PyUnicode_InternFromString(names[index]))) return -1;
    }
    if (!(id_name = PyUnicode_InternFromString("streamId"))) return -1;
    entries_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return entries_type ? PyModule_AddObjectRef(module, "Entries", (PyObject *)entries_type) : -1;
}
