/*
 * failsync.c - a preloaded fdatasync and fsync that fail with EIO for regular
 * files below a topics folder while the file named by FLV_FAILSYNC exists, and
 * take until the file named by FLV_HOLDSYNC is gone for the manager's database;
 * once they wait there is a file of that name with ".held" behind it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int fdatasync(int fd);
__attribute__((visibility("default"))) int fsync(int fd);

/* The mark exists and the file's path has the word. */
static int is_meant(const char *variable, int fd, const char *word)
{
    const char *mark = getenv(variable);
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
    return strstr(path, word) != NULL;
}

static void tell_held(void)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s.held", getenv("FLV_HOLDSYNC"));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
}

static int call(const char *name, int fd)
{
    int (*real)(int);

    if (is_meant("FLV_FAILSYNC", fd, ".log")) {
        errno = EIO;
        return -1;
    }
    while (is_meant("FLV_HOLDSYNC", fd, "manager.db")) {
        tell_held();
        usleep(5000);
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
