/* See the header. */
#include "commandcall.h"

#include <stdio.h>
#include <string.h>

#include "values.h"

static PyObject *record_of(RedisModuleString **argv, int argc) {
    PyObject *record = py.PyList_New(argc);
    for (int i = 0; record != NULL && i < argc; i++) {
        PyObject *word = value_of_string(argv[i]);
        if (word == NULL) {
            python_release(record);
            return NULL;
        }
        py.PyList_SetItem(record, i, word);
    }
    return record;
}

/* A list of this one object, whose reference it takes. */
static PyObject *list_of(PyObject *item) {
    PyObject *list = item != NULL ? py.PyList_New(1) : NULL;
    if (list != NULL) py.PyList_SetItem(list, 0, item);
    else python_drop(item);
    return list;
}

static PyObject *call(Function *function, RedisModuleString **argv, int argc) {
    PyObject *records = list_of(record_of(argv, argc));
    if (records == NULL) return NULL;
    PyObject *callable = python_held(function->call), *context = python_held(function->context);
    PyObject *args[] = {records, context};
    PyObject *results = function_run(function, 1, callable, args, 2);
    python_release(callable);
    python_release(context);
    python_release(records);
    return results;
}

PyObject *function_value(PyObject *results) {
    if (results == NULL) return NULL;
    ptrdiff_t count = py.PyList_Size(results);
    if (count > 1) return results;
    PyObject *value = python_held(count == 1 ? py.PyList_GetItem(results, 0) : py.none);
    python_release(results);
    return value;
}

/* An error line of what the Python half said of a failure; takes its reference. */
static const char *error_of(PyObject *told) {
    static char text[1024];
    const char *bytes = told != NULL && told->type == (void *)py.str_type ? py.PyUnicode_AsUTF8AndSize(told, NULL) : NULL;
    snprintf(text, sizeof text, "%s", bytes != NULL ? bytes : "ERR the function failed");
    for (char *c = text; *c != 0; c++) {
        if (*c == '\r' || *c == '\n') *c = ' ';
    }
    py.PyErr_Clear();
    python_drop(told);
    return text;
}

PyObject *function_command(Function *function, RedisModuleString **argv, int argc, const char **error) {
    PyObject *key = value_of_string(argv[0]);
    long long begin = runs_now();
    PyObject *results = key != NULL ? call(function, argv, argc) : NULL;
    long long duration = runs_now() - begin;
    if (results == NULL) {
        *error = error_of(function_failed(function, begin, duration, key != NULL ? key : py.none));
    } else if (function->hook != NULL) {
        runs_note(&function->runs, begin, duration, key);
    }
    python_drop(key);
    return results;
}
