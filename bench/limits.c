#include "limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tool.h"
#include "wire/crc32c.h"

enum { SAMPLES_MAX = 1 << 20 };

#define FILE_MAX_BYTES ((off_t)1 << 30)

static double since_s(uint64_t start_ns)
{
    return (double)(flv_clock_mono_ns() - start_ns) / 1e9;
}

/* ---------------------------------------------------------------- files */

/* Open, and already without a name. */
static int scratch_file(const char *folder)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s/flv-bench.%ld", folder, (long)getpid());
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        die(path);
    }
    unlink(path);
    return fd;
}

static void append(int fd, const uint8_t *data, size_t size, bool sync)
{
    if (write(fd, data, size) != (ssize_t)size ||
        (sync && fdatasync(fd) != 0)) {
        die(strerror(errno));
    }
}

static void write_files(const char *const *argv, bool sync)
{
    size_t size = number(argv[1], 1 << 30), count = 0, kept = 0;
    uint64_t run_ns = number(argv[2], 3600) * 1000000000;
    uint64_t *samples = need(flv_zalloc(SAMPLES_MAX, sizeof(*samples)));
    uint8_t *data = make_record(size);
    int fd = scratch_file(argv[0]);
    uint64_t start = flv_clock_mono_ns();
    double wall;

    while (flv_clock_mono_ns() - start < run_ns) {
        uint64_t begin = flv_clock_mono_ns();

        append(fd, data, size, sync);
        samples[count++ % SAMPLES_MAX] = flv_clock_mono_ns() - begin;
        kept += size;
        if ((off_t)kept >= FILE_MAX_BYTES) {
            close(fd);
            fd = scratch_file(argv[0]);
            kept = 0;
        }
    }
    wall = since_s(start);
    close(fd);
    printf(
        "writes=%zu mb_per_s=%.1f p50_us=%.0f p99_us=%.0f\n", count,
        (double)count * (double)size / wall / 1e6,
        percentile_us(samples, count < SAMPLES_MAX ? count : SAMPLES_MAX, 500),
        percentile_us(samples, count < SAMPLES_MAX ? count : SAMPLES_MAX, 990));
    flv_free(samples);
    flv_free(data);
}

void disk(const char *const *argv)
{
    write_files(argv, true);
}

void pages(const char *const *argv)
{
    write_files(argv, false);
}

/* ------------------------------------------------------------------ TCP */

struct pair {
    int here, there;
};

static struct pair connected_pair(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pair pair = {.here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&addr, len) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) != 0 ||
        connect(pair.here, (struct sockaddr *)&addr, len) != 0) {
        die(strerror(errno));
    }
    pair.there = accept(listener, NULL, NULL);
    if (pair.there < 0) {
        die(strerror(errno));
    }
    close(listener);
    return pair;
}

static void *swallow(void *arg)
{
    int fd = *(int *)arg;
    uint8_t *data = need(flv_alloc(1 << 20));

    while (read(fd, data, 1 << 20) > 0) {
    }
    flv_free(data);
    return NULL;
}

void loopback(const char *const *argv)
{
    size_t size = number(argv[0], 1 << 30);
    uint64_t run_ns = number(argv[1], 3600) * 1000000000, start, sent = 0;
    struct pair pair = connected_pair();
    uint8_t *data = make_record(size);
    pthread_t reader;
    double wall;

    if (pthread_create(&reader, NULL, swallow, &pair.there) != 0) {
        die("pthread_create");
    }
    start = flv_clock_mono_ns();
    while (flv_clock_mono_ns() - start < run_ns) {
        ssize_t n = write(pair.here, data, size);

        if (n < 0) {
            die(strerror(errno));
        }
        sent += (uint64_t)n;
    }
    shutdown(pair.here, SHUT_WR);
    pthread_join(reader, NULL);
    wall = since_s(start);
    printf("mb_per_s=%.1f\n", (double)sent / wall / 1e6);
    close(pair.here);
    close(pair.there);
    flv_free(data);
}

static bool take(int fd, uint8_t *data, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, data + got, size - got);

        if (n <= 0) {
            return false;
        }
        got += (size_t)n;
    }
    return true;
}

/* --------------------------------------------------------------- intake */

/* The far end: messages without end. */
static pid_t start_sender(struct pair *pair, const uint8_t *data, size_t size)
{
    pid_t child = fork();

    if (child < 0) {
        die(strerror(errno));
    }
    if (child == 0) {
        close(pair->there);
        while (write(pair->here, data, size) == (ssize_t)size) {
        }
        _exit(0);
    }
    close(pair->here);
    return child;
}

/* One group: taken off the socket, its check sum, and one write. */
static void take_group(int from, int to, uint8_t *data, size_t size, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        if (!take(from, data + i * size, size)) {
            die("the far process ended");
        }
        sum ^= flv_crc32c(0, data + i * size, size);
    }
    memcpy(data, &sum, sizeof(sum));
    append(to, data, n * size, false);
}

