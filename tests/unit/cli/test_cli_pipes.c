/* Input and output of produce and consume, on real descriptors. */
#include "cli/sink.h"
#include "cli/source.h"
#include "cm.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 600000

/* ---- Source ------------------------------------------------------------ */

struct feed {
    struct flv_loop *loop;
    struct cli_source source;
    int fds[2];
    struct flv_buf got; /* lines as "<line>" */
    enum cli_line last;
};

static void filled(void *user)
{
    struct feed *f = user;
    flv_loop_stop(f->loop);
}

static void feed_open(struct feed *f, const void *data, size_t size)
{
    /* A file, so that any amount fits without a writer of its own. */
    char path[] = "/tmp/test_cli_pipes.XXXXXX";
    f->fds[0] = mkstemp(path);
    assert_true(f->fds[0] >= 0);
    unlink(path);
    assert_int_equal(write(f->fds[0], data, size), (ssize_t)size);
    assert_int_equal(lseek(f->fds[0], 0, SEEK_SET), 0);
    assert_int_equal(flv_loop_create(&f->loop, 0, NULL), FLV_OK);
    assert_int_equal(
        cli_source_init(&f->source, f->loop, f->fds[0], LINE_MAX_BYTES, NULL),
        FLV_OK);
    f->source.filled = filled;
    f->source.user = f;
    flv_buf_init(&f->got, 64 << 20);
}

static void feed_close(struct feed *f)
{
    /* A read may run ahead of what was asked for. */
    while (f->source.busy) {
        flv_loop_run(f->loop);
    }
    cli_source_deinit(&f->source);
    flv_loop_destroy(f->loop);
    flv_buf_deinit(&f->got);
    close(f->fds[0]);
}

/* Reads all lines, in groups of at most `max`. */
static void feed_run(struct feed *f, size_t max)
{
    struct flv_slice lines[64];
    size_t count = 0;
    for (;;) {
        f->last = cli_source_lines(&f->source, lines, max, &count);
        if (f->last == CLI_LINE_WAIT) {
            flv_loop_run(f->loop);
            continue;
        }
        if (f->last != CLI_LINE_GOT) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(flv_buf_add_u8(&f->got, '<'), FLV_OK);
            assert_int_equal(flv_buf_add(&f->got, lines[i].data, lines[i].len),
                             FLV_OK);
            assert_int_equal(flv_buf_add_u8(&f->got, '>'), FLV_OK);
        }
    }
}

static void expect_lines(const char *input, const char *expected)
{
    for (size_t max = 1; max <= 64; max += 63) {
        struct feed f = {0};
        feed_open(&f, input, strlen(input));
        feed_run(&f, max);
        assert_int_equal(f.last, CLI_LINE_END);
        assert_string_equal(flv_buf_str(&f.got), expected);
        feed_close(&f);
    }
}

static void lines_end_with_line_feeds_or_the_input(void **state)
{
    (void)state;
    expect_lines("", "");
    expect_lines("a", "<a>");
    expect_lines("a\n", "<a>");
    expect_lines("a\nb", "<a><b>");
    expect_lines("\n\n", "<><>");
    expect_lines("a\r\n\nb\n", "<a\r><><b>");
}

static void lines_cross_the_pieces_they_are_read_in(void **state)
{
    (void)state;
    struct flv_buf in, expected;
    struct feed f = {0};
    flv_buf_init(&in, 64 << 20);
    flv_buf_init(&expected, 64 << 20);
    /* Lengths around the size of a piece, and many short ones between. */
    for (size_t i = 0; i < 40; i++) {
        size_t len = i % 4 == 0 ? CLI_SOURCE_PIECE_BYTES - 2 + i / 4 : i * 997;
        char *line = flv_alloc(len + 1);
        memset(line, 'a' + (int)(i % 26), len);
        line[len] = '\0';
        assert_int_equal(flv_buf_addf(&in, "%s\n", line), FLV_OK);
        assert_int_equal(flv_buf_addf(&expected, "<%s>", line), FLV_OK);
        flv_free(line);
    }
    feed_open(&f, in.data, in.len);
    feed_run(&f, 64);
    assert_int_equal(f.last, CLI_LINE_END);
    assert_true(flv_slice_eq(flv_buf_slice(&f.got), flv_buf_slice(&expected)));
    feed_close(&f);
    flv_buf_deinit(&in);
    flv_buf_deinit(&expected);
}

static void a_line_above_the_ceiling_is_refused(void **state)
{
    (void)state;
    struct feed f = {0};
    char *in = flv_alloc(LINE_MAX_BYTES + 4);
    memset(in, 'x', LINE_MAX_BYTES + 4);
    in[1] = '\n';
    in[LINE_MAX_BYTES + 3] = '\n';
    feed_open(&f, in, LINE_MAX_BYTES + 4);
    feed_run(&f, 64);
    assert_int_equal(f.last, CLI_LINE_TOO_LONG);
    assert_string_equal(flv_buf_str(&f.got), "<x>");
    feed_close(&f);
    flv_free(in);
}

