/* Worker processes of this server; the header has their states. */
#include "workers.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "events.h"
#include "python.h"
#include "sync.h"

enum { URL_LENGTH = 1024, THEIR_FD = 3 };
enum { FIRST_REST_US = 200000, LONGEST_REST_US = 10000000, STEADY_US = 30000000 };

typedef enum { EMPTY, RUNNING, STOPPING } State;

typedef struct {
    State state;
    pid_t pid;
    int fd;
    uint64_t since, not_before, rest;
} Seat;

static Seat seats[MOST_WORKERS];
static unsigned seat_count;
static char url[URL_LENGTH];
static unsigned long long restarts;
static char executable[PATH_MAX];
static int shutting_down, url_is_given, on_demand;

/* -- where this server is ----------------------------------------------------------------------------------------- */

/* One setting's value into `value`; 0 where there is none. */
static int setting(RedisModuleCtx *ctx, const char *name, char *value, size_t room) {
    RedisModuleCallReply *reply = RM_Call(ctx, "CONFIG", "cc", "GET", name);
    RedisModuleCallReply *element = NULL;
    size_t length = 0;
    if (reply != NULL && RM_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY && RM_CallReplyLength(reply) == 2) {
        element = RM_CallReplyArrayElement(reply, 1);
    }
    const char *bytes = element != NULL ? RM_CallReplyStringPtr(element, &length) : NULL;
    int found = bytes != NULL && length < room;
    if (found) {
        memcpy(value, bytes, length);
        value[length] = 0;
    }
    if (reply != NULL) RM_FreeCallReply(reply);
    return found && length > 0;
}

/* Bytes as a URL may hold them, appended. */
static void append_quoted(char *text, size_t room, const char *bytes, const char *also) {
    size_t length = strlen(text);
    for (; *bytes != 0 && length + 4 < room; bytes++) {
        unsigned char c = (unsigned char)*bytes;
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(also, c) != NULL;
        length += (size_t)snprintf(text + length, room - length, plain ? "%c" : "%%%02X", c);
    }
}

/* The address of `bind` at which our workers find us: the first, unless it stands for all of them. */
static void local_address(RedisModuleCtx *ctx, char *address, size_t room) {
    char bind[URL_LENGTH] = "";
    setting(ctx, "bind", bind, sizeof bind);
    const char *first = bind + strspn(bind, " -");
    int length = (int)strcspn(first, " ");
    if (length == 0 || *first == '*' || strncmp(first, "0.0.0.0", 7) == 0 || strncmp(first, "::*", 3) == 0) {
        snprintf(address, room, "127.0.0.1");
    } else {
        snprintf(address, room, memchr(first, ':', (size_t)length) != NULL ? "[%.*s]" : "%.*s", length, first);
    }
}

/* Our own address, as it is now; 0 where it has to be told by the option worker-url. */
static int make_url(RedisModuleCtx *ctx) {
    char port[16] = "", path[URL_LENGTH] = "", password[URL_LENGTH] = "", address[128] = "";
    int has_port = setting(ctx, "port", port, sizeof port) && strcmp(port, "0") != 0;
    int has_path = !has_port && setting(ctx, "unixsocket", path, sizeof path);
    if (!has_port && !has_path) return 0;
    snprintf(url, sizeof url, has_port ? "redis://" : "unix://");
    if (setting(ctx, "requirepass", password, sizeof password)) {
        strcat(url, ":");
        append_quoted(url, sizeof url, password, "-._~");
        strncat(url, "@", sizeof url - strlen(url) - 1);
    }
    if (has_port) {
        local_address(ctx, address, sizeof address);
        size_t length = strlen(url);
        snprintf(url + length, sizeof url - length, "%s:%s", address, port);
    } else {
        append_quoted(url, sizeof url, path, "-._~/");
    }
    return 1;
}

/* -- a process ---------------------------------------------------------------------------------------------------- */

/* The server's environment. Servers load modules so that these see libc's own `environ` first, and `dlsym` for them too; nobody
 * sets that where the executable has a copy of it. So the program is asked for the one that everybody else uses. */
