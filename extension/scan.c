#include "scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 18 }; /* of a number that fits in 63 bits whatever its digits are */

static const long long MOST_ELEMENTS = UINT32_MAX; /* of one array; as hiredis has it */

/* What became of looking at one element. */
typedef enum { WHOLE, MORE, UNLIKE, NO_MEMORY } Outcome;

typedef struct {
    const char *start, *at, *end;
} Cursor;

bool scan_line(const char *at, const char *end, ScanLine *line, bool *broken) {
    if (end - at < 4) return false;
    const char *p = at + 1;
    bool negative = *p == '-';
    p += negative;
    const char *digits = p;
    long long number = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - digits < MOST_DIGITS) number = number * 10 + (*p++ - '0');
    if (end - p < 2) return false;
    /* `-0` and `07` are none: `number` in entries.c relies on it. */
    bool odd = *digits == '0' && (negative || p - digits > 1);
    if (p == digits || odd || p[0] != '\r' || p[1] != '\n') {
        *broken = true;
        return false;
    }
    *line = (ScanLine){.kind = *at, .number = negative ? -number : number, .at = p + 2};
    return true;
}

static Outcome array(Cursor *cursor, long long *number) {
    ScanLine line;
    bool broken = false;
    if (cursor->at < cursor->end && *cursor->at != '*') return UNLIKE;
    if (!scan_line(cursor->at, cursor->end, &line, &broken)) return broken ? UNLIKE : MORE;
    if (line.number < 0 || line.number > MOST_ELEMENTS) return UNLIKE;
    *number = line.number;
    cursor->at = line.at;
    return WHOLE;
}

static Outcome bulk(Cursor *cursor, const char **text, size_t *length) {
    ScanLine line;
    bool broken = false;
    if (cursor->at < cursor->end && *cursor->at != '$') return UNLIKE;
    if (!scan_line(cursor->at, cursor->end, &line, &broken)) return broken ? UNLIKE : MORE;
    if (line.number < 0) return UNLIKE;
    if (cursor->end - line.at < 2 || line.number > cursor->end - line.at - 2) return MORE;
    *text = line.at;
    *length = (size_t)line.number;
    cursor->at = line.at + line.number + 2;
    return WHOLE;
}

/* Room for one element more. */
static bool grow(void **items, size_t size, size_t count, size_t *room) {
    if (count < *room) return true;
    size_t wanted = *room ? 2 * *room : 64;
    void *found = realloc(*items, wanted * size);
    if (!found) return false;
    *items = found;
    *room = wanted;
    return true;
}

/* `*2 $id *K $field $value ...` */
static Outcome entry(Scan *scan, Cursor *cursor) {
    size_t begin = (size_t)(cursor->at - cursor->start), length;
    const char *text;
    long long number;
    Outcome outcome;
    if ((outcome = array(cursor, &number)) != WHOLE) return outcome;
    if (number != 2) return UNLIKE;
    if ((outcome = bulk(cursor, &text, &length)) != WHOLE) return outcome;
    if ((outcome = array(cursor, &number)) != WHOLE) return outcome;
    if (number % 2) return UNLIKE;
    for (; number; number--) {
        if ((outcome = bulk(cursor, &text, &length)) != WHOLE) return outcome;
    }
    if (!grow((void **)&scan->entries, sizeof *scan->entries, scan->entry_count, &scan->entry_room)) return NO_MEMORY;
    scan->entries[scan->entry_count++] = begin;
    scan->entries_left--;
    scan->streams[scan->stream_count - 1].count++;
    scan->streams[scan->stream_count - 1].end = (size_t)(cursor->at - cursor->start);
    return WHOLE;
}

/* `*2 $name *M`, in RESP3 `$name *M`. */
static Outcome stream(Scan *scan, Cursor *cursor) {
    const char *text;
    size_t length;
    long long number = 2;
    Outcome outcome;
    if (!scan->map && (outcome = array(cursor, &number)) != WHOLE) return outcome;
    if (number != 2) return UNLIKE;
    if ((outcome = bulk(cursor, &text, &length)) != WHOLE) return outcome;
    if ((outcome = array(cursor, &number)) != WHOLE) return outcome;
    if (number == 0) return UNLIKE;
    if (!grow((void **)&scan->streams, sizeof *scan->streams, scan->stream_count, &scan->stream_room)) return NO_MEMORY;
    scan->streams[scan->stream_count++] = (ScanStream){
        .name = (size_t)(text - cursor->start),
        .name_length = length,
        .first = scan->entry_count,
    };
    scan->streams_left--;
    scan->entries_left = (size_t)number;
    return WHOLE;
}

