/* Names of outboxes. */
#include "outbox.h"

#include <string.h>

RedisModuleString *outbox_name(const char *tag, const Hook *hook, unsigned number) {
    size_t room = strlen(tag) + hook->id.length + 64;
    char *name = RM_Alloc(room);
    /* The number stands before the id, which may end with one. */
    int length = hook->partitions > 1 ? snprintf(name, room, "geartrain:{%s}:outbox-%u:", tag, number)
                                      : snprintf(name, room, "geartrain:{%s}:outbox:", tag);
    memcpy(name + length, hook->id.bytes, hook->id.length);
    RedisModuleString *string = RM_CreateString(NULL, name, (size_t)length + hook->id.length);
    RM_Free(name);
    return string;
}

int outbox_may_unlink(const char *key, size_t length, const char *id, size_t id_length) {
    static const char BEGINNING[] = "geartrain:{";
    size_t begin = sizeof BEGINNING - 1;
    return length > begin + id_length && memcmp(key, BEGINNING, begin) == 0 && key[length - id_length - 1] == ':' &&
           memcmp(key + length - id_length, id, id_length) == 0;
}
