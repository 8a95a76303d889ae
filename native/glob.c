/* One pass with one place to go back to: after a `*`, what follows is tried at each later position, and an earlier `*`
 * never has to be looked at again. The server's own matcher recurses instead, and takes exponential time for patterns
 * such as a*a*a*a*b.
 */
#include "glob.h"

typedef unsigned char Byte;

/* Whether `c` is in the set that begins behind '['; `*at` is moved behind its ']' (or to the end, where there is none). */
static int in_set(const Byte *pattern, size_t end, size_t *at, Byte c) {
    size_t i = *at;
    int negated = i < end && pattern[i] == '^', found = 0;
    if (negated) i++;
    while (i < end && pattern[i] != ']') {
        if (pattern[i] == '\\' && i + 1 < end) {
            i++;
            found |= pattern[i++] == c;
        } else if (i + 2 < end && pattern[i + 1] == '-') {
            Byte low = pattern[i], high = pattern[i + 2];
            if (low > high) {
                Byte other = low;
                low = high;
                high = other;
            }
            found |= low <= c && c <= high;
            i += 3;
        } else {
            found |= pattern[i++] == c;
        }
    }
    *at = i < end ? i + 1 : end;
    return found != negated;
}

/* Whether `c` matches the one element at `*at` (not a '*'); `*at` is moved behind it. */
static int element_matches(const Byte *pattern, size_t end, size_t *at, Byte c) {
    Byte first = pattern[(*at)++];
    switch (first) {
    case '?':
        return 1;
    case '[':
        return in_set(pattern, end, at, c);
    case '\\':
        if (*at < end) first = pattern[(*at)++];
        return first == c;
    default:
        return first == c;
    }
}

int glob_matches(const char *pattern_bytes, size_t end, const char *text_bytes, size_t length) {
    const Byte *pattern = (const Byte *)pattern_bytes, *text = (const Byte *)text_bytes;
    size_t at = 0, i = 0, star = 0, star_text = 0;
    int has_star = 0;
    while (i < length) {
        if (at < end && pattern[at] == '*') {
            star = ++at;
            star_text = i;
            has_star = 1;
            continue;
        }
        if (at < end && element_matches(pattern, end, &at, text[i])) {
            i++;
            continue;
        }
        if (!has_star) return 0;
        at = star;
        i = ++star_text;
    }
    while (at < end && pattern[at] == '*') at++;
    return at == end;
}