static void everything_is_one_text_up_to_the_ceiling(void **state)
{
    (void)state;
    struct feed f = {0};
    struct flv_slice all = {0};
    char *in = flv_alloc(LINE_MAX_BYTES + 1);
    memset(in, '\n', LINE_MAX_BYTES + 1);
    for (size_t over = 0; over < 2; over++) {
        feed_open(&f, in, LINE_MAX_BYTES + over);
        while ((f.last = cli_source_all(&f.source, &all)) == CLI_LINE_WAIT) {
            flv_loop_run(f.loop);
        }
        assert_int_equal(f.last, over ? CLI_LINE_TOO_LONG : CLI_LINE_GOT);
        if (!over) {
            assert_int_equal(all.len, LINE_MAX_BYTES);
        }
        feed_close(&f);
    }
    flv_free(in);
}

static void a_read_that_fails_ends_the_input(void **state)
{
    (void)state;
    struct feed f = {0};
    feed_open(&f, "a\n", 2);
    /* A folder can be opened, not read. */
    int folder = open("/", O_RDONLY | O_DIRECTORY);
    assert_true(folder >= 0);
    f.source.fd = folder;
    feed_run(&f, 1);
    assert_int_equal(f.last, CLI_LINE_END);
    assert_int_equal(f.source.sys, EISDIR);
    close(folder);
    feed_close(&f);
}

/* ---- Sink -------------------------------------------------------------- */

struct drain {
    struct flv_loop *loop;
    struct cli_sink sink;
    int fds[2];
};

static void written(void *user)
{
    struct drain *d = user;
    flv_loop_stop(d->loop);
}

static void drain_open(struct drain *d)
{
    assert_int_equal(pipe(d->fds), 0);
    assert_int_equal(flv_loop_create(&d->loop, 0, NULL), FLV_OK);
    assert_int_equal(cli_sink_init(&d->sink, d->loop, d->fds[1], NULL), FLV_OK);
    d->sink.written = written;
    d->sink.user = d;
}

static void drain_close(struct drain *d)
{
    cli_sink_deinit(&d->sink);
    flv_loop_destroy(d->loop);
    close(d->fds[1]);
}

/* Reads to the end; the sum proves the order. */
static void *read_numbers(void *arg)
{
    const int *fd = arg;
    FILE *in = fdopen(*fd, "r");
    uint64_t next = 0, n = 0;
    while (fscanf(in, "%lu", &n) == 1 && n == next) {
        next++;
    }
    fclose(in);
    return (void *)(uintptr_t)next;
}

static void output_arrives_whole_and_in_order(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    struct drain d = {0};
    pthread_t reader;
    void *seen = NULL;
    drain_open(&d);
    pthread_create(&reader, NULL, read_numbers, &d.fds[0]);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(flv_buf_addf(&d.sink.filling, "%u\n", i), FLV_OK);
        if (i % 1000 == 0) {
            cli_sink_kick(&d.sink);
        }
        while (cli_sink_is_full(&d.sink)) {
            cli_sink_kick(&d.sink);
            flv_loop_run(d.loop);
        }
    }
    cli_sink_kick(&d.sink);
    while (!cli_sink_is_idle(&d.sink)) {
        flv_loop_run(d.loop);
    }
    drain_close(&d);
    pthread_join(reader, &seen);
    assert_int_equal((uintptr_t)seen, COUNT);
}

static void one_line_does_not_wait_for_the_next(void **state)
{
    (void)state;
    struct drain d = {0};
    char text[8] = "";
    drain_open(&d);
    assert_int_equal(flv_buf_add_str(&d.sink.filling, "one\n"), FLV_OK);
    cli_sink_kick(&d.sink);
    flv_loop_run(d.loop);
    assert_int_equal(read(d.fds[0], text, sizeof text), 4);
    close(d.fds[0]);
    drain_close(&d);
}

static void a_reader_that_left_is_told_as_epipe(void **state)
{
    (void)state;
    struct drain d = {0};
    drain_open(&d);
    close(d.fds[0]);
    assert_int_equal(flv_buf_add_str(&d.sink.filling, "one\n"), FLV_OK);
    cli_sink_kick(&d.sink);
    while (d.sink.sys == 0) {
        flv_loop_run(d.loop);
    }
    assert_int_equal(d.sink.sys, EPIPE);
    assert_int_equal(flv_buf_add_str(&d.sink.filling, "two\n"), FLV_OK);
    cli_sink_kick(&d.sink);
    assert_true(cli_sink_is_idle(&d.sink));
    drain_close(&d);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_with_line_feeds_or_the_input),
        cmocka_unit_test(lines_cross_the_pieces_they_are_read_in),
        cmocka_unit_test(a_line_above_the_ceiling_is_refused),
        cmocka_unit_test(everything_is_one_text_up_to_the_ceiling),
        cmocka_unit_test(a_read_that_fails_ends_the_input),
        cmocka_unit_test(output_arrives_whole_and_in_order),
        cmocka_unit_test(one_line_does_not_wait_for_the_next),
        cmocka_unit_test(a_reader_that_left_is_told_as_epipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
