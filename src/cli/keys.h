/*
 * keys.h - the keys that somebody presses at the terminal.
 *
 * Purpose    Reads keys one by one, unseen and without Enter, from the terminal
 *            that the program runs at, whatever standard input is. Ctrl-C stays
 *            a signal. The terminal is what it was when they are closed.
 * Threads    Loop thread only.
 * Ownership  The caller's struct, from cli_keys_open() to cli_keys_close().
 * Errors     None: without a terminal, or in the background, no key comes.
 * Units      _ms
 * See        tests/unit/cli/test_cli_keys.c, tests/e2e/table_format.bats
 */
#ifndef FLV_CLI_KEYS_H
#define FLV_CLI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fluvio/loop.h>
#include <termios.h>

struct flv_watch;

enum cli_key {
    CLI_KEY_OTHER,
    CLI_KEY_QUIT, /* q, or Escape */
    CLI_KEY_CLEAR,
    CLI_KEY_UP,
    CLI_KEY_DOWN,
    CLI_KEY_FIRST,
    CLI_KEY_LAST,
    CLI_KEY_PAGE_UP,
    CLI_KEY_PAGE_DOWN,
};

#define CLI_KEY_BYTES_MAX 16
/* What a slow line may have between the bytes of one key. */
#define CLI_KEY_WAIT_MS 500

struct cli_keys {
    void (*pressed)(void *user, enum cli_key key);
    void *user;
    /* private */
    struct flv_watch *watch; /* owned; NULL: no key comes */
    int fd;
    struct termios before;
    struct flv_timer timer;          /* runs while something is held */
    uint8_t held[CLI_KEY_BYTES_MAX]; /* the beginning of a key */
    size_t held_len;
};

/* False: no key will come. Everything but pressed and user is set. */
bool cli_keys_open(struct cli_keys *k, struct flv_loop *loop);
/* After the program was stopped and goes on: a shell may have changed what the
 * terminal does. */
void cli_keys_again(struct cli_keys *k);
void cli_keys_close(struct cli_keys *k);

/* The key at the front of n > 0 bytes; returns how many it has, 0: more may
 * come. `all`: nothing more does, and Escape is a key where nothing follows. */
size_t
cli_key_read(const uint8_t *bytes, size_t n, bool all, enum cli_key *out);

#endif
