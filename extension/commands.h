/* Commands that are sent later, and the calls of `execute` that put them off. */
#ifndef GEARTRAIN_COMMANDS_H
#define GEARTRAIN_COMMANDS_H

#include "extension.h"

/* Where commands go on a cluster; see routes.c. `lanes` is NULL where there is none. */
typedef struct {
    PyObject *lanes;  /* a list: the lane of each slot, or None */
    PyObject *order;  /* a list: the lanes of what is outstanding, in the order of the calls */
    PyObject *places; /* a dict: by a command's name, which of its arguments is the first key; -1: it is not known */
    Py_ssize_t most;  /* commands that wait in a lane until they are sent */
} Routes;

typedef struct {
    PyObject_HEAD
    PyObject *pending;  /* a list of (command, where it was called) */
    PyObject *accepted; /* makes a str, bytes, int or float of another argument, or raises */
    PyObject *sites;    /* those of what runs now, or NULL */
    Routes routes;
    char *bytes;
    size_t length, room;
    Py_ssize_t unsent;
} Commands;

extern PyTypeObject *commands_type, *sites_type;

/* Add a command, called at a place; -1: with a Python error, and nothing is added. */
int commands_add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at);

/* Whether all words are packed as they are: making others into such runs code of a user. */
bool commands_are_usual(PyObject *const *words, Py_ssize_t count);

/* A command of usual words, as bytes. */
PyObject *commands_packed(Commands *commands, PyObject *const *words, Py_ssize_t count);

/* Add a command to its shard's lane. `*added` is 0: it is not plain, and nothing was done. Else a new reference: the lane, where
 * it is full, or None; NULL: with a Python error. */
PyObject *routes_add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at, int *added);
int routes_ready(void);

#endif