void intake(const char *const *argv)
{
    size_t size = number(argv[1], 1 << 20), group = number(argv[2], 64);
    size_t files = number(argv[3], 10000), count = 0;
    uint64_t run_ns = number(argv[4], 3600) * 1000000000, start;
    uint8_t *data = need(flv_alloc(size * group));
    uint8_t *message = make_record(size);
    int *fds = need(flv_zalloc(files, sizeof(*fds)));
    struct pair pair = connected_pair();
    pid_t child = start_sender(&pair, message, size);
    double cpu;

    for (size_t i = 0; i < files; i++) {
        fds[i] = scratch_file(argv[0]);
        take_group(pair.there, fds[i], data, size, group);
    }
    cpu = cpu_seconds();
    start = flv_clock_mono_ns();
    while (flv_clock_mono_ns() - start < run_ns &&
           count * group * size < (size_t)FILE_MAX_BYTES) {
        take_group(pair.there, fds[count++ % files], data, size, group);
    }
    cpu = cpu_seconds() - cpu;
    close(pair.there);
    waitpid(child, NULL, 0);
    for (size_t i = 0; i < files; i++) {
        close(fds[i]);
    }
    printf("messages=%zu cpu_us=%.2f\n", count * group,
           cpu * 1e6 / (double)(count * group));
    flv_free(fds);
    flv_free(message);
    flv_free(data);
}

/* -------------------------------------------------------------- handoff */

/* The far process: `listener` waits for the socket and for `done`, `writer`
 * waits to be told that a message is there. One message at a time. */
struct far {
    int file, done;
    size_t size;
    uint8_t *data;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool waiting;
};

static void *writer(void *arg)
{
    struct far *far = arg;
    const uint64_t one = 1;

    for (;;) {
        pthread_mutex_lock(&far->lock);
        while (!far->waiting) {
            pthread_cond_wait(&far->told, &far->lock);
        }
        far->waiting = false;
        pthread_mutex_unlock(&far->lock);
        append(far->file, far->data, far->size, true);
        if (write(far->done, &one, sizeof(one)) != sizeof(one)) {
            die(strerror(errno));
        }
    }
    return NULL;
}

static void far_side(int fd, const char *folder, size_t size)
{
    struct far far = {.file = scratch_file(folder),
                      .done = eventfd(0, EFD_CLOEXEC),
                      .size = size,
                      .data = need(flv_alloc(size)),
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .told = PTHREAD_COND_INITIALIZER};
    struct pollfd on[] = {{.fd = fd, .events = POLLIN},
                          {.fd = far.done, .events = POLLIN}};
    pthread_t thread;
    uint64_t count;

    if (pthread_create(&thread, NULL, writer, &far) != 0) {
        die("pthread_create");
    }
    while (poll(on, 2, -1) > 0) {
        if (on[1].revents != 0 &&
            (read(far.done, &count, sizeof(count)) != sizeof(count) ||
             send(fd, &count, sizeof(count), MSG_NOSIGNAL) < 0)) {
            break;
        }
        if (on[0].revents != 0) {
            if (!take(fd, far.data, size)) {
                break;
            }
            pthread_mutex_lock(&far.lock);
            far.waiting = true;
            pthread_cond_signal(&far.told);
            pthread_mutex_unlock(&far.lock);
        }
    }
    fflush(stderr);
    _exit(0);
}

void handoff(const char *const *argv)
{
    size_t size = number(argv[1], 1 << 20), count = 0;
    uint64_t run_ns = number(argv[2], 3600) * 1000000000, start;
    uint64_t *samples = need(flv_zalloc(SAMPLES_MAX, sizeof(*samples)));
    struct pair pair = connected_pair();
    uint8_t *data = make_record(size), answer[8];
    const int on = 1;
    pid_t child;

    setsockopt(pair.here, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(pair.there, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    child = fork();
    if (child < 0) {
        die(strerror(errno));
    }
    if (child == 0) {
        close(pair.here);
        far_side(pair.there, argv[0], size);
    }
    close(pair.there);
    start = flv_clock_mono_ns();
    while (flv_clock_mono_ns() - start < run_ns && count < SAMPLES_MAX) {
        struct pollfd one = {.fd = pair.here, .events = POLLIN};
        uint64_t begin = flv_clock_mono_ns();

        if (write(pair.here, data, size) != (ssize_t)size ||
            poll(&one, 1, -1) < 0 || !take(pair.here, answer, 8)) {
            die("the far process ended");
        }
        samples[count++] = flv_clock_mono_ns() - begin;
    }
    close(pair.here);
    waitpid(child, NULL, 0);
    printf("messages=%zu p50_us=%.0f p99_us=%.0f\n", count,
           percentile_us(samples, count, 500),
           percentile_us(samples, count, 990));
    flv_free(samples);
    flv_free(data);
}