static char **present_environment(void) {
    static char *none[] = {NULL};
    void *program = dlopen(NULL, RTLD_LAZY);
    char ***where = program != NULL ? (char ***)dlsym(program, "environ") : NULL;
    char **found = where != NULL && *where != NULL ? *where : none;
    if (program != NULL) dlclose(program);
    return found;
}

static int is_variable(const char *entry, const char *name) {
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

/* The environment of a worker: ours, and what it is told (`url_entry`, `fd_entry`). To be freed, not its entries. */
static char **environment(char *url_entry, char *fd_entry) {
    char **present = present_environment();
    size_t count = 0, kept = 0;
    while (present[count] != NULL) count++;
    char **entries = malloc((count + 3) * sizeof *entries);
    if (entries == NULL) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_variable(present[i], "GEARTRAIN_URL") && !is_variable(present[i], "GEARTRAIN_SUPERVISOR_FD")) {
            entries[kept++] = present[i];
        }
    }
    entries[kept++] = url_entry;
    entries[kept++] = fd_entry;
    entries[kept] = NULL;
    return entries;
}

/* What the new process does before it begins: our end of the socket becomes its THEIR_FD, and nothing else of the server's
 * (clients, files) stays open in it. */
static void prepare(posix_spawn_file_actions_t *actions, int theirs) {
    posix_spawn_file_actions_adddup2(actions, theirs, THEIR_FD);
    DIR *folder = opendir("/dev/fd");
    if (folder == NULL) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd > THEIR_FD && fd != dirfd(folder)) posix_spawn_file_actions_addclose(actions, fd);
    }
    closedir(folder);
}

static int spawn(pid_t *pid, int theirs) {
    static char *arguments[] = {NULL, "-u", "-P", "-m", "geartrain.worker", NULL};
    char url_entry[URL_LENGTH + 32], fd_entry[64];
    arguments[0] = executable;
    snprintf(url_entry, sizeof url_entry, "GEARTRAIN_URL=%s", url);
    snprintf(fd_entry, sizeof fd_entry, "GEARTRAIN_SUPERVISOR_FD=%d", THEIR_FD);
    char **entries = environment(url_entry, fd_entry);
    if (entries == NULL) return ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    prepare(&actions, theirs);
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGHUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#ifdef POSIX_SPAWN_SETSID
    flags |= POSIX_SPAWN_SETSID;
#endif
    posix_spawnattr_setflags(&attributes, flags);
    int error = posix_spawn(pid, executable, &actions, &attributes, arguments, entries);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(entries);
    return error;
}

static void rest(Seat *seat, uint64_t now) {
    seat->rest = seat->rest == 0 || now - seat->since > STEADY_US ? FIRST_REST_US : seat->rest * 2;
    if (seat->rest > LONGEST_REST_US) seat->rest = LONGEST_REST_US;
    seat->not_before = now + seat->rest;
}

static void begin(RedisModuleCtx *ctx, Seat *seat, uint64_t now) {
    int pair[2];
    seat->since = now;
    int error = socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? 0 : errno;
    if (error == 0) {
        fcntl(pair[0], F_SETFD, FD_CLOEXEC);
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        error = spawn(&seat->pid, pair[1]);
        close(pair[1]);
        if (error != 0) close(pair[0]);
    }
    if (error != 0) {
        RM_Log(ctx, "warning", "geartrain: a worker cannot be started: %s", strerror(error));
        rest(seat, now);
        return;
    }
    seat->fd = pair[0];
    seat->state = RUNNING;
    RM_Log(ctx, "notice", "geartrain: worker %ld started (pid %ld)", (long)(seat - seats) + 1, (long)seat->pid);
}

