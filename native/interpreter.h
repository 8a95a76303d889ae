/* Where the interpreter and its shared library are. Runs the interpreter once (some ms), in a process of its own. */
#ifndef GEARTRAIN_INTERPRETER_H
#define GEARTRAIN_INTERPRETER_H

#include <limits.h>

typedef struct {
    char path[PATH_MAX];    /* of the executable */
    char library[PATH_MAX]; /* of the shared library */
    char version[32];       /* as "3.11.7" */
} Interpreter;

/* Fill `found`. `path`: the executable, or NULL: looked for from the place of this module.
 * NULL, or why there is none that can be used (a text that stays). */
const char *interpreter_find(const char *path, Interpreter *found);

#endif
