/* Between a program and the system (LD_PRELOAD): the k-th event below a folder fails, or ends or signals the process.

FAULT_ROOT   the folder; unset: nothing happens
FAULT_AT     which event, from 1; 0 or unset: none
FAULT_DO     kill | torn (half of a write, then kill) | fails N (errno N, once) | full N (from then on whatever grows
             fails with errno N, after half of a write) | signal N
FAULT_READS  set: opening for reading and reading are events too
FAULT_TRACE  a file in which every event leaves a line
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
enum { GOES_ON = 0, HALF = -1 };
static long seen;
static int half_written;

static const char *path_of(int fd, char *room) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, room, PATH_MAX - 1);
    if (size < 0) return "";
    room[size] = 0;
    return room;
}

static int below(const char *path) {
    const char *root = getenv("FAULT_ROOT");
    return root && path && strncmp(path, root, strlen(root)) == 0;
}

static void traced(long number, const char *what, const char *path) {
    const char *where = getenv("FAULT_TRACE");
    if (!where) return;
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%ld %s %s\n", number, what, path);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, where, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0) return;
    syscall(SYS_write, fd, line, (size_t)size);
    syscall(SYS_close, fd);
}

/* What becomes of an event: an errno, HALF of a write, or it GOES_ON. */
static int event(const char *what, const char *path, int grows, int writes) {
    if (!below(path)) return GOES_ON;
    int before = errno;
    long number = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    traced(number, what, path);
    errno = before;
    const char *at = getenv("FAULT_AT"), *how = getenv("FAULT_DO");
    long wanted = at ? atol(at) : 0;
    if (wanted < 1 || !how || number < wanted) return GOES_ON;
    const char *word = strchr(how, ' ');
    int argument = word ? atoi(word) : 0;
    if (strncmp(how, "full", 4) == 0) {
        if (!grows) return GOES_ON;
        if (writes && !half_written) return half_written = 1, HALF;
        return argument;
    }
    if (number > wanted) return GOES_ON;
    if (strncmp(how, "fails", 5) == 0) return argument;
    if (strncmp(how, "torn", 4) == 0 && writes) return HALF;
    if (strncmp(how, "signal", 6) == 0) return raise(argument), GOES_ON;
    kill(getpid(), SIGKILL);
    return GOES_ON;
}

static int torn(void) {
    const char *how = getenv("FAULT_DO");
    return how && strncmp(how, "torn", 4) == 0;
}

#define REFUSED(what, path, grows)                                   \
    do {                                                             \
        int said = event(what, path, grows, 0);                      \
        if (said > 0) return errno = said, -1;                       \
    } while (0)

#define WRITES(name, before, after, ...)                             \
    ssize_t name(int fd, const void *data, size_t size __VA_ARGS__) { \
        char room[PATH_MAX];                                         \
        int said = getenv("FAULT_ROOT") ? event(#name, path_of(fd, room), 1, 1) : GOES_ON; \
        if (said > 0) return errno = said, -1;                       \
        if (said == HALF) size = size > 1 ? size / 2 : size;         \
        ssize_t done = REAL(name)(fd, data, size after);             \
        if (said == HALF && torn()) kill(getpid(), SIGKILL);         \
        return done;                                                 \
    }
#define COMMA ,
WRITES(write, , )
WRITES(pwrite, , COMMA offset, , off_t offset)
WRITES(pwrite64, , COMMA offset, , off64_t offset)

#define ON_FILE(name, grows, parameters, ...)                        \
    int name parameters {                                            \
        char room[PATH_MAX];                                         \
        if (getenv("FAULT_ROOT")) REFUSED(#name, path_of(fd, room), grows); \
        return REAL(name)(__VA_ARGS__);                              \
    }
ON_FILE(fsync, 0, (int fd), fd)
ON_FILE(fdatasync, 0, (int fd), fd)
ON_FILE(ftruncate, 0, (int fd, off_t size), fd, size)
ON_FILE(ftruncate64, 0, (int fd, off64_t size), fd, size)

#define ON_PATH(name, path, grows, parameters, ...)                  \
    int name parameters {                                            \
        REFUSED(#name, path, grows);                                 \
        return REAL(name)(__VA_ARGS__);                              \
    }
ON_PATH(rename, to, 0, (const char *from, const char *to), from, to)
ON_PATH(link, to, 1, (const char *from, const char *to), from, to)
ON_PATH(linkat, to, 1, (int a, const char *from, int b, const char *to, int flags), a, from, b, to, flags)
ON_PATH(symlink, to, 1, (const char *from, const char *to), from, to)
ON_PATH(unlink, path, 0, (const char *path), path)
ON_PATH(unlinkat, path, 0, (int at, const char *path, int flags), at, path, flags)
ON_PATH(mkdir, path, 1, (const char *path, mode_t mode), path, mode)

int close(int fd) {
    char room[PATH_MAX];
    if (getenv("FAULT_ROOT") && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) {
        int said = event("close", path_of(fd, room), 0, 0);
        if (said > 0) return REAL(close)(fd), errno = said, -1;
    }
    return REAL(close)(fd);
}

ssize_t read(int fd, void *data, size_t size) {
    char room[PATH_MAX];
    if (getenv("FAULT_ROOT") && getenv("FAULT_READS")) REFUSED("read", path_of(fd, room), 0);
    return REAL(read)(fd, data, size);
}

#define OPENS(name, first, ...)                                      \
    int name(first const char *path, int flags, ...) {               \
        va_list more;                                                \
        va_start(more, flags);                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                \
        int reads = (flags & O_ACCMODE) == O_RDONLY;                 \
        if (!reads || getenv("FAULT_READS")) REFUSED(reads ? "open-to-read" : "open", path, !reads); \
        return REAL(name)(__VA_ARGS__ path, flags, mode);            \
    }
OPENS(open, , )
OPENS(open64, , )
OPENS(openat, int at COMMA, at COMMA)
OPENS(openat64, int at COMMA, at COMMA)
