/* `Reader`: bytes from the server in, replies out; as `hiredis.Reader`, for connections on which streams are read.
 *
 * The reply of an XREAD is a list of pairs (name, Entries). Any other reply is whole text, and given to a function.
 */
#include "extension.h"
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CHUNK = 256 * 1024 }; /* bytes asked of a socket at once, and kept for the next reply */

typedef struct {
    PyObject_HEAD
    char *data;
    size_t start, end, room; /* what was received and not taken: [start, end) */
    Scan scan;
    PyObject *other;
} Reader;

/* Room for so many bytes behind `end`; false: there is no memory. */
static bool reserve(Reader *reader, size_t more) {
    if (reader->room - reader->end >= more) return true;
    if (reader->start) {
        memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    if (reader->room - reader->end >= more) return true;
    size_t wanted = reader->room ? reader->room : CHUNK;
    while (wanted - reader->end < more) wanted *= 2;
    char *found = realloc(reader->data, wanted);
    if (!found) return false;
    reader->data = found;
    reader->room = wanted;
    return true;
}

/* A reply of so many bytes was taken. */
static void taken(Reader *reader, size_t length) {
    scan_reset(&reader->scan);
    reader->start += length;
    if (reader->start < reader->end) return;
    reader->start = reader->end = 0;
    if (reader->room > 16 * CHUNK) {
        /* It was a large one. */
        free(reader->data);
        reader->data = NULL;
        reader->room = 0;
    }
}

static ScanResult look(Reader *reader) {
    return scan_reply(&reader->scan, reader->data + reader->start, reader->end - reader->start);
}

/* -- replies ----------------------------------------------------------------------------------------------------------- */

static PyObject *stream_of(const Scan *scan, const char *data, const ScanStream *stream) {
    PyObject *name = text_new(data + stream->name, stream->name_length);
    PyObject *entries = entries_new(data, scan->entries + stream->first, stream->count, stream->end);
    PyObject *pair = name && entries ? PyTuple_Pack(2, name, entries) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(entries);
    return pair;
}

static PyObject *streams_of(Reader *reader) {
    const Scan *scan = &reader->scan;
    PyObject *streams = PyList_New((Py_ssize_t)scan->stream_count);
    for (size_t index = 0; streams && index < scan->stream_count; index++) {
        PyObject *pair = stream_of(scan, reader->data + reader->start, &scan->streams[index]);
        if (!pair) {
            Py_CLEAR(streams);
            break;
        }
        PyList_SetItem(streams, (Py_ssize_t)index, pair);
    }
    if (streams) taken(reader, scan->end);
    return streams;
}

/* The text of a whole reply, or of all there is. */
static PyObject *given_to_other(Reader *reader, size_t length) {
    PyObject *text = PyBytes_FromStringAndSize(reader->data + reader->start, (Py_ssize_t)length);
    if (!text) return NULL;
    taken(reader, length);
    PyObject *reply = PyObject_CallFunctionObjArgs(reader->other, text, NULL);
    Py_DECREF(text);
    return reply;
}

PyDoc_STRVAR(gets_doc, "gets()\n--\n\nThe next reply, or Ellipsis where it has not come wholly.");

static PyObject *gets(PyObject *self, PyObject *unused) {
    (void)unused;
    Reader *reader = (Reader *)self;
    switch (look(reader)) {
    case SCAN_MORE:
        Py_INCREF(Py_Ellipsis);
        return Py_Ellipsis;
    case SCAN_ENTRIES:
        return streams_of(reader);
    case SCAN_OTHER:
        return given_to_other(reader, reader->scan.end);
    case SCAN_BROKEN:
        return given_to_other(reader, reader->end - reader->start);
    default:
        return PyErr_NoMemory();
    }
}

/* -- bytes ------------------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(feed_doc, "feed(data, offset=0, length=-1, /)\n--\n\nAdd bytes that were received.");

static PyObject *feed(PyObject *self, PyObject *args) {
    Reader *reader = (Reader *)self;
    Py_buffer data;
    Py_ssize_t offset = 0, length = -1;
    if (!PyArg_ParseTuple(args, "y*|nn", &data, &offset, &length)) return NULL;
    bool fits = offset >= 0 && offset <= data.len;
    if (fits && length < 0) length = data.len - offset;
    fits = fits && length <= data.len - offset;
    bool room = fits && reserve(reader, (size_t)length);
    if (room && length) {
        memcpy(reader->data + reader->end, (const char *)data.buf + offset, (size_t)length);
        reader->end += (size_t)length;
    }
    PyBuffer_Release(&data);
    if (!fits) return PyErr_Format(PyExc_ValueError, "there are no %zd bytes at %zd", length, offset);
    if (!room) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Receive until the next reply is whole, or nothing comes; without the interpreter. */
static ScanResult received(Reader *reader, int descriptor, ssize_t *last) {
    ScanResult result = look(reader);
    *last = 1;
    while (result == SCAN_MORE) {
        if (!reserve(reader, CHUNK / 2)) return SCAN_NO_MEMORY;
        *last = recv(descriptor, reader->data + reader->end, reader->room - reader->end, 0);
        if (*last <= 0) return SCAN_MORE;
        reader->end += (size_t)*last;
        result = look(reader);
    }
    return result;
}

PyDoc_STRVAR(fill_doc,
             "fill(descriptor, /)\n--\n\nReceive from a blocking socket until the next reply is whole; others run meanwhile.\n\n"
             "False where the connection has ended. Raises OSError as the socket does; one that has a timeout in the\n"
             "kernel: BlockingIOError.");

static PyObject *fill(PyObject *self, PyObject *argument) {
    int descriptor = PyObject_AsFileDescriptor(argument);
    if (descriptor < 0) return NULL;
    ScanResult result;
    ssize_t last;
    int number;
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        result = received((Reader *)self, descriptor, &last);
        number = errno;
        Py_END_ALLOW_THREADS
        if (last >= 0 || number != EINTR) break;
        if (PyErr_CheckSignals()) return NULL;
    }
    if (result == SCAN_NO_MEMORY) return PyErr_NoMemory();
    if (last < 0) {
        errno = number;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyBool_FromLong(last > 0);
}

PyDoc_STRVAR(skim_doc,
             "skim(count, /)\n--\n\nTake up to so many replies, of which only errors are told.\n\n"
             "Returns how many were taken, and a list of (which of them, error line) or None.");

static PyObject *skim(PyObject *self, PyObject *argument) {
    Reader *reader = (Reader *)self;
    Py_ssize_t count = PyNumber_AsSsize_t(argument, PyExc_OverflowError), at = 0;
    if (count == -1 && PyErr_Occurred()) return NULL;
    PyObject *errors = NULL;
    ScanResult result = SCAN_OTHER;
    for (; at < count; at++) {
        result = look(reader);
        if (result != SCAN_ENTRIES && result != SCAN_OTHER) break;
        const char *text = reader->data + reader->start;
        size_t length = reader->scan.end;
        if (*text == '-') {
            PyObject *error = Py_BuildValue("ny#", at, text, (Py_ssize_t)length);
            if (!errors) errors = PyList_New(0);
            int failed = error && errors ? PyList_Append(errors, error) : -1;
            Py_XDECREF(error);
            if (failed) {
                Py_XDECREF(errors);
                return NULL;
            }
        }
        taken(reader, length);
    }
    if (result == SCAN_NO_MEMORY || result == SCAN_BROKEN) {
        Py_XDECREF(errors);
        if (result == SCAN_NO_MEMORY) return PyErr_NoMemory();
        return PyErr_Format(PyExc_ValueError, "what came is no reply of a server");
    }
    if (!errors) return Py_BuildValue("nO", at, Py_None);
    return Py_BuildValue("nN", at, errors);
}

PyDoc_STRVAR(has_data_doc, "has_data()\n--\n\nWhether something was received that was not taken.");

static PyObject *has_data(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((Reader *)self)->start < ((Reader *)self)->end);
}

