/* One call of a command's function: its record, the call, what it left for the statistics. Main thread, with the GIL. */
#ifndef GEARTRAIN_COMMANDCALL_H
#define GEARTRAIN_COMMANDCALL_H

#include "api.h"
#include "functions.h"
#include "python.h"

/* Call it with the record [command, argument, ...]: text where it is UTF-8. The list of its results: a new reference. NULL:
 * `*error` is an error line that is valid until the next call. */
PyObject *function_command(Function *function, RedisModuleString **argv, int argc, const char **error);

/* What results are as one value: the only one, the list where there are more, None where there is none: a new reference, for
 * that to the list. NULL gives NULL. */
PyObject *function_value(PyObject *results);

#endif
