#include "real.h"

#include "cm.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits for the line that says that it is ready, and which ports it has. */
void server_start(struct server *s)
{
    char program[] = FLV_BIN "/fluvio-server";
    char *const argv[] = {program,       "--data-dir", s->tmp.path,
                          "--advertise", "127.0.0.1",  "--log-level",
                          "error",       "--sc-port",  s->ports[0],
                          "--spu-port",  s->ports[1],  NULL};
    posix_spawn_file_actions_t actions;
    int fds[2] = {-1, -1};
    char line[128] = "";
    unsigned sc = 0;
    unsigned spu = 0;
    FILE *in = NULL;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[1], 1), 0);
    if (posix_spawn(&s->pid, argv[0], &actions, NULL, argv, environ) != 0) {
        fail_msg("cannot start %s", argv[0]);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    in = fdopen(fds[0], "r");
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof(line), in));
    (void)fclose(in);
    if (sscanf(line, "ready sc=%5u spu=%5u", &sc, &spu) != 2) {
        fail_msg("the server said: %s", line);
    }
    (void)snprintf(s->ports[0], sizeof(s->ports[0]), "%u", sc);
    (void)snprintf(s->ports[1], sizeof(s->ports[1]), "%u", spu);
}

void server_stop(struct server *s, int signum)
{
    assert_int_equal(kill(s->pid, signum), 0);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

void server_init(struct server *s)
{
    tmpdir_make(&s->tmp, "client");
    (void)snprintf(s->ports[0], sizeof(s->ports[0]), "0");
    (void)snprintf(s->ports[1], sizeof(s->ports[1]), "0");
    server_start(s);
}

void server_deinit(struct server *s)
{
    server_stop(s, SIGTERM);
    tmpdir_remove(&s->tmp);
}
