/* See the header. `run` is the number of the present run, 0 between two; `limit` how many timeouts it has. */
#include "watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "python.h"

enum { LOOKS = 10 }; /* within a timeout: it comes at most a tenth late */

static _Atomic unsigned long long run, late; /* late: the number of a run past its deadline that was not told yet */
static _Atomic int limit = 1;
static _Atomic unsigned long long told;
static unsigned long long last_run;
static long long timeout_ms;
static pthread_t main_thread;
static unsigned long main_ident;
static _Atomic unsigned long long injected; /* the run in which an exception was set from outside */

static void sleep_ms(long long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&left, NULL);
}

/* Step 2. With the GIL, so the main thread is either inside of the run or has changed its number. */
static void inject(unsigned long long number) {
    int state = py.PyGILState_Ensure();
    if (atomic_load(&run) == number && atomic_load(&late) == number) {
        atomic_store(&late, 0);
        atomic_store(&injected, number);
        atomic_fetch_add(&told, 1);
        py.PyThreadState_SetAsyncExc(main_ident, py.TimeoutError);
    }
    py.PyGILState_Release(state);
}

/* A run's deadline has come. */
static void tell(unsigned long long number, long long step) {
    atomic_store(&late, number);
    if (atomic_load(&run) != number) return;
    pthread_kill(main_thread, watchdog_signal());
    sleep_ms(step);
    if (atomic_load(&run) == number && atomic_load(&late) == number) inject(number);
}

static void *watch(void *unused) {
    (void)unused;
    long long step = timeout_ms / LOOKS > 0 ? timeout_ms / LOOKS : 1;
    unsigned long long seen = 0;
    long long looks = 0;
    for (;;) {
        sleep_ms(step);
        unsigned long long now = atomic_load(&run);
        if (now == 0 || now != seen) {
            seen = now;
            looks = 0;
        } else if (++looks * step >= timeout_ms * atomic_load(&limit)) {
            tell(now, step);
            looks = 0;
        }
    }
    return NULL;
}

int watchdog_start(long long milliseconds) {
    timeout_ms = milliseconds;
    main_thread = pthread_self();
    main_ident = py.PyThread_get_thread_ident();
    sigset_t all, before;
    sigfillset(&all);
    /* The server's signals are for its main thread. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int failure = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) pthread_detach(thread);
    return failure == 0;
}

void watchdog_begin(int factor) {
    atomic_store_explicit(&limit, factor, memory_order_relaxed);
    atomic_store_explicit(&run, ++last_run, memory_order_release);
}

int watchdog_end(void) {
    unsigned long long number = last_run;
    atomic_store_explicit(&run, 0, memory_order_release);
    if (atomic_load_explicit(&injected, memory_order_relaxed) != number) return 0;
    /* It may have come too late to be raised: the next function must not get it. */
    py.PyThreadState_SetAsyncExc(main_ident, NULL);
    return 1;
}

int watchdog_expired(void) {
    unsigned long long number = atomic_load(&run);
    if (number == 0 || atomic_load(&late) != number) return 0;
    atomic_store(&late, 0);
    atomic_fetch_add(&told, 1);
    return 1;
}

int watchdog_signal(void) {
#ifdef SIGRTMAX
    return SIGRTMAX - 3;
#else
    return SIGUSR2;
#endif
}

unsigned long long watchdog_count(void) {
    return atomic_load(&told);
}