/* -- the type ---------------------------------------------------------------------------------------------------------- */

static PyObject *reader_make(PyTypeObject *type, PyObject *args, PyObject *named) {
    PyObject *other;
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "Reader() takes no keyword arguments");
    if (!PyArg_ParseTuple(args, "O", &other)) return NULL;
    Reader *reader = (Reader *)object_new(type);
    if (!reader) return NULL;
    Py_INCREF(other);
    reader->other = other;
    return (PyObject *)reader;
}

static int reader_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Reader *)self)->other);
    return 0;
}

static int reader_clear(PyObject *self) {
    Py_CLEAR(((Reader *)self)->other);
    return 0;
}

static void reader_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    reader_clear(self);
    scan_free(&((Reader *)self)->scan);
    free(((Reader *)self)->data);
    object_free(self);
}

static PyMethodDef methods[] = {
    {"gets", gets, METH_NOARGS, gets_doc},
    {"feed", feed, METH_VARARGS, feed_doc},
    {"fill", fill, METH_O, fill_doc},
    {"skim", skim, METH_O, skim_doc},
    {"has_data", has_data, METH_NOARGS, has_data_doc},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Reader(other, /)\n--\n\nReplies from bytes.\n\nother: given the text of each reply that is no XREAD's; "
                "what it returns is the reply."},
    {Py_tp_new, reader_make},
    {Py_tp_traverse, reader_traverse},
    {Py_tp_clear, reader_clear},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, methods},
    {0},
};

static PyType_Spec spec = {
    .name = "_geartrain_records.Reader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

int reader_ready(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    if (!type) return -1;
    int failed = PyModule_AddObjectRef(module, "Reader", type);
    Py_DECREF(type);
    return failed;
}
