/* The extension `_geartrain_records`: what the record path does in C. Built against CPython's stable ABI of 3.11.
 *
 *     bytes ──Reader──> Entries ──records──> dicts
 *
 * `geartrain.wire` and `geartrain.readers` have the same in Python, for installations without a compiler; tests hold the two
 * to each other.
 */
#ifndef GEARTRAIN_EXTENSION_H
#define GEARTRAIN_EXTENSION_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <stdbool.h>

/* The types, made when the module is loaded; one interpreter, as everywhere in CPython's stable ABI without module state. */
extern PyTypeObject *entries_type;

/* Make the types and add them to the module; -1: with a Python error. */
int entries_ready(PyObject *module);
int reader_ready(PyObject *module);
int commands_ready(PyObject *module);
int execute_ready(PyObject *module);

/* Entries of one stream, copied.
 *
 * data: the text of the reply in which they are; offsets: of each of the `count` entries in it; end: of the last one's end.
 */
PyObject *entries_new(const char *data, const size_t *offsets, size_t count, size_t end);

/* A new object of a type of ours, all zero; its memory, and its reference to its type, given back. */
PyObject *object_new(PyTypeObject *type);
void object_free(PyObject *self);

/* `str` where it is valid UTF-8, else `bytes`. */
PyObject *text_new(const char *text, size_t length);

#endif
