/* Commands for a cluster: the slot of a command's first key says in which shard's lane it waits.
 *
 *     words ──place of the name's first key──> key ──slot──> lane: `waiting` gets the bytes
 *
 * Everything here is `geartrain.wire.Lanes`'s own: lists that it changes, and that are read anew for each command. What is not
 * plain (a name that it has not seen, a slot whose lane it does not know) is left to it.
 */
#include "commands.h"

#include <string.h>

enum { SLOTS = 16384 };

static PyObject *name_waiting;
static unsigned short checksums[256];

/* The checksum by which a cluster tells slots: CRC-16/XMODEM. */
static unsigned slot_of(const char *text, size_t length) {
    unsigned crc = 0;
    for (size_t at = 0; at < length; at++) crc = (crc << 8 & 0xff00) ^ checksums[crc >> 8 ^ (unsigned char)text[at]];
    return crc % SLOTS;
}

/* What stands between a key's first braces, if something does, decides; else all of it. */
static unsigned slot_of_key(const char *key, size_t length) {
    const char *begin = memchr(key, '{', length);
    const char *end = begin ? memchr(begin, '}', length - (size_t)(begin - key)) : NULL;
    return end && end > begin + 1 ? slot_of(begin + 1, (size_t)(end - begin - 1)) : slot_of(key, length);
}

/* The slot of a str or bytes; -1: it is none, or a str that is no UTF-8. */
static long slot_of_object(PyObject *key) {
    const char *text = NULL;
    char *data;
    Py_ssize_t length;
    if (Py_TYPE(key) == &PyUnicode_Type) text = PyUnicode_AsUTF8AndSize(key, &length);
    else if (Py_TYPE(key) == &PyBytes_Type && !PyBytes_AsStringAndSize(key, &data, &length)) text = data;
    if (text) return (long)slot_of_key(text, (size_t)length);
    PyErr_Clear();
    return -1;
}

/* The lane of a command, borrowed; NULL, without an error: it is not plain. */
static PyObject *lane_of(const Routes *routes, PyObject *const *words, Py_ssize_t count) {
    PyObject *place = PyDict_GetItemWithError(routes->places, words[0]);
    if (!place) {
        PyErr_Clear();
        return NULL;
    }
    long at = PyLong_AsLong(place);
    if (at < 0 || at + 1 >= count) return NULL;
    long slot = slot_of_object(words[at + 1]);
    PyObject *lane = slot < 0 || slot >= PyList_Size(routes->lanes) ? NULL : PyList_GetItem(routes->lanes, slot);
    return lane == Py_None ? NULL : lane;
}

/* Append the command to all lists, or to none. */
static int append(PyObject *const *lists, PyObject *const *items, int count) {
    for (int number = 0; number < count; number++) {
        if (!PyList_Append(lists[number], items[number])) continue;
        while (number--) {
            Py_ssize_t size = PyList_Size(lists[number]);
            PyList_SetSlice(lists[number], size - 1, size, NULL);
        }
        return -1;
    }
    return 0;
}

static PyObject *add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at, PyObject *lane) {
    PyObject *waiting = PyObject_GetAttr(lane, name_waiting);
    PyObject *packed = waiting ? commands_packed(commands, words, count) : NULL;
    PyObject *pair = packed ? PyTuple_Pack(2, packed, at) : NULL;
    PyObject *lists[] = {waiting, commands->routes.order, commands->pending}, *items[] = {packed, lane, pair};
    int failed = !pair || append(lists, items, 3);
    PyObject *full = failed ? NULL : PyList_Size(waiting) >= commands->routes.most ? lane : Py_None;
    Py_XINCREF(full);
    Py_XDECREF(pair);
    Py_XDECREF(packed);
    Py_XDECREF(waiting);
    return full;
}

PyObject *routes_add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at, int *added) {
    *added = 0;
    /* While nothing is outstanding, what is known of the shards may be looked at anew. */
    if (!PyList_Size(commands->routes.order) || !commands_are_usual(words, count)) return NULL;
    PyObject *lane = lane_of(&commands->routes, words, count);
    if (!lane) return NULL;
    *added = 1;
    Py_INCREF(lane);
    PyObject *full = add(commands, words, count, at, lane);
    Py_DECREF(lane);
    return full;
}

int routes_ready(void) {
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned crc = byte << 8;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        checksums[byte] = (unsigned short)crc;
    }
    name_waiting = PyUnicode_InternFromString("waiting");
    return name_waiting ? 0 : -1;
}
