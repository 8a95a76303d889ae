/* Where things are in the server's replies: bytes are looked at once, as they come, and nothing is made of them.
 *
 *     bytes ──scan_reply──> SCAN_MORE      the reply is not whole yet: again, when more bytes are there
 *                       └─> SCAN_ENTRIES   the streams and entries of an XREAD: `streams`, `entries`
 *                       └─> SCAN_OTHER     a reply of any other shape, `end` bytes long
 *                       └─> SCAN_BROKEN    not in the server's protocol
 *
 * No Python here: a caller may have given up the interpreter.
 */
#ifndef GEARTRAIN_SCAN_H
#define GEARTRAIN_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* A bulk string, or the number of an array: `*2\r\n`. */
typedef struct {
    char kind;        /* its first byte */
    long long number; /* the number behind that */
    const char *at;   /* what follows the line */
} ScanLine;

/* One stream of the reply; offsets count from the reply's first byte. */
typedef struct {
    size_t name;        /* where its name is, and */
    size_t name_length; /* how long */
    size_t first;       /* its first entry, as an index of `entries` */
    size_t count;
    size_t end; /* where its last entry ends */
} ScanStream;

typedef enum { SCAN_MORE, SCAN_ENTRIES, SCAN_OTHER, SCAN_BROKEN, SCAN_NO_MEMORY } ScanResult;

typedef enum { SHAPE_UNKNOWN, SHAPE_ENTRIES, SHAPE_OTHER } ScanShape;

/* How far the first reply of a buffer has been looked at. All zero: not yet. */
typedef struct {
    ScanShape shape;
    bool map;             /* RESP3: streams are a map from name to entries */
    size_t end;           /* where what is known ends: whole elements only */
    size_t streams_left;  /* streams of which no name was seen yet */
    size_t entries_left;  /* entries of the last stream that were not seen yet */
    size_t elements_left; /* SHAPE_OTHER: elements until its end */
    ScanStream *streams;
    size_t stream_count, stream_room;
    size_t *entries; /* where each entry begins */
    size_t entry_count, entry_room;
} Scan;

ScanResult scan_reply(Scan *scan, const char *data, size_t length);

/* Forget the reply; what was allocated is used for the next one. */
void scan_reset(Scan *scan);
void scan_free(Scan *scan);

/* Read a line with a number; false: it is not whole within [at, end), or (`*broken`) not such a line. */
bool scan_line(const char *at, const char *end, ScanLine *line, bool *broken);

#endif
