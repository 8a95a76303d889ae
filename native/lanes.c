/* Lanes and orders, by their names; the header has the theory. */
#include "lanes.h"

#include <string.h>

#include "hash.h"
#include "serving.h"

enum { BUCKETS = 256 };

/* Calls of one registration, one at a time. */
typedef struct Order {
    struct Order *next;
    Text registration;
    int db;
    Call *out; /* the one in the lane, or running */
    CallList behind;
} Order;

static Lane *lanes[BUCKETS];
static Order *orders[BUCKETS];

static size_t bucket_of(const char *name, size_t length) {
    return hash_place(hash_bytes(HASH_BEGIN, name, length), BUCKETS);
}

/* -- lists -------------------------------------------------------------------------------------------------------- */

void call_list_append(CallList *list, Call *call) {
    call->next = NULL;
    call->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = call;
    list->last = call;
    list->count++;
}

void call_list_prepend(CallList *list, Call *call) {
    call->previous = NULL;
    call->next = list->first;
    *(list->first != NULL ? &list->first->previous : &list->last) = call;
    list->first = call;
    list->count++;
}

void call_list_remove(CallList *list, Call *call) {
    *(call->previous != NULL ? &call->previous->next : &list->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &list->last) = call->previous;
    call->next = call->previous = NULL;
    list->count--;
}

/* -- lanes -------------------------------------------------------------------------------------------------------- */

Lane *lane_named(const char *name, size_t length, int make) {
    Lane **at = &lanes[bucket_of(name, length)];
    while (*at != NULL && !same_text(&(*at)->name, name, length)) at = &(*at)->next;
    if (*at != NULL || !make) return *at;
    Lane *lane = RM_Calloc(1, sizeof *lane);
    lane->name = text_of(name, length);
    return *at = lane;
}

void lane_settle(Lane *lane) {
    if (lane->calls > 0 || lane->seats != NULL) return;
    Lane **at = &lanes[bucket_of(lane->name.bytes, lane->name.length)];
    while (*at != lane) at = &(*at)->next;
    *at = lane->next;
    RM_Free(lane->name.bytes);
    RM_Free(lane);
}

void lanes_each(void (*visit)(Lane *lane, void *data), void *data) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Lane *lane = lanes[i], *next; lane != NULL; lane = next) {
            next = lane->next;
            visit(lane, data);
        }
    }
}

/* -- orders ------------------------------------------------------------------------------------------------------- */

static Order *order_of(const Text *registration, int db) {
    Order **at = &orders[bucket_of(registration->bytes, registration->length)];
    while (*at != NULL && ((*at)->db != db || !same_text(&(*at)->registration, registration->bytes, registration->length)))
        at = &(*at)->next;
    if (*at != NULL) return *at;
    Order *order = RM_Calloc(1, sizeof *order);
    order->registration = text_of(registration->bytes, registration->length);
    order->db = db;
    return *at = order;
}

static void free_order(Order *order) {
    Order **at = &orders[bucket_of(order->registration.bytes, order->registration.length)];
    while (*at != order) at = &(*at)->next;
    *at = order->next;
    RM_Free(order->registration.bytes);
    RM_Free(order);
}

static void into_lane(Call *call) {
    call->state = CALL_WAITING;
    call->since = RM_MonotonicMicroseconds();
    call_list_append(&call->lane->waiting, call);
    serving_wake(call->lane);
}

void lane_enter(Call *call, int in_order) {
    call->lane->calls++;
    Order *order = call->order = in_order ? order_of(&call->registration, call->db) : NULL;
    if (order != NULL && order->out != NULL) {
        call->state = CALL_BEHIND;
        call_list_append(&order->behind, call);
        return;
    }
    if (order != NULL) order->out = call;
    into_lane(call);
}

void lane_take_out(Call *call) {
    if (call->state == CALL_BEHIND) call_list_remove(&call->order->behind, call);
    if (call->state == CALL_WAITING) call_list_remove(&call->lane->waiting, call);
}

static void leave_order(Call *call) {
    Order *order = call->order;
    if (order == NULL) return;
    call->order = NULL;
    if (order->out == call) {
        order->out = order->behind.first;
        if (order->out != NULL) {
            call_list_remove(&order->behind, order->out);
            into_lane(order->out);
        }
    }
    if (order->out == NULL) free_order(order);
}

void lane_leave(Call *call) {
    Lane *lane = call->lane;
    leave_order(call);
    call->lane = NULL;
    lane->calls--;
    lane_settle(lane);
}
