#include "commands.h"

PyObject *object_new(PyTypeObject *type) {
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return alloc(type, 0);
}

void object_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_geartrain_records",
    .m_doc = "The record path of Geartrain in C.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__geartrain_records(void) {
    PyObject *module = PyModule_Create(&definition);
    if (!module || entries_ready(module) || reader_ready(module) || commands_ready(module) || routes_ready() ||
        execute_ready(module)) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
