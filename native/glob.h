/* Globs as the server's SCAN MATCH has them, over any bytes: * ? [a-c] [^a-c] and \ before a character. */
#ifndef GEARTRAIN_GLOB_H
#define GEARTRAIN_GLOB_H

#include <stddef.h>

/* Whether all of `text` matches; takes at most about pattern_length * length steps, whatever the pattern. */
int glob_matches(const char *pattern, size_t pattern_length, const char *text, size_t length);

#endif
