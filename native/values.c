/* Text is `str` where it is valid UTF-8 and `bytes` where it is not, as in a worker. A map is the flat list that RESP2
 * has, so that a function sees the same in the server as in a worker. */
#include "values.h"

#include <string.h>

static PyObject *error_reply, *accepted;

void values_setup(PyObject *error_class, PyObject *function) {
    py.Py_IncRef(error_class);
    py.Py_IncRef(function);
    error_reply = error_class;
    accepted = function;
}

PyObject *value_text(const char *bytes, size_t length) {
    PyObject *text = py.PyUnicode_DecodeUTF8(bytes, (ptrdiff_t)length, NULL);
    if (text != NULL) return text;
    py.PyErr_Clear();
    return py.PyBytes_FromStringAndSize(bytes, (ptrdiff_t)length);
}

PyObject *value_of_string(RedisModuleString *name) {
    size_t length;
    const char *bytes = RM_StringPtrLen(name, &length);
    return value_text(bytes, length);
}

PyObject *value_of_error(const char *bytes, size_t length) {
    PyObject *text = py.PyUnicode_DecodeUTF8(bytes, (ptrdiff_t)length, "backslashreplace");
    PyObject *error = text == NULL ? NULL : py.PyObject_Vectorcall(error_reply, &text, 1, NULL);
    python_drop(text);
    return error;
}

/* `count` elements, or pairs of them where the reply is a map. */
static PyObject *list_of(RedisModuleCallReply *reply, size_t count) {
    PyObject *list = py.PyList_New((ptrdiff_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        RedisModuleCallReply *element = RM_CallReplyArrayElement(reply, i);
        PyObject *value = value_of_reply(element);
        if (value == NULL) {
            py.Py_DecRef(list);
            return NULL;
        }
        py.PyList_SetItem(list, (ptrdiff_t)i, value);
    }
    return list;
}

static PyObject *none(void) {
    py.Py_IncRef(py.none);
    return py.none;
}

/* What only RESP3 has: only its text is left of what is rare. */
static PyObject *from_proto(RedisModuleCallReply *reply) {
    size_t length = 0;
    const char *bytes = RM_CallReplyProto(reply, &length);
    return bytes == NULL ? none() : value_text(bytes, length);
}

PyObject *value_of_reply(RedisModuleCallReply *reply) {
    return reply == NULL ? none() : value_of_type(reply, RM_CallReplyType(reply));
}

PyObject *value_of_type(RedisModuleCallReply *reply, int type) {
    size_t length = 0;
    const char *bytes;
    switch (type) {
    case REDISMODULE_REPLY_STRING:
        bytes = RM_CallReplyStringPtr(reply, &length);
        return value_text(bytes, length);
    case REDISMODULE_REPLY_ERROR:
        bytes = RM_CallReplyStringPtr(reply, &length);
        return value_of_error(bytes, length);
    case REDISMODULE_REPLY_INTEGER:
        return py.PyLong_FromLongLong(RM_CallReplyInteger(reply));
    case REDISMODULE_REPLY_ARRAY:
        return list_of(reply, RM_CallReplyLength(reply));
    case REDISMODULE_REPLY_DOUBLE:
        return py.PyFloat_FromDouble(RM_CallReplyDouble(reply));
    case REDISMODULE_REPLY_BOOL:
        return py.PyBool_FromLong(RM_CallReplyBool(reply));
    case REDISMODULE_REPLY_NULL:
        return none();
    default:
        return from_proto(reply);
    }
}

static RedisModuleString *from_text(PyObject *text) {
    ptrdiff_t length;
    const char *bytes = py.PyUnicode_AsUTF8AndSize(text, &length);
    return bytes == NULL ? NULL : RM_CreateString(NULL, bytes, (size_t)length);
}

static RedisModuleString *from_bytes(PyObject *object) {
    char *bytes;
    ptrdiff_t length;
    if (py.PyBytes_AsStringAndSize(object, &bytes, &length) != 0) return NULL;
    return RM_CreateString(NULL, bytes, (size_t)length);
}

static RedisModuleString *from_number(PyObject *number) {
    PyObject *text = py.PyObject_Str(number);
    RedisModuleString *string = text == NULL ? NULL : from_text(text);
    python_drop(text);
    return string;
}

/* An exact type; NULL without an exception: it is none of them. */
static RedisModuleString *from_exact(PyObject *argument) {
    if (argument->type == (void *)py.str_type) return from_text(argument);
    if (argument->type == (void *)py.bytes_type) return from_bytes(argument);
    if (argument->type == (void *)py.int_type || argument->type == (void *)py.float_type) return from_number(argument);
    return NULL;
}

RedisModuleString *value_argument(PyObject *command, ptrdiff_t number, PyObject *argument) {
    RedisModuleString *string = from_exact(argument);
    if (string != NULL || py.PyErr_Occurred() != NULL) return string;
    PyObject *place = py.PyLong_FromLongLong(number);
    PyObject *args[] = {command, place, argument};
    PyObject *made = place == NULL ? NULL : py.PyObject_Vectorcall(accepted, args, 3, NULL);
    python_drop(place);
    if (made == NULL) return NULL;
    string = from_exact(made);
    py.Py_DecRef(made);
    if (string == NULL && py.PyErr_Occurred() == NULL) py.PyErr_SetString(py.TypeError, "an argument of another type");
    return string;
}
