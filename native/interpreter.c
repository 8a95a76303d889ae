/* The interpreter is asked about itself, because only it knows: `sysconfig` says where its shared library should be, and
 * whether this build has one at all. It runs isolated (-I), so that nothing in the server's environment changes the
 * answer, with a deadline, so that a program that is no Python cannot hold up the server.
 *
 * Rejected: looking for libpython3.X.so in the linker's folders: it finds another Python than the virtual
 * environment's, whose packages then do not fit.
 */
#include "interpreter.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { ANSWER_MAX = 2 * PATH_MAX, DEADLINE_MS = 20000 };

static char reason[2 * PATH_MAX + 512];

static const char *because(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return reason;
}

/* Prints: "geartrain", the version, 1 where there is no GIL, the library's path or an empty line. */
static const char QUESTION[] =
    "import os, sys, sysconfig\n"
    "v = sysconfig.get_config_var\n"
    "short = '%d.%d' % sys.version_info[:2]\n"
    "base = sys.base_prefix\n"
    "folders = [v('LIBDIR'), os.path.join(v('LIBDIR') or '', v('MULTIARCH') or ''), os.path.join(base, 'lib'),\n"
    "    os.path.join(base, 'lib64'), v('PYTHONFRAMEWORKPREFIX'), base, v('LIBPL')]\n"
    "names = [v('INSTSONAME'), v('LDLIBRARY'), 'libpython%s.so.1.0' % short, 'libpython%s.so' % short,\n"
    "    'libpython%s.dylib' % short]\n"
    "paths = [os.path.join(f, n) for f in folders if f for n in names if n and not n.endswith('.a')]\n"
    "print('geartrain')\n"
    "print('%d.%d.%d' % sys.version_info[:3])\n"
    "print(int(sys.implementation.name != 'cpython') * 2 + int(bool(v('Py_GIL_DISABLED'))))\n"
    "print(next(filter(os.path.isfile, paths), ''))\n";

static int exists(const char *folder, const char *name, int mode) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && access(path, mode) == 0;
}

/* The interpreter of the environment that this module lies in: .../bin/python3 beside .../lib/python3.X/site-packages/. */
static const char *find_around(char *path) {
    Dl_info info;
    char place[PATH_MAX];
    if (!dladdr((void *)(size_t)&interpreter_find, &info) || info.dli_fname == NULL ||
        realpath(info.dli_fname, place) == NULL)
        return because("the place of the module cannot be found; name the interpreter: loadmodule ... python PATH");
    char folder[PATH_MAX];
    strcpy(folder, place);
    for (char *slash = strrchr(folder, '/'); slash != NULL && slash != folder; slash = strrchr(folder, '/')) {
        *slash = '\0';
        const char *below = place + strlen(folder);
        int fits = strncmp(below, "/lib/python3", 12) == 0 || strncmp(below, "/lib64/python3", 14) == 0;
        if ((fits || exists(folder, "pyvenv.cfg", R_OK)) && exists(folder, "bin/python3", X_OK)) {
            int length = snprintf(path, PATH_MAX, "%s/bin/python3", folder);
            return length < PATH_MAX ? NULL : because("the path of the interpreter is too long");
        }
    }
    return because("%s lies in no Python environment; name the interpreter: loadmodule ... python PATH", place);
}

/* Milliseconds of the monotonic clock. */
static long long clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until the end, or the deadline; whether the end came. */
static int read_all(int from, char *answer, size_t size) {
    long long until = clock_ms() + DEADLINE_MS;
    size_t length = 0;
    for (;;) {
        struct pollfd waiting = {.fd = from, .events = POLLIN};
        long long left = until - clock_ms();
        int ready = left > 0 ? poll(&waiting, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return 0;
        ssize_t got = read(from, answer + length, size - 1 - length);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        length += (size_t)got;
        if (length == size - 1) break;
    }
    answer[length] = '\0';
    return 1;
}

/* What the interpreter prints; NULL, or why not. */
static const char *ask(const char *path, char *answer, size_t size) {
    int ends[2];
    if (pipe(ends) != 0) return because("no pipe to %s: %s", path, strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char *arguments[] = {(char *)path, "-I", "-c", (char *)QUESTION, NULL};
    pid_t child;
    int failure = posix_spawn(&child, path, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    int whole = failure == 0 && read_all(ends[0], answer, size);
    close(ends[0]);
    if (failure != 0) return because("%s cannot be started: %s", path, strerror(failure));
    if (!whole) kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    if (!whole) return because("%s did not answer within %d s", path, DEADLINE_MS / 1000);
    return NULL;
}

/* Take the next line off the text. */
static char *next_line(char **text) {
    char *line = *text, *end = strchr(line, '\n');
    if (end == NULL) return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static const char *no_library(const char *path, const char *version) {
    int major = 0, minor = 0;
    sscanf(version, "%d.%d", &major, &minor);
    return because("%s (Python %s) has no shared library libpython%d.%d.so: on Debian and Ubuntu install the package"
                   " libpython%d.%d; with pyenv install it again with PYTHON_CONFIGURE_OPTS=--enable-shared; then restart"
                   " the server",
                   path, version, major, minor, major, minor);
}

static const char *understand(char *answer, Interpreter *found) {
    char *hello = next_line(&answer), *version = next_line(&answer), *kind = next_line(&answer);
    char *library = next_line(&answer);
    if (library == NULL || strcmp(hello, "geartrain") != 0) return because("%s is no Python interpreter", found->path);
    int major = 0, minor = 0;
    sscanf(version, "%d.%d", &major, &minor);
    if (strcmp(kind, "0") != 0)
        return because("%s (Python %s) is not a CPython with a GIL, which sync functions need", found->path, version);
    if (major != 3 || minor < 11 || minor > 13)
        return because("%s is Python %s; sync functions run in CPython 3.11, 3.12 and 3.13", found->path, version);
    if (*library == '\0') return no_library(found->path, version);
    snprintf(found->version, sizeof found->version, "%s", version);
    snprintf(found->library, sizeof found->library, "%s", library);
    return NULL;
}

const char *interpreter_find(const char *path, Interpreter *found) {
    if (path != NULL && (size_t)snprintf(found->path, sizeof found->path, "%s", path) >= sizeof found->path)
        return because("the path of the interpreter is too long");
    const char *why = path == NULL ? find_around(found->path) : NULL;
    if (why != NULL) return why;
    if (access(found->path, X_OK) != 0) return because("%s cannot be executed: %s", found->path, strerror(errno));
    char answer[ANSWER_MAX];
    why = ask(found->path, answer, sizeof answer);
    return why != NULL ? why : understand(answer, found);
}
