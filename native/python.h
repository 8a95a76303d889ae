/* CPython, found and loaded when the server runs: no Python header, no link to a library of Python.
 *
 * One binary serves CPython 3.11, 3.12 and 3.13. What is used of it is listed here; all of it is in its stable ABI (or, as
 * PyObject_Vectorcall in 3.11, exported without change). Each function is called through the table: `py.PyList_New(1)`.
 *
 * The main thread takes the GIL when it first needs it in a turn of the event loop and gives it back before the server
 * sleeps, so that threads which user code started get their turn then.
 */
#ifndef GEARTRAIN_PYTHON_H
#define GEARTRAIN_PYTHON_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* The head of every object, as in all builds with a GIL. */
typedef struct PyObject {
    ptrdiff_t refcount;
    void *type;
} PyObject;

typedef struct PyThreadState PyThreadState;
typedef PyObject *(*PyFastFunction)(PyObject *self, PyObject *const *args, ptrdiff_t count);

typedef struct {
    const char *name;
    PyFastFunction function;
    int flags;
    const char *doc;
} PyMethodDef;

enum { PYTHON_FASTCALL = 0x0080, PYTHON_KEYWORDS = 0x0002 }; /* METH_FASTCALL, METH_KEYWORDS */

/* name, result, parameters */
#define PYTHON_FUNCTIONS(X)                                                                                            \
    X(Py_DecodeLocale, wchar_t *, (const char *, size_t *))                                                            \
    X(Py_SetProgramName, void, (const wchar_t *))                                                                      \
    X(Py_InitializeEx, void, (int))                                                                                    \
    X(Py_IncRef, void, (PyObject *))                                                                                   \
    X(Py_DecRef, void, (PyObject *))                                                                                   \
    X(PyEval_SaveThread, PyThreadState *, (void))                                                                      \
    X(PyEval_RestoreThread, void, (PyThreadState *))                                                                   \
    X(PyGILState_Ensure, int, (void))                                                                                  \
    X(PyGILState_Release, void, (int))                                                                                 \
    X(PyThread_get_thread_ident, unsigned long, (void))                                                                \
    X(PyThreadState_SetAsyncExc, int, (unsigned long, PyObject *))                                                     \
    X(PyErr_Occurred, PyObject *, (void))                                                                              \
    X(PyErr_Clear, void, (void))                                                                                       \
    X(PyErr_Fetch, void, (PyObject **, PyObject **, PyObject **))                                                      \
    X(PyErr_NormalizeException, void, (PyObject **, PyObject **, PyObject **))                                         \
    X(PyErr_SetString, void, (PyObject *, const char *))                                                               \
    X(PyErr_Format, PyObject *, (PyObject *, const char *, ...))                                                       \
    X(PyErr_WriteUnraisable, void, (PyObject *))                                                                       \
    X(PyException_SetTraceback, int, (PyObject *, PyObject *))                                                         \
    X(PyImport_ImportModule, PyObject *, (const char *))                                                               \
    X(PyImport_AddModule, PyObject *, (const char *))                                                                  \
    X(PyCFunction_NewEx, PyObject *, (PyMethodDef *, PyObject *, PyObject *))                                          \
    X(PyCapsule_New, PyObject *, (void *, const char *, void (*)(PyObject *)))                                         \
    X(PyCapsule_GetPointer, void *, (PyObject *, const char *))                                                        \
    X(PyObject_SetAttrString, int, (PyObject *, const char *, PyObject *))                                             \
    X(PyObject_Vectorcall, PyObject *, (PyObject *, PyObject *const *, size_t, PyObject *))                            \
    X(PyObject_Str, PyObject *, (PyObject *))                                                                          \
    X(PyUnicode_DecodeUTF8, PyObject *, (const char *, ptrdiff_t, const char *))                                       \
    X(PyUnicode_InternFromString, PyObject *, (const char *))                                                          \
    X(PyUnicode_AsUTF8AndSize, const char *, (PyObject *, ptrdiff_t *))                                                \
    X(PyBytes_FromStringAndSize, PyObject *, (const char *, ptrdiff_t))                                                \
    X(PyBytes_AsStringAndSize, int, (PyObject *, char **, ptrdiff_t *))                                                \
    X(PyLong_FromLongLong, PyObject *, (long long))                                                                    \
    X(PyLong_AsLongLong, long long, (PyObject *))                                                                      \
    X(PyFloat_FromDouble, PyObject *, (double))                                                                        \
    X(PyBool_FromLong, PyObject *, (long))                                                                             \
    X(PyList_New, PyObject *, (ptrdiff_t))                                                                             \
    X(PyList_SetItem, int, (PyObject *, ptrdiff_t, PyObject *))                                                        \
    X(PyTuple_New, PyObject *, (ptrdiff_t))                                                                            \
    X(PyTuple_SetItem, int, (PyObject *, ptrdiff_t, PyObject *))                                                       \
    X(PyTuple_Size, ptrdiff_t, (PyObject *))                                                                           \
    X(PyTuple_GetItem, PyObject *, (PyObject *, ptrdiff_t))                                                            \
    X(PyDict_New, PyObject *, (void))                                                                                  \
    X(PyDict_SetItem, int, (PyObject *, PyObject *, PyObject *))                                                       \
    X(PyDict_Size, ptrdiff_t, (PyObject *))                                                                            \
    X(PyList_GetItem, PyObject *, (PyObject *, ptrdiff_t))                                                             \
    X(PyList_Size, ptrdiff_t, (PyObject *))

