/* Where calls wait: lanes, and orders before them.
 *
 * A lane is a queue with a name. It is there while it has calls, or a connection serves it (serving.h).
 *
 * An order holds the calls of one registration that has asked for one at a time. Its first call is in the lane, or runs; the
 * others wait behind it, in the order in which they came, and the next one goes into the lane when that has ended. Orders are
 * kept by the registration's name, not in its hook: a hook is replaced and removed while calls are on their way.
 */
#ifndef GEARTRAIN_LANES_H
#define GEARTRAIN_LANES_H

#include "api.h"
#include "calls.h"

typedef struct CallList {
    Call *first, *last;
    size_t count;
} CallList;

typedef struct Lane {
    struct Lane *next;
    Text name;
    size_t calls; /* of any state */
    CallList waiting;
    struct Seat *seats;    /* the connections that serve it; see serving.h */
    uint64_t served_until; /* when somebody last did */
} Lane;

void call_list_append(CallList *list, Call *call);
void call_list_prepend(CallList *list, Call *call);
void call_list_remove(CallList *list, Call *call);

/* A lane by its name, made where there is none; and the end of one that has neither calls nor seats. */
Lane *lane_named(const char *name, size_t length, int make);
void lane_settle(Lane *lane);

/* Every lane; `visit` may end the one it is given. */
void lanes_each(void (*visit)(Lane *lane, void *data), void *data);

/* Put a new call into its lane, or behind the others of its order. */
void lane_enter(Call *call, int in_order);

/* A call has ended, and is in no list of a lane any more: the next one of its order goes on. */
void lane_leave(Call *call);

/* Out of the queue that its state says. */
void lane_take_out(Call *call);

#endif
