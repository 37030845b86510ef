/* fuzz-libs: flv_connector */
/* Lines that arrive on a connector's control socket. */
#include "connector/control.h"
#include "loop/lines.h"
#include "loop/loop.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned commands;

static void on_command(void *arg, enum flv_control_command cmd)
{
    (void)arg;
    assert(cmd <= FLV_CONTROL_DRAIN);
    commands++;
}

static void on_counts(void *arg, struct flv_control_counts *out)
{
    (void)arg;
    *out = (struct flv_control_counts){.own = {0}};
}

static void on_line(void *ctx, struct flv_slice line)
{
    (void)ctx;
    (void)line;
}

static void on_end(void *ctx, const struct flv_err *err)
{
    (void)ctx;
    (void)err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct flv_connector type = {.name = "t", .version = "1"};
    struct flv_loop *loop = NULL;
    struct flv_control control;
    int fds[2];
    if (size > FLV_CONTROL_LINE_MAX ||
        flv_loop_create(&loop, 0, NULL) != FLV_OK ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) {
        flv_loop_destroy(loop);
        return 0;
    }
    const struct flv_control_conf conf = {.loop = loop,
                                          .type = &type,
                                          .fd = -1,
                                          .command = on_command,
                                          .counts = on_counts};
    struct flv_control_peer *peer = &control.peers[0];
    flv_rc rc = flv__control_open(&control, &conf, NULL);
    assert(rc == FLV_OK);
    const struct flv_lines_conf lines = {.fd = fds[0],
                                         .line_max = FLV_CONTROL_LINE_MAX,
                                         .pending_max = 65536,
                                         .line = on_line,
                                         .end = on_end};
    rc = flv_lines_open(&peer->lines, loop, &lines, NULL);
    assert(rc == FLV_OK);
    peer->control = &control;
    flv__control_line(peer, flv_slice(data, size));
    flv__control_close(&control);
    (void)close(fds[1]);
    while (flv_loop_turn(loop, false)) {
    }
    flv_loop_destroy(loop);
    return 0;
}
