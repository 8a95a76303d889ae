/* What the runs of a function that went well leave for the statistics: counted here, in C, as it costs some 60 ns; Python code
 * takes it twice a second. */
#ifndef GEARTRAIN_RUNS_H
#define GEARTRAIN_RUNS_H

#include "api.h"
#include "python.h"

enum { RUNS_KEPT = 100 }; /* for the history, between two drains */

/* One of them. */
typedef struct {
    long long begin_us, duration_us; /* of `runs_now` */
    PyObject *key;                   /* the key as one of these three; the others are NULL, or empty */
    RedisModuleString *name;
    size_t length;
    char bytes[48]; /* a short one is copied: strings of the server that stay make its allocator slower for all others */
} Run;

/* All zero: there was none. */
typedef struct {
    unsigned long long succeeded, duration_us;
    long long last_us;
    unsigned count; /* since the last drain; the ring holds the last RUNS_KEPT of them */
    Run ring[RUNS_KEPT];
} Runs;

/* The server's clock, in microseconds; it reads the processor's where it can, at half the cost of the system's. */
long long runs_now(void);

/* What has to be added to it for Python's `perf_counter`. */
long long runs_python_clock(void);

/* Note a run; its key is a Python object, or the server's string. */
void runs_note(Runs *runs, long long begin, long long duration, PyObject *key);
void runs_note_name(Runs *runs, long long begin, long long duration, RedisModuleString *name);

/* (succeeded, duration in us, last duration in us, [(begin in us, duration in us, key), ...]) since the last call, or None
 * where there was no run. NULL: an exception is set. */
PyObject *runs_drain(Runs *runs);

/* Forget what was not drained. With the GIL. */
void runs_drop(Runs *runs);

#endif
