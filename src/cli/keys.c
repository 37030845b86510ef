#include "cli/keys.h"

#include "base/field.h"
#include "loop/watch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ESCAPE 0x1b

/* ---- Bytes to keys ------------------------------------------------------- */

/* Of "ESC [ DIGITS FINAL", and "ESC O FINAL". */
static enum cli_key key_of(unsigned number, uint8_t final)
{
    switch (final) {
    case 'A':
        return CLI_KEY_UP;
    case 'B':
        return CLI_KEY_DOWN;
    case 'H':
        return CLI_KEY_FIRST;
    case 'F':
        return CLI_KEY_LAST;
    case '~':
        return number == 1 || number == 7   ? CLI_KEY_FIRST
               : number == 4 || number == 8 ? CLI_KEY_LAST
               : number == 5                ? CLI_KEY_PAGE_UP
               : number == 6                ? CLI_KEY_PAGE_DOWN
                                            : CLI_KEY_OTHER;
    default:
        return CLI_KEY_OTHER;
    }
}

/* Behind "ESC [". */
static size_t read_sequence(const uint8_t *bytes, size_t n, enum cli_key *out)
{
    unsigned number = 0;
    size_t i = 2;
    while (i < n && bytes[i] >= 0x20 && bytes[i] < 0x40) {
        bool digit = bytes[i] >= '0' && bytes[i] <= '9' && number < 100;
        number = digit ? number * 10 + (bytes[i] - '0') : number;
        i++;
    }
    if (i == n) {
        return n < CLI_KEY_BYTES_MAX ? 0 : n; /* no key is so long */
    }
    *out = key_of(number, bytes[i]);
    return i + 1;
}

static size_t
read_key(const uint8_t *bytes, size_t n, bool all, enum cli_key *out)
{
    *out = CLI_KEY_OTHER;
    if (bytes[0] != ESCAPE) {
        *out = bytes[0] == 'q'   ? CLI_KEY_QUIT
               : bytes[0] == 'c' ? CLI_KEY_CLEAR
                                 : CLI_KEY_OTHER;
        return 1;
    }
    if (n == 1) {
        *out = CLI_KEY_QUIT;
        return all ? 1 : 0;
    }
    if (bytes[1] == '[') {
        return read_sequence(bytes, n, out);
    }
    if (bytes[1] != 'O') {
        return 2; /* together with Alt */
    }
    *out = n > 2 ? key_of(0, bytes[2]) : CLI_KEY_OTHER;
    return n > 2 ? 3 : 0;
}

size_t cli_key_read(const uint8_t *bytes, size_t n, bool all, enum cli_key *out)
{
    assert(n > 0);
    size_t len = read_key(bytes, n, all, out);
    if (len == 0 && all) { /* the beginning of a key, and no more of it */
        *out = CLI_KEY_OTHER;
        len = n;
    }
    return len;
}

/* ---- The terminal -------------------------------------------------------- */

static void take(struct cli_keys *k, bool all)
{
    size_t pos = 0;
    size_t n = 1;
    while (pos < k->held_len && n > 0 && k->watch != NULL) {
        enum cli_key key;
        n = cli_key_read(k->held + pos, k->held_len - pos, all, &key);
        pos += n;
        if (n > 0 && key != CLI_KEY_OTHER) {
            k->pressed(k->user, key);
        }
    }
    k->held_len -= pos;
    memmove(k->held, k->held + pos, k->held_len);
    if (k->watch != NULL && k->held_len > 0 &&
        flv_timer_start(&k->timer, CLI_KEY_WAIT_MS, 0, NULL) != FLV_OK) {
        k->held_len = 0; /* out of memory: better no key than another */
    }
}

static void waited(struct flv_timer *t)
{
    take(FLV_OWNER_OF(t, struct cli_keys, timer), true);
}

static void ready(void *ctx, unsigned events)
{
    struct cli_keys *k = ctx;
    (void)events;
    ssize_t n =
        read(k->fd, k->held + k->held_len, sizeof k->held - k->held_len);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        cli_keys_close(k); /* the terminal is gone */
    } else if (n > 0) {
        k->held_len += (size_t)n;
        flv_timer_stop(&k->timer);
        take(k, false);
    }
}

/* Who is in the background would be stopped for trying. */
static bool set_mode(struct cli_keys *k)
{
    struct termios mode = k->before;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    return tcgetpgrp(k->fd) == getpgrp() &&
           tcsetattr(k->fd, TCSANOW, &mode) == 0;
}

bool cli_keys_open(struct cli_keys *k, struct flv_loop *loop)
{
    k->watch = NULL;
    k->held_len = 0;
    flv_timer_init(&k->timer, loop, waited);
    /* A description of our own: it does not block, and a shell's must. */
    k->fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (k->fd < 0) {
        return false;
    }
    if (tcgetattr(k->fd, &k->before) != 0 || !set_mode(k)) {
        close(k->fd);
        return false;
    }
    if (flv_watch_open(&k->watch, loop, k->fd, FLV_WATCH_READ, ready, k,
                       NULL) != FLV_OK) {
        tcsetattr(k->fd, TCSANOW, &k->before);
        close(k->fd);
        return false;
    }
    return true;
}

void cli_keys_again(struct cli_keys *k)
{
    if (k->watch != NULL) {
        (void)!set_mode(k);
    }
}

void cli_keys_close(struct cli_keys *k)
{
    if (k->watch == NULL) {
        return;
    }
    flv_watch_close(k->watch);
    flv_timer_stop(&k->timer);
    k->watch = NULL;
    if (tcgetpgrp(k->fd) == getpgrp()) {
        tcsetattr(k->fd, TCSANOW, &k->before);
    }
    close(k->fd);
}
