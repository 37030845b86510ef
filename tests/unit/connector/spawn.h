/*
 * spawn.h - running the real programs in tests.
 *
 * Purpose    Starts a program with pipes, waits for text or its end, and
 *            returns what it wrote. Every wait has a time limit.
 * Threads    The test's.
 * Ownership  spawn_end() releases everything, killing what still runs.
 * Errors     Waiting in vain fails the test.
 */
#ifndef FLV_TESTS_SPAWN_H
#define FLV_TESTS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SPAWN_TEXT_MAX (1 << 20)

struct spawn {
    pid_t pid;
    int fd[2];     /* of stdout and stderr; -1 at the end */
    char *text[2]; /* owned; NUL-terminated */
    size_t len[2];
    int status; /* exit status, 128 + signal, once ended */
    bool ended;
};

enum { OUT, ERR };

/* argv[0] is a path; ends with NULL. */
void spawn_start(struct spawn *s, const char *const *argv);
/* Until the program has ended; returns its exit status. */
int spawn_wait(struct spawn *s, unsigned limit_ms);
/* Until `needle` was written `count` times to stream `which`. */
void spawn_expect(struct spawn *s,
                  int which,
                  const char *needle,
                  unsigned count);
void spawn_end(struct spawn *s);

#endif