/* Objects: name in the table, symbol, and whether the symbol is a pointer to it. */
#define PYTHON_OBJECTS(X)                                                                                              \
    X(none, _Py_NoneStruct, 0)                                                                                         \
    X(true_object, _Py_TrueStruct, 0)                                                                                  \
    X(str_type, PyUnicode_Type, 0)                                                                                     \
    X(bytes_type, PyBytes_Type, 0)                                                                                     \
    X(int_type, PyLong_Type, 0)                                                                                        \
    X(float_type, PyFloat_Type, 0)                                                                                     \
    X(TypeError, PyExc_TypeError, 1)                                                                                   \
    X(RuntimeError, PyExc_RuntimeError, 1)                                                                             \
    X(TimeoutError, PyExc_TimeoutError, 1)

#define PYTHON_POINTER(name, result, parameters) result(*name) parameters;
#define PYTHON_OBJECT(name, symbol, pointer) PyObject *name;
typedef struct {
    PYTHON_FUNCTIONS(PYTHON_POINTER)
    PYTHON_OBJECTS(PYTHON_OBJECT)
} Python;
#undef PYTHON_POINTER
#undef PYTHON_OBJECT

extern Python py;

/* Find the interpreter and its library, and load the library; nothing of Python runs here. Main thread, once.
 * `path` is the interpreter's executable, or NULL: that of the virtual environment that the module lies in.
 * NULL, or why there is no Python here (a text that stays). */
const char *python_load(const char *path);

/* Start the interpreter, if it does not run yet; the main thread then holds the GIL. NULL, or why it could not. */
const char *python_start(void);

int python_started(void);

/* The interpreter's executable, or "": there is none. It may be there where `python_load` failed. */
const char *python_executable(void);

/* The version that was found, for example "3.11.7", or "". */
const char *python_version(void);

/* The main thread: take the GIL, if it is not taken yet; give it back, if it is. */
void python_take(void);
void python_give(void);

/* References, counted here: half of what an event costs in C would be calls that do no more. An immortal object (3.12 and
 * later) has a count whose lower half is negative, and keeps it. */
static inline PyObject *python_held(PyObject *object) {
    if ((int32_t)object->refcount >= 0) object->refcount++;
    return object;
}

static inline void python_release(PyObject *object) {
    if (object->refcount == 1) py.Py_DecRef(object);
    else if ((int32_t)object->refcount >= 0) object->refcount--;
}

/* Forget a reference that may be NULL. */
static inline void python_drop(PyObject *object) {
    if (object != NULL) python_release(object);
}

#endif
