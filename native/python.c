/* The library is loaded RTLD_GLOBAL: extension modules (numpy, say) are not linked with it and find its symbols there.
 *
 * The interpreter runs as `python -E` in UTF-8 mode: an environment variable that is wrong for it (PYTHONHOME) would
 * otherwise end the server, because CPython's start exits the process where it fails. It is never finalised.
 */
#include "python.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"

Python py;

static Interpreter interpreter;
static void *library;
static int started, held;
static PyThreadState *main_thread;
static char reason[PATH_MAX + 256];

/* One symbol into the table; whether it is there. */
static int resolve(void *where, size_t size, const char *name) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        snprintf(reason, sizeof reason, "%s has no %s", interpreter.library, name);
        return 0;
    }
    memcpy(where, &symbol, size);
    return 1;
}

const char *python_load(const char *path) {
    const char *why = interpreter_find(path, &interpreter);
    if (why != NULL) return why;
    library = dlopen(interpreter.library, RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL) {
        snprintf(reason, sizeof reason, "%s cannot be loaded: %s", interpreter.library, dlerror());
        return reason;
    }
#define RESOLVE(name, result, parameters)                                                                              \
    if (!resolve(&py.name, sizeof py.name, #name)) return reason;
    PYTHON_FUNCTIONS(RESOLVE)
#undef RESOLVE
#define RESOLVE(name, symbol, pointer)                                                                                 \
    if (!resolve(&py.name, sizeof py.name, #symbol)) return reason;
    PYTHON_OBJECTS(RESOLVE)
#undef RESOLVE
    return NULL;
}

/* Names of exceptions are variables that are set while the interpreter starts. */
static void follow_pointers(void) {
#define FOLLOW(name, symbol, pointer)                                                                                  \
    if (pointer) py.name = *(PyObject **)(void *)py.name;
    PYTHON_OBJECTS(FOLLOW)
#undef FOLLOW
}

static void set_flag(const char *name) {
    int *flag = dlsym(library, name);
    if (flag != NULL) *flag = 1;
}

const char *python_start(void) {
    if (started) {
        python_take();
        return NULL;
    }
    set_flag("Py_IgnoreEnvironmentFlag");
    set_flag("Py_UTF8Mode");
    wchar_t *name = py.Py_DecodeLocale(interpreter.path, NULL);
    if (name == NULL) return "the path of the interpreter cannot be decoded";
    /* The server's locale stays what it was: it decides how the server compares and prints. */
    const char *current = setlocale(LC_CTYPE, NULL);
    char *locale = current == NULL ? NULL : strdup(current);
    py.Py_SetProgramName(name);
    py.Py_InitializeEx(0);
    if (locale != NULL) setlocale(LC_CTYPE, locale);
    free(locale);
    follow_pointers();
    started = held = 1;
    return NULL;
}

int python_started(void) {
    return started;
}

const char *python_executable(void) {
    return interpreter.path;
}

const char *python_version(void) {
    return interpreter.version;
}

void python_take(void) {
    if (held) return;
    py.PyEval_RestoreThread(main_thread);
    held = 1;
}

void python_give(void) {
    if (!held) return;
    held = 0;
    main_thread = py.PyEval_SaveThread();
}
