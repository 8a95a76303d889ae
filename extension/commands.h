/* Commands that are sent later, and the calls of `execute` that put them off. */
#ifndef GEARTRAIN_COMMANDS_H
#define GEARTRAIN_COMMANDS_H

#include "extension.h"

typedef struct {
    PyObject_HEAD
    PyObject *pending;  /* a list of (command, where it was called) */
    PyObject *accepted; /* makes a str, bytes, int or float of another argument, or raises */
    PyObject *sites;    /* those of what runs now, or NULL */
    char *bytes;
    size_t length, room;
    Py_ssize_t unsent;
} Commands;

extern PyTypeObject *commands_type, *sites_type;

/* Add a command, called at a place; -1: with a Python error, and nothing is added. */
int commands_add(Commands *commands, PyObject *const *words, Py_ssize_t count, PyObject *at);

#endif
