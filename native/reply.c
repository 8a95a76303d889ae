/* Replies; the header says of what. */
#include "reply.h"

#include "bridge.h"
#include "resp.h"

/* Whether it has UTF-8 (lone surrogates have none). */
static int send_text(RedisModuleCtx *ctx, PyObject *text) {
    ptrdiff_t length = 0;
    const char *bytes = py.PyUnicode_AsUTF8AndSize(text, &length);
    if (bytes != NULL) RM_ReplyWithStringBuffer(ctx, bytes, (size_t)length);
    else py.PyErr_Clear();
    return bytes != NULL;
}

static int send_bytes(RedisModuleCtx *ctx, PyObject *value) {
    char *bytes;
    ptrdiff_t length;
    if (py.PyBytes_AsStringAndSize(value, &bytes, &length) != 0) return 0;
    RM_ReplyWithStringBuffer(ctx, bytes, (size_t)length);
    return 1;
}

/* Whether it is not larger than a reply's numbers. */
static int send_int(RedisModuleCtx *ctx, PyObject *value) {
    long long number = py.PyLong_AsLongLong(value);
    if (number == -1 && py.PyErr_Occurred() != NULL) {
        py.PyErr_Clear();
        return 0;
    }
    RM_ReplyWithLongLong(ctx, number);
    return 1;
}

/* What is most usual. 0: it is something else. */
static int send_usual(RedisModuleCtx *ctx, PyObject *value) {
    const void *type = value->type;
    if (value == py.none) return RM_ReplyWithNull(ctx) == REDISMODULE_OK;
    if (type == (void *)py.str_type) return send_text(ctx, value);
    if (type == (void *)py.int_type) return send_int(ctx, value);
    return type == (void *)py.bytes_type && send_bytes(ctx, value);
}

void reply_value(RedisModuleCtx *ctx, Function *function, PyObject *value) {
    if (send_usual(ctx, value)) return;
    char *bytes;
    ptrdiff_t length;
    /* Watched: a value may be of the user's own class, whose text is asked for. */
    PyObject *encoded = function != NULL && function->hook != NULL ? function_run(function, 1, bridge.encode, &value, 1)
                                               : py.PyObject_Vectorcall(bridge.encode, &value, 1, NULL);
    int sent = encoded != NULL && py.PyBytes_AsStringAndSize(encoded, &bytes, &length) == 0 &&
               resp_check(bytes, (size_t)length) == NULL;
    if (sent) resp_reply(ctx, bytes, (size_t)length);
    else RM_ReplyWithError(ctx, "ERR the function gave what cannot be made a reply");
    py.PyErr_Clear();
    python_drop(encoded);
}