/* Whether the process has ended: the server may have reaped it, so its socket is asked. */
static int has_ended(const Seat *seat) {
    char bytes[64];
    ssize_t got;
    while ((got = recv(seat->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {}
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void end(RedisModuleCtx *ctx, Seat *seat, uint64_t now) {
    close(seat->fd);
    waitpid(seat->pid, NULL, WNOHANG);
    long number = (long)(seat - seats) + 1;
    if (seat->state == STOPPING) {
        RM_Log(ctx, "notice", "geartrain: worker %ld (pid %ld) has stopped", number, (long)seat->pid);
        seat->rest = 0;
        seat->not_before = now;
    } else {
        rest(seat, now);
        restarts++;
        RM_Log(ctx, "warning", "geartrain: worker %ld (pid %ld) has ended; it is started again in %.1f s", number,
               (long)seat->pid, (double)seat->rest / 1e6);
    }
    seat->state = EMPTY;
}

/* Whether a worker is to be started now. */
static int seats_to_fill(uint64_t now) {
    for (unsigned i = 0; i < seat_count; i++) {
        if (seats[i].state == EMPTY && now >= seats[i].not_before) return 1;
    }
    return 0;
}

static void on_cron(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)event, (void)sub, (void)data;
    int wanted = capture_active() && !shutting_down;
    uint64_t now = RM_MonotonicMicroseconds();
    if (wanted && !url_is_given && seats_to_fill(now) && !make_url(ctx) && url[0] == 0) {
        RM_Log(ctx, "warning", "geartrain: no workers: this server has neither a port nor a socket without TLS; say how it "
                               "is reached, with the option worker-url URL");
        seat_count = 0;
        on_demand = 0;
    }
    for (unsigned i = 0; i < seat_count; i++) {
        Seat *seat = &seats[i];
        if (seat->state != EMPTY && has_ended(seat)) end(ctx, seat, now);
        if (seat->state == EMPTY && wanted && now >= seat->not_before) begin(ctx, seat, now);
        if (seat->state == RUNNING && !wanted) {
            kill(seat->pid, SIGTERM);
            seat->state = STOPPING;
        }
    }
}

/* The workers stop by themselves when the server's ends of their sockets close; until then they commit what they can. */
static void on_shutdown(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data) {
    (void)ctx, (void)event, (void)sub, (void)data;
    shutting_down = 1;
    for (unsigned i = 0; i < seat_count; i++) {
        if (seats[i].state == RUNNING) kill(seats[i].pid, SIGTERM);
    }
}

/* Why no worker can be started; NULL: one can. Workers need the interpreter only, not its shared library. */
static const char *obstacle(void) {
    static char text[PATH_MAX + 128];
    if (executable[0] == 0) return sync_reason() != NULL ? sync_reason() : "no Python was found";
    if (access(executable, X_OK) == 0) return NULL;
    snprintf(text, sizeof text, "%.500s cannot be executed: %s", executable, strerror(errno));
    return text;
}

int workers_load(RedisModuleCtx *ctx, const Options *options) {
    if (options->workers == 0 && !options->workers_on_demand) return REDISMODULE_OK;
    snprintf(executable, sizeof executable, "%s", python_executable());
    const char *why = obstacle();
    if (why != NULL) {
        if (options->workers > 0) RM_Log(ctx, "warning", "geartrain: no workers: %s", why);
        return options->workers_given ? REDISMODULE_ERR : REDISMODULE_OK;
    }
    url_is_given = options->worker_url != NULL;
    if (url_is_given) snprintf(url, sizeof url, "%s", options->worker_url);
    seat_count = options->workers;
    on_demand = options->workers_on_demand;
    return events_listen(ctx, REDISMODULE_EVENT_CRON_LOOP, on_cron) &&
                   events_listen(ctx, REDISMODULE_EVENT_SHUTDOWN, on_shutdown)
               ? REDISMODULE_OK
               : REDISMODULE_ERR;
}

void workers_want(void) {
    if (on_demand && seat_count == 0) seat_count = 1;
}

unsigned workers_wanted(void) {
    return seat_count;
}

unsigned workers_running(void) {
    unsigned running = 0;
    for (unsigned i = 0; i < seat_count; i++) running += seats[i].state == RUNNING;
    return running;
}

void workers_info(RedisModuleInfoCtx *ctx) {
    RM_InfoAddFieldULongLong(ctx, "workers_wanted", seat_count);
    RM_InfoAddFieldULongLong(ctx, "workers_running", workers_running());
    RM_InfoAddFieldULongLong(ctx, "workers_restarted", restarts);
}
