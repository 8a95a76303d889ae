/* See the header. */
#include "runs.h"

#include <string.h>
#include <time.h>

#include "values.h"

long long runs_now(void) {
    return (long long)RM_MonotonicMicroseconds();
}

long long runs_python_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000 - runs_now();
}

static void clear(Run *run) {
    python_drop(run->key);
    if (run->name != NULL) RM_FreeString(NULL, run->name);
    run->key = NULL;
    run->name = NULL;
    run->length = 0;
}

void runs_drop(Runs *runs) {
    for (int i = 0; i < RUNS_KEPT; i++) clear(&runs->ring[i]);
    runs->count = 0;
}

static Run *next(Runs *runs, long long begin, long long duration) {
    runs->succeeded++;
    runs->duration_us += (unsigned long long)duration;
    runs->last_us = duration;
    Run *run = &runs->ring[runs->count++ % RUNS_KEPT];
    clear(run);
    run->begin_us = begin;
    run->duration_us = duration;
    return run;
}

void runs_note(Runs *runs, long long begin, long long duration, PyObject *key) {
    next(runs, begin, duration)->key = python_held(key);
}

void runs_note_name(Runs *runs, long long begin, long long duration, RedisModuleString *name) {
    Run *run = next(runs, begin, duration);
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    if (length <= sizeof run->bytes) memcpy(run->bytes, bytes, run->length = length);
    else run->name = RM_HoldString(NULL, name);
}

static PyObject *key_of(const Run *run) {
    if (run->key != NULL) return python_held(run->key);
    return run->name != NULL ? value_of_string(run->name) : value_text(run->bytes, run->length);
}

static PyObject *tuple_of(PyObject **items, ptrdiff_t count) {
    PyObject *tuple = py.PyTuple_New(count);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (tuple != NULL && items[i] != NULL) py.PyTuple_SetItem(tuple, i, items[i]);
        else python_drop(items[i]);
    }
    return tuple;
}

static PyObject *list_of(Runs *runs) {
    unsigned count = runs->count < RUNS_KEPT ? runs->count : RUNS_KEPT;
    unsigned first = runs->count - count;
    PyObject *list = py.PyList_New(count);
    long long clock = runs_python_clock();
    for (unsigned i = 0; list != NULL && i < count; i++) {
        Run *run = &runs->ring[(first + i) % RUNS_KEPT];
        PyObject *items[] = {py.PyLong_FromLongLong(run->begin_us + clock), py.PyLong_FromLongLong(run->duration_us), key_of(run)};
        clear(run);
        py.PyList_SetItem(list, i, tuple_of(items, 3));
    }
    return list;
}

PyObject *runs_drain(Runs *runs) {
    if (runs->count == 0) return python_held(py.none);
    PyObject *items[] = {
        py.PyLong_FromLongLong((long long)runs->succeeded),
        py.PyLong_FromLongLong((long long)runs->duration_us),
        py.PyLong_FromLongLong(runs->last_us),
        list_of(runs),
    };
    runs->succeeded = runs->duration_us = 0;
    runs->count = 0;
    return tuple_of(items, 4);
}
