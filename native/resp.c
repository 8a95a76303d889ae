/* RESP3 text to replies: one recursive descent, whose sink is NULL while it only looks. */
#include "resp.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end;
    RedisModuleCtx *ctx; /* NULL: only look */
    const char *wrong;
} Reader;

typedef struct {
    const char *bytes;
    size_t length;
} Line;

static int fail(Reader *reader, const char *what) {
    if (reader->wrong == NULL) reader->wrong = what;
    return 0;
}

/* The rest of a line, without its end. */
static int read_line(Reader *reader, Line *line) {
    const char *start = reader->at, *stop = start;
    while (stop < reader->end && *stop != '\r' && *stop != '\n') stop++;
    if (reader->end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') return fail(reader, "a line has no end");
    *line = (Line){start, (size_t)(stop - start)};
    reader->at = stop + 2;
    return 1;
}

/* A whole number that fills its line. */
static int read_number(Reader *reader, long long *number) {
    Line line;
    if (!read_line(reader, &line)) return 0;
    size_t at = line.length > 0 && (line.bytes[0] == '-' || line.bytes[0] == '+');
    int negative = at == 1 && line.bytes[0] == '-';
    if (at == line.length) return fail(reader, "a number has no digits");
    unsigned long long sum = 0, most = (unsigned long long)INT64_MAX + (unsigned long long)negative;
    for (; at < line.length; at++) {
        unsigned digit = (unsigned)(line.bytes[at] - '0');
        if (digit > 9) return fail(reader, "a number is none");
        if (sum > (most - digit) / 10) return fail(reader, "a number has more than 64 bits");
        sum = sum * 10 + digit;
    }
    *number = negative ? (long long)(0 - sum) : (long long)sum;
    return 1;
}

static int reply_string(Reader *reader, char type, const char *bytes, size_t length) {
    if (type == '=') {
        if (length < 4 || bytes[3] != ':') return fail(reader, "a verbatim string has no kind");
        if (reader->ctx != NULL) RM_ReplyWithVerbatimStringType(reader->ctx, bytes + 4, length - 4, bytes);
    } else if (reader->ctx != NULL) {
        RM_ReplyWithStringBuffer(reader->ctx, bytes, length);
    }
    return 1;
}

static int read_string(Reader *reader, char type) {
    long long length;
    if (!read_number(reader, &length)) return 0;
    if (length == -1 && type == '$') {
        if (reader->ctx != NULL) RM_ReplyWithNull(reader->ctx);
        return 1;
    }
    if (length < 0 || reader->end - reader->at < 2 || length > reader->end - reader->at - 2) {
        return fail(reader, "a string's length is not that of its bytes");
    }
    const char *bytes = reader->at;
    if (bytes[length] != '\r' || bytes[length + 1] != '\n') return fail(reader, "a string has no end");
    reader->at += length + 2;
    return reply_string(reader, type, bytes, (size_t)length);
}

static int read_double(Reader *reader) {
    Line line;
    char text[64], *stop;
    if (!read_line(reader, &line)) return 0;
    if (line.length == 0 || line.length >= sizeof text) return fail(reader, "a double is none");
    memcpy(text, line.bytes, line.length);
    text[line.length] = 0;
    double number = strtod(text, &stop);
    if (stop != text + line.length || strchr("+-.0123456789in", text[0]) == NULL) return fail(reader, "a double is none");
    if (reader->ctx != NULL) RM_ReplyWithDouble(reader->ctx, number);
    return 1;
}

static int read_big_number(Reader *reader) {
    Line line;
    if (!read_line(reader, &line)) return 0;
    size_t at = line.length > 0 && line.bytes[0] == '-';
    if (at == line.length) return fail(reader, "a big number has no digits");
    for (; at < line.length; at++) {
        if (line.bytes[at] < '0' || line.bytes[at] > '9') return fail(reader, "a big number is none");
    }
    if (reader->ctx != NULL) RM_ReplyWithBigNumber(reader->ctx, line.bytes, line.length);
    return 1;
}

static int read_word(Reader *reader, char type) {
    Line line;
    if (!read_line(reader, &line)) return 0;
    if (type == '_') {
        if (line.length > 0) return fail(reader, "a null has a value");
        if (reader->ctx != NULL) RM_ReplyWithNull(reader->ctx);
        return 1;
    }
    if (type == '#') {
        if (line.length != 1 || (line.bytes[0] != 't' && line.bytes[0] != 'f')) return fail(reader, "a boolean is neither t nor f");
        if (reader->ctx != NULL) RM_ReplyWithBool(reader->ctx, line.bytes[0] == 't');
        return 1;
    }
    if (memchr(line.bytes, 0, line.length) != NULL) return fail(reader, "a status or an error has a NUL");
    if (type == '-') {
        if (reader->ctx != NULL) resp_error(reader->ctx, line.bytes, line.length);
        return 1;
    }
    if (reader->ctx == NULL) return 1;
    char *text = RM_Alloc(line.length + 1);
    memcpy(text, line.bytes, line.length);
    text[line.length] = 0;
    RM_ReplyWithSimpleString(reader->ctx, text);
    RM_Free(text);
    return 1;
}

static int read_value(Reader *reader, int depth);

static int read_values(Reader *reader, char type, int depth) {
    long long count;
    if (!read_number(reader, &count)) return 0;
    if (count == -1 && type == '*') {
        if (reader->ctx != NULL) RM_ReplyWithNullArray(reader->ctx);
        return 1;
    }
    /* Each value has three bytes or more. */
    if (count < 0 || count > (reader->end - reader->at) / 3) return fail(reader, "fewer values than their count says");
    if (reader->ctx != NULL && type == '*') RM_ReplyWithArray(reader->ctx, (long)count);
    if (reader->ctx != NULL && type == '~') RM_ReplyWithSet(reader->ctx, (long)count);
    if (reader->ctx != NULL && type == '%') RM_ReplyWithMap(reader->ctx, (long)count);
    if (type == '%') count *= 2;
    for (long long i = 0; i < count; i++) {
        if (!read_value(reader, depth + 1)) return 0;
    }
    return 1;
}

static int read_integer(Reader *reader) {
    long long number;
    if (!read_number(reader, &number)) return 0;
    if (reader->ctx != NULL) RM_ReplyWithLongLong(reader->ctx, number);
    return 1;
}

static int read_value(Reader *reader, int depth) {
    if (depth > RESP_MOST_DEPTH) return fail(reader, "values lie deeper than 64 within each other");
    if (reader->at == reader->end) return fail(reader, "a value is missing");
    char type = *reader->at++;
    switch (type) {
    case ':':
        return read_integer(reader);
    case '$':
    case '=':
        return read_string(reader, type);
    case '*':
    case '~':
    case '%':
        return read_values(reader, type, depth);
    case ',':
        return read_double(reader);
    case '(':
        return read_big_number(reader);
    case '+':
    case '-':
    case '_':
    case '#':
        return read_word(reader, type);
    default:
        return fail(reader, "a value begins with none of + - : $ * _ # , ( = % ~");
    }
}

const char *resp_check(const char *bytes, size_t length) {
    Reader reader = {bytes, bytes + length, NULL, NULL};
    if (read_value(&reader, 0) && reader.at != reader.end) fail(&reader, "there is more after the value");
    return reader.wrong;
}

void resp_reply(RedisModuleCtx *ctx, const char *bytes, size_t length) {
    Reader reader = {bytes, bytes + length, ctx, NULL};
    read_value(&reader, 0);
}

void resp_error(RedisModuleCtx *ctx, const char *bytes, size_t length) {
    char *text = RM_Alloc(length + 1);
    for (size_t i = 0; i < length; i++) text[i] = bytes[i] == '\r' || bytes[i] == '\n' || bytes[i] == 0 ? ' ' : bytes[i];
    text[length] = 0;
    RM_ReplyWithError(ctx, text);
    RM_Free(text);
}
