/* An index of globs: which of many patterns match a key, at a cost that the others do not add to.
 *
 * Most patterns begin with literal bytes (`user:*`, or a key's whole name), or end with some (`*:total`). Those bytes
 * (255 at the most) are hashed. A key's own bytes are hashed once from the front, and at each length that some pattern's
 * beginning has, the table is asked; for endings the same from the back. So the cost is a pass over the key, and a look
 * for each *length* that occurs, however many patterns there are. Patterns with neither (`*`, `*a*`, `?[xy]*`) are
 * tried one by one. What is found is then matched as a whole.
 *
 * Rejected: a radix tree over the beginnings (a node to be fetched for each few bytes of the key; cannot do endings), and
 * one automaton for all patterns (must be made anew at each change).
 *
 * Pure: needs no server. Not thread-safe.
 */
#ifndef GEARTRAIN_MATCH_H
#define GEARTRAIN_MATCH_H

#include <stddef.h>

typedef struct Index Index;

/* An empty index; NULL where there is no memory. */
Index *index_new(void);
void index_free(Index *index);

/* Add an item under a pattern (copied). 0 where there is no memory. */
int index_add(Index *index, const char *pattern, size_t length, void *item);

/* Remove an item that was added under that pattern. */
void index_remove(Index *index, const char *pattern, size_t length, void *item);

/* Call `found` for each item whose pattern matches the key, in no order. It must not change the index. */
void index_find(const Index *index, const char *key, size_t length, void (*found)(void *item, void *data), void *data);

/* The byte that a key begins with where the pattern matches it, or -1: it may be any. */
int index_first_byte(const char *pattern, size_t length);

size_t index_size(const Index *index);

#endif