/* The rest of a reply that may be an XREAD's. */
static Outcome streams(Scan *scan, Cursor *cursor) {
    Outcome outcome = WHOLE;
    while (scan->entries_left || scan->streams_left) {
        outcome = scan->entries_left ? entry(scan, cursor) : stream(scan, cursor);
        if (outcome != WHOLE) return outcome;
        scan->end = (size_t)(cursor->at - cursor->start);
    }
    return WHOLE;
}

/* `+OK`: what is in the line is for the parser to judge. */
static Outcome simple(Cursor *cursor) {
    const char *at = cursor->at;
    while ((at = memchr(at, '\r', (size_t)(cursor->end - at)))) {
        if (++at == cursor->end) return MORE;
        if (*at == '\n') {
            cursor->at = at + 1;
            return WHOLE;
        }
    }
    return MORE;
}

/* One element, without those within it, of which it tells how many they are.
 *
 * The types that hiredis knows, so that the same replies are refused. It takes an attribute (`|`) for a reply by itself; no
 * server sends one that was not asked for it.
 */
static Outcome element(Cursor *cursor, size_t *within) {
    static const char simples[] = "+-:,_#(", texts[] = "$=", arrays[] = "*~>%|";
    *within = 0;
    if (cursor->at == cursor->end) return MORE;
    char kind = *cursor->at;
    if (memchr(simples, kind, sizeof simples - 1)) return simple(cursor);
    bool text = memchr(texts, kind, sizeof texts - 1), broken = false;
    if (!text && !memchr(arrays, kind, sizeof arrays - 1)) return UNLIKE;
    ScanLine line;
    if (!scan_line(cursor->at, cursor->end, &line, &broken)) return broken ? UNLIKE : MORE;
    if (line.number < 0) {
        cursor->at = line.at;
        return WHOLE;
    }
    if (text) {
        if (cursor->end - line.at < 2 || line.number > cursor->end - line.at - 2) return MORE;
        cursor->at = line.at + line.number + 2;
        return WHOLE;
    }
    if (line.number > MOST_ELEMENTS) return UNLIKE;
    cursor->at = line.at;
    *within = (size_t)line.number * (kind == '%' || kind == '|' ? 2 : 1);
    return WHOLE;
}

/* The rest of a reply of any other shape. */
static Outcome other(Scan *scan, Cursor *cursor) {
    while (scan->elements_left) {
        size_t within;
        Outcome outcome = element(cursor, &within);
        if (outcome != WHOLE) return outcome;
        scan->elements_left += within - 1;
        scan->end = (size_t)(cursor->at - cursor->start);
    }
    return WHOLE;
}

/* `*N` or `%N`: what an XREAD's reply begins with. */
static Outcome opening(Scan *scan, Cursor *cursor) {
    ScanLine line;
    bool broken = false;
    if (cursor->at == cursor->end) return MORE;
    if (*cursor->at != '*' && *cursor->at != '%') return UNLIKE;
    if (!scan_line(cursor->at, cursor->end, &line, &broken)) return broken ? UNLIKE : MORE;
    if (line.number <= 0 || line.number > MOST_ELEMENTS) return UNLIKE;
    cursor->at = line.at;
    scan->map = line.kind == '%';
    scan->streams_left = (size_t)line.number;
    scan->end = (size_t)(cursor->at - cursor->start);
    scan->shape = SHAPE_ENTRIES;
    return WHOLE;
}

static void other_shape(Scan *scan) {
    scan_reset(scan);
    scan->shape = SHAPE_OTHER;
    scan->elements_left = 1;
}

ScanResult scan_reply(Scan *scan, const char *data, size_t length) {
    Cursor cursor = {.start = data, .at = data + scan->end, .end = data + length};
    if (scan->shape != SHAPE_OTHER) {
        Outcome outcome = scan->shape == SHAPE_UNKNOWN ? opening(scan, &cursor) : WHOLE;
        if (outcome == WHOLE) outcome = streams(scan, &cursor);
        if (outcome == WHOLE) return SCAN_ENTRIES;
        if (outcome == NO_MEMORY) return SCAN_NO_MEMORY;
        if (outcome == MORE) return SCAN_MORE;
        other_shape(scan);
        cursor.at = data;
    }
    switch (other(scan, &cursor)) {
    case WHOLE:
        return SCAN_OTHER;
    case MORE:
        return SCAN_MORE;
    default:
        return SCAN_BROKEN;
    }
}

void scan_reset(Scan *scan) {
    *scan = (Scan){
        .streams = scan->streams,
        .stream_room = scan->stream_room,
        .entries = scan->entries,
        .entry_room = scan->entry_room,
    };
}

void scan_free(Scan *scan) {
    free(scan->streams);
    free(scan->entries);
    *scan = (Scan){0};
}
