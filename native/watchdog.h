/* The watchdog: a thread that ends a function which runs too long, by raising TimeoutError in it.
 *
 * The main thread notes in two stores that a run begins, and in one that it ends; it takes no lock and reads no clock for
 * it. The thread looks a few times within each timeout. A run is known by its number, so that what was meant for one never
 * hits a later one:
 *
 *   1. Past the deadline it sends the main thread a signal that the server does not use. Python's handler for it, which
 *      runs in the main thread, asks `watchdog_expired`, and raises only if the run of that moment is the one that is late.
 *      The signal also ends a blocking call (`time.sleep`, a socket).
 *   2. Where that did not help, the thread takes the GIL, compares the number, and uses PyThreadState_SetAsyncExc.
 *
 * A function that catches the error and goes on gets it again after each further timeout. Code that neither returns to
 * Python nor to a system call (a long regular expression, say) is not ended.
 */
#ifndef GEARTRAIN_WATCHDOG_H
#define GEARTRAIN_WATCHDOG_H

/* Start the thread; the interpreter runs, and this is the main thread. Whether it could be started. */
int watchdog_start(long long timeout_ms);

/* A run begins that may take `factor` timeouts; it ends. Returns whether it was late. */
void watchdog_begin(int factor);
int watchdog_end(void);

/* Whether the present run is late and has not been told so; asked by the signal's handler. */
int watchdog_expired(void);

/* The signal that is sent. */
int watchdog_signal(void);

/* How many functions were told that they were late. */
unsigned long long watchdog_count(void);

#endif
