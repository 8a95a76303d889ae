/* One value in RESP3 text, from a worker to a client that speaks RESP2 or RESP3.
 *
 * Workers make the text in Python; it is foreign input. So there are two passes over the same grammar: the first, when the
 * worker hands it in, only looks, and tells the worker what is wrong; the second, when the client's turn comes, replies. What
 * a RESP2 client gets is the server's own translation: maps flat, doubles and big numbers as strings, booleans as 1 and 0.
 *
 * Taken: + - : $ * _ # , ( = % ~ and the nulls of RESP2. Not taken: pushes, attributes, streamed values.
 *
 * Rejected: handing the bytes on as they are (the module API has no such call, and RESP2 clients need others).
 */
#ifndef GEARTRAIN_RESP_H
#define GEARTRAIN_RESP_H

#include "api.h"

enum { RESP_MOST_DEPTH = 64 };

/* What is wrong with a text that should be one value, and nothing more; NULL: it is one. The message stays. */
const char *resp_check(const char *bytes, size_t length);

/* Reply with a text that `resp_check` has found right. */
void resp_reply(RedisModuleCtx *ctx, const char *bytes, size_t length);

/* Reply with an error whose text may hold anything: line ends and NULs become spaces. */
void resp_error(RedisModuleCtx *ctx, const char *bytes, size_t length);

#endif
