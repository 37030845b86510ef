/*
 * failsync.c - a preloaded fdatasync and fsync that fail with EIO for regular
 * files below a topics folder while the file named by FLV_FAILSYNC exists.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int fdatasync(int fd);
__attribute__((visibility("default"))) int fsync(int fd);

static int must_fail(int fd)
{
    const char *mark = getenv("FLV_FAILSYNC");
    char link[64], path[4096];
    ssize_t len;

    if (mark == NULL || access(mark, F_OK) != 0) {
        return 0;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0) {
        return 0;
    }
    path[len] = '\0';
    return strstr(path, ".log") != NULL;
}

static int call(const char *name, int fd)
{
    int (*real)(int);

    if (must_fail(fd)) {
        errno = EIO;
        return -1;
    }
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fdatasync(int fd)
{
    return call("fdatasync", fd);
}

int fsync(int fd)
{
    return call("fsync", fd);
}
