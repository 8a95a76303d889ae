/* Values of the server to Python, and back. The main thread holds the GIL. */
#ifndef GEARTRAIN_VALUES_H
#define GEARTRAIN_VALUES_H

#include "api.h"
#include "python.h"

/* What values.c needs of Python code: the class of error replies, and a function that makes an argument of an unusual
 * type one of str, bytes, int or float, or raises. */
void values_setup(PyObject *error_reply, PyObject *accepted);

/* str where it is valid UTF-8, else bytes. NULL: an exception is set. */
PyObject *value_text(const char *bytes, size_t length);

/* The same of a string of the server's. */
PyObject *value_of_string(RedisModuleString *name);

/* A reply of any shape; error replies inside of it are values. NULL: an exception is set. */
PyObject *value_of_reply(RedisModuleCallReply *reply);

/* The same, where its type is known. */
PyObject *value_of_type(RedisModuleCallReply *reply, int type);

/* An error reply's value. */
PyObject *value_of_error(const char *bytes, size_t length);

/* An argument of a command: str, bytes, int or float, or what `accepted` makes of another. `number` is its place.
 * NULL: an exception is set. */
RedisModuleString *value_argument(PyObject *command, ptrdiff_t number, PyObject *argument);

#endif
