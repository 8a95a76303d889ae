/* The index of globs against the plain matcher, and the matcher against a recursive one, on random patterns and keys.
 *
 * Built with native/glob.c and native/match.c; needs no server. Exit code 0: all is well. The seed is printed; an argument
 * repeats it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../native/glob.h"
#include "../../native/match.h"

static int failures;

static void check(int condition, const char *what, const char *pattern, const char *key) {
    if (condition) return;
    failures++;
    if (failures < 20) printf("failed: %s: pattern '%s', key '%s'\n", what, pattern, key);
}

/* What the server documents, written as plainly as possible. */
static int slow_matches(const char *p, const char *p_end, const char *s, const char *s_end) {
    if (p == p_end) return s == s_end;
    if (*p == '*') return slow_matches(p + 1, p_end, s, s_end) || (s < s_end && slow_matches(p, p_end, s + 1, s_end));
    if (s == s_end) return 0;
    if (*p == '?') return slow_matches(p + 1, p_end, s + 1, s_end);
    if (*p == '[') {
        int negated = 0, found = 0;
        p++;
        if (p < p_end && *p == '^') negated = 1, p++;
        while (p < p_end && *p != ']') {
            if (*p == '\\' && p + 1 < p_end) {
                found |= p[1] == *s;
                p += 2;
            } else if (p + 2 < p_end && p[1] == '-') {
                unsigned char low = (unsigned char)p[0], high = (unsigned char)p[2], c = (unsigned char)*s;
                found |= low <= high ? (low <= c && c <= high) : (high <= c && c <= low);
                p += 3;
            } else {
                found |= *p == *s;
                p++;
            }
        }
        if (p < p_end) p++;
        return found != negated && slow_matches(p, p_end, s + 1, s_end);
    }
    if (*p == '\\' && p + 1 < p_end) p++;
    return *p == *s && slow_matches(p + 1, p_end, s + 1, s_end);
}

static void random_text(char *text, size_t most, const char *letters) {
    size_t length = (size_t)rand() % most, count = strlen(letters);
    for (size_t i = 0; i < length; i++) text[i] = letters[(size_t)rand() % count];
    text[length] = 0;
}

static void test_glob(void) {
    char pattern[16], key[16];
    for (int i = 0; i < 300000; i++) {
        random_text(pattern, 10, "ab:*?[]^-\\");
        random_text(key, 9, "ab:*[");
        int expected = slow_matches(pattern, pattern + strlen(pattern), key, key + strlen(key));
        check(glob_matches(pattern, strlen(pattern), key, strlen(key)) == expected, "glob", pattern, key);
    }
}

static void test_time(void) {
    /* Exponential where a matcher goes back to each star. */
    char pattern[128] = "", key[256];
    for (int i = 0; i < 30; i++) strcat(pattern, "a*");
    strcat(pattern, "b");
    memset(key, 'a', sizeof key);
    check(!glob_matches(pattern, strlen(pattern), key, sizeof key), "many stars", pattern, "aaa...");
}

enum { ITEMS = 400 };

static struct {
    char pattern[16];
    int present, found;
} items[ITEMS];

static void count_found(void *item, void *data) {
    (void)data;
    ((int *)item)[0]++;
}

static void compare(Index *index) {
    char key[16];
    random_text(key, 9, "ab:");
    for (int i = 0; i < ITEMS; i++) items[i].found = 0;
    index_find(index, key, strlen(key), count_found, NULL);
    for (int i = 0; i < ITEMS; i++) {
        int expected = items[i].present && glob_matches(items[i].pattern, strlen(items[i].pattern), key, strlen(key));
        check(items[i].found == expected, "index", items[i].pattern, key);
    }
}

static void test_index(void) {
    Index *index = index_new();
    size_t present = 0;
    for (int round = 0; round < 20000; round++) {
        int at = rand() % ITEMS;
        if (items[at].present) {
            index_remove(index, items[at].pattern, strlen(items[at].pattern), &items[at].found);
            items[at].present = 0;
            present--;
        } else {
            random_text(items[at].pattern, 10, rand() % 2 ? "ab:*?[]\\" : "ab:ab:*");
            items[at].present = index_add(index, items[at].pattern, strlen(items[at].pattern), &items[at].found);
            present++;
        }
        if (round % 4 == 0) compare(index);
        check(index_size(index) == present, "size", "", "");
    }
    index_free(index);
}

static void test_long(void) {
    /* Beginnings and endings beyond what is hashed, and bytes that are no text. */
    static char pattern[700], key[700];
    int found = 0;
    Index *index = index_new();
    memset(pattern, 'x', 600);
    pattern[600] = '*';
    index_add(index, pattern, 601, &found);
    memset(key, 'x', 650);
    index_find(index, key, 650, count_found, NULL);
    index_find(index, key, 599, count_found, NULL);
    check(found == 1, "long beginning", "", "");
    memset(pattern, 0, 300);
    pattern[0] = '*';
    index_add(index, pattern, 300, &found);
    memset(key, 0, 400);
    index_find(index, key, 400, count_found, NULL);
    check(found == 2, "long ending of zeros", "", "");
    index_find(index, "", 0, count_found, NULL);
    check(found == 2, "empty key", "", "");
    index_free(index);
}

int main(int argc, char **argv) {
    unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    test_glob();
    test_time();
    test_index();
    test_long();
    printf("%s\n", failures ? "FAILED" : "all is well");
    return failures != 0;
}
