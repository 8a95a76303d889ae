/*
 * dlopen without RTLD_DEEPBIND, which servers load modules with and sanitizers refuse: their own malloc has to be found
 * before any other. Preloaded before the sanitizers' library (support/sanitizers.py), whose dlopen is the next one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

void *dlopen(const char *path, int flags)
{
    void *(*next)(const char *, int);

    *(void **)&next = dlsym(RTLD_NEXT, "dlopen");
    return next(path, flags & ~RTLD_DEEPBIND);
}
