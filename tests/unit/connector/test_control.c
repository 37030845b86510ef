#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cm.h"
#include "connector/control.h"
#include "loop/lines.h"
#include "tmpdir.h"

/* A control socket with one peer, which collects what it is told. */
struct rig {
    struct flv_loop *loop;
    struct flv_control control;
    struct flv_lines *peer;
    struct tmpdir tmp;
    char log[200], exit[200];
    struct flv_control_counts counts;
    char last[4096]; /* the last line */
    unsigned lines;
    bool ended;
    char commands[32]; /* p, r, d */
};

static const char *const counters[] = {"polls", NULL};
static const struct flv_connector type = {
    .name = "t\"est", .version = "1.2.3", .counters = counters};

static void on_command(void *arg, enum flv_control_command cmd)
{
    struct rig *r = arg;
    size_t n = strlen(r->commands);
    r->commands[n] = "prd"[cmd];
}

static void on_counts(void *arg, struct flv_control_counts *out)
{
    *out = ((struct rig *)arg)->counts;
}

static void on_line(void *ctx, struct flv_slice line)
{
    struct rig *r = ctx;
    (void)snprintf(r->last, sizeof(r->last), "%.*s", (int)line.len,
                   (const char *)line.data);
    r->lines++;
}

static void on_end(void *ctx, const struct flv_err *err)
{
    (void)err;
    ((struct rig *)ctx)->ended = true;
}

static void wait_for(struct rig *r, const char *needle)
{
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (strstr(r->last, needle) == NULL) {
        (void)flv_loop_turn(r->loop, true);
        if (flv_clock_mono_ms() > limit) {
            fail_msg("waited for %s, have %s", needle, r->last);
        }
    }
}

static void connect_peer(struct rig *r, const struct sockaddr_un *addr)
{
    struct flv_err err = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)),
                     0);
    const struct flv_lines_conf conf = {.fd = fd,
                                        .line_max = sizeof(r->last) - 1,
                                        .pending_max = 65536,
                                        .line = on_line,
                                        .end = on_end,
                                        .ctx = r};
    assert_int_equal(flv_lines_open(&r->peer, r->loop, &conf, &err), FLV_OK);
}

static void set_up(struct rig *r)
{
    struct flv_err err = {0};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    *r = (struct rig){.loop = NULL};
    tmpdir_make(&r->tmp, "control");
    (void)snprintf(r->log, sizeof(r->log), "%s/log", r->tmp.path);
    (void)snprintf(r->exit, sizeof(r->exit), "%s/exit", r->tmp.path);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/sock",
                   r->tmp.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(flv_loop_create(&r->loop, 0, &err), FLV_OK);
    const struct flv_control_conf conf = {.loop = r->loop,
                                          .type = &type,
                                          .fd = fd,
                                          .log_file = r->log,
                                          .command = on_command,
                                          .counts = on_counts,
                                          .arg = r};
    assert_int_equal(flv__control_open(&r->control, &conf, &err), FLV_OK);
    connect_peer(r, &addr);
    wait_for(r, "\"state\":\"starting\"");
}

static void tear_down(struct rig *r)
{
    flv_lines_close(r->peer);
    flv__control_close(&r->control);
    flv_loop_run(r->loop);
    flv_loop_destroy(r->loop);
    tmpdir_remove(&r->tmp);
}

static void say(struct rig *r, const char *line)
{
    r->last[0] = '\0';
    assert_int_equal(flv_lines_send(r->peer, flv_slice_str(line), NULL),
                     FLV_OK);
}

static void a_peer_is_told_at_once_who_it_is(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "\"pid\":%ld,", (long)getpid());
    wait_for(&r, pid);
    wait_for(&r, "{\"control\":1,\"type\":\"t\\\"est\",\"version\":\"1.2.3\"");
    wait_for(&r, "\"own\":{\"polls\":0},\"stages\":[]}");
    tear_down(&r);
}

static void running_needs_a_source_that_is_well(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    assert_string_equal(flv__control_word(&r.control), "starting");
    flv__control_source(&r.control, NULL, 0);
    wait_for(&r, "\"state\":\"running\"");
    tear_down(&r);
}

/* A sink asks its far side for positions before it is up. */
static void trouble_shows_while_it_starts(void **state)
{
    struct rig r;
    struct flv_err err = {0};
    (void)state;
    set_up(&r);
    (void)flv_fail(&err, FLV_E_CONNECT, "no database");
    flv__control_source(&r.control, &err, 500);
    wait_for(&r, "\"state\":\"retrying\"");
    wait_for(&r, "\"cause\":\"no database\"");
    flv__control_source(&r.control, NULL, 0);
    wait_for(&r, "\"state\":\"starting\"");
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    wait_for(&r, "\"state\":\"running\"");
    tear_down(&r);
}

static void an_acknowledged_record_is_proof_enough(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    r.counts.pipeline.acked = 1;
    wait_for(&r, "\"state\":\"running\""); /* the tick finds it */
    tear_down(&r);
}

static void trouble_keeps_its_first_cause_and_counts_tries(void **state)
{
    struct rig r;
    struct flv_err first = {0}, second = {0};
    (void)state;
    set_up(&r);
    (void)flv_fail(&first, FLV_E_CONNECT, "the first");
    (void)flv_fail(&second, FLV_E_TIMEOUT, "the second");
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    flv__control_source(&r.control, NULL, 0);
    flv__control_source(&r.control, &first, 500);
    flv__control_source(&r.control, &second, 500);
    wait_for(&r, "\"state\":\"retrying\"");
    wait_for(&r, "\"attempt\":2,");
    wait_for(&r, "\"cause\":\"the first\"");
    assert_null(strstr(r.last, "\"next_ms\":0,"));
    flv__control_source(&r.control, NULL, 0);
    wait_for(&r, "\"state\":\"running\"");
    wait_for(&r, "\"cause\":\"\"");
    tear_down(&r);
}

static void a_lost_cluster_shows_when_nothing_is_under_way(void **state)
{
    struct rig r;
    struct flv_err err = {0};
    (void)state;
    set_up(&r);
    (void)flv_fail(&err, FLV_E_CLOSED, "127.0.0.1:9003: closed");
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    flv__control_source(&r.control, NULL, 0);
    wait_for(&r, "\"state\":\"running\"");
    flv__control_link(&r.control, &err);
    wait_for(&r, "\"state\":\"retrying\"");
    wait_for(&r, "\"cause\":\"127.0.0.1:9003: closed\"");
    /* A record that is safe says nothing of the link. */
    flv__control_stream(&r.control, NULL);
    assert_string_equal(flv__control_word(&r.control), "retrying");
    flv__control_link(&r.control, NULL);
    wait_for(&r, "\"state\":\"running\"");
    tear_down(&r);
}

static void a_stall_is_a_state_with_a_reason(void **state)
{
    struct rig r;
    struct flv_err err = {0};
    (void)state;
    set_up(&r);
    (void)flv_fail(&err, FLV_E_TIMEOUT, "3 records wait");
    flv__control_phase(&r.control, FLV_CONTROL_UP);
    flv__control_source(&r.control, NULL, 0);
    flv__control_stall(&r.control, &err);
    wait_for(&r, "\"state\":\"stalled\"");
    wait_for(&r, "\"cause\":\"3 records wait\"");
    flv__control_stall(&r.control, NULL);
    wait_for(&r, "\"state\":\"running\"");
    tear_down(&r);
}

static void commands_arrive_and_are_answered(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    say(&r, "{\"cmd\":\"status\"}\n");
    wait_for(&r, "\"state\":");
    say(&r, "{\"cmd\":\"pause\"}\n");
    wait_for(&r, "\"state\":");
    say(&r, "{\"cmd\":\"resume\"}\n{\"cmd\":\"drain\"}\n");
    wait_for(&r, "\"state\":");
    for (int i = 0; i < 100 && strlen(r.commands) < 3; i++) {
        (void)flv_loop_turn(r.loop, false);
    }
    assert_string_equal(r.commands, "prd");
    tear_down(&r);
}

static void nonsense_is_answered_with_what_is_known(void **state)
{
    static const char *const lines[] = {
        "\n",         "{\n",  "[]\n", "{\"cmd\":[]}\n", "{\"cmd\":\"jump\"}\n",
        "\xff\xfe\n", "cmd\n"};
    struct rig r;
    (void)state;
    set_up(&r);
    for (size_t i = 0; i < COUNT(lines); i++) {
        say(&r, lines[i]);
        wait_for(&r, "{\"error\":\"send ");
    }
    assert_string_equal(r.commands, "");
    tear_down(&r);
}

static void an_endless_line_ends_the_talk(void **state)
{
    struct rig r;
    char text[FLV_CONTROL_LINE_MAX + 10];
    (void)state;
    set_up(&r);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    say(&r, text);
    say(&r, text);
    uint64_t limit = flv_clock_mono_ms() + 10000;
    while (!r.ended && flv_clock_mono_ms() < limit) {
        (void)flv_loop_turn(r.loop, true);
    }
    assert_true(r.ended);
    tear_down(&r);
}

static void counters_are_pushed_when_they_move(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r);
    r.counts.own[0] = 7;
    r.counts.pipeline.stages.in = 9;
    r.counts.stage_count = 2;
    r.counts.stages[0] = (struct flv_control_stage){
        .name = "protocol", .n = {.in = 4, .passed = 3, .failed = 1}};
    r.counts.stages[1] = (struct flv_control_stage){
        .name = "smartmodule-1", .module = "a\"b", .n = {.filtered = 2}};
    wait_for(&r, "\"own\":{\"polls\":7}");
    wait_for(&r, "\"stages\":[{\"name\":\"protocol\",\"in\":4,\"passed\":3,"
                 "\"filtered\":0,\"failed\":1},{\"name\":\"smartmodule-1\","
                 "\"module\":\"a\\\"b\",\"in\":0,\"passed\":0,\"filtered\":2,"
                 "\"failed\":0}]}");
    wait_for(&r, "\"counters\":{\"in\":9,");
    tear_down(&r);
}

static void the_exit_file_is_whole(void **state)
{
    struct rig r;
    struct flv_err err = {0};
    char text[2048];
    (void)state;
    set_up(&r);
    (void)flv_fail(&err, FLV_E_IO, "a \"cause\"");
    r.counts.pipeline.acked = 4;
    flv__control_exit(&(struct flv_control_exit){.path = r.exit,
                                                 .type = &type,
                                                 .code = 1,
                                                 .reason = "failed",
                                                 .cause = &err,
                                                 .counts = &r.counts});
    FILE *f = fopen(r.exit, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    (void)fclose(f);
    assert_non_null(strstr(text, "\"code\":1,\"reason\":\"failed\","));
    assert_non_null(strstr(text, "\"cause\":\"a \\\"cause\\\"\""));
    assert_non_null(strstr(text, "\"acked\":4,"));
    assert_non_null(strstr(text, "]}\n"));
    struct stat st;
    assert_int_equal(stat(r.exit, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    tear_down(&r);
}

static void without_a_manager_nothing_is_opened(void **state)
{
    struct flv_control c;
    struct flv_loop *loop;
    (void)state;
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    const struct flv_control_conf conf = {.loop = loop,
                                          .type = &type,
                                          .fd = -1,
                                          .command = on_command,
                                          .counts = on_counts,
                                          .arg = &(struct rig){.ended = false}};
    assert_int_equal(flv__control_open(&c, &conf, NULL), FLV_OK);
    flv__control_phase(&c, FLV_CONTROL_UP);
    flv__control_source(&c, NULL, 0);
    flv__control_exit(&(struct flv_control_exit){.path = NULL});
    flv__control_close(&c);
    flv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_told_at_once_who_it_is),
        cmocka_unit_test(running_needs_a_source_that_is_well),
        cmocka_unit_test(trouble_shows_while_it_starts),
        cmocka_unit_test(an_acknowledged_record_is_proof_enough),
        cmocka_unit_test(trouble_keeps_its_first_cause_and_counts_tries),
        cmocka_unit_test(a_lost_cluster_shows_when_nothing_is_under_way),
        cmocka_unit_test(a_stall_is_a_state_with_a_reason),
        cmocka_unit_test(commands_arrive_and_are_answered),
        cmocka_unit_test(nonsense_is_answered_with_what_is_known),
        cmocka_unit_test(an_endless_line_ends_the_talk),
        cmocka_unit_test(counters_are_pushed_when_they_move),
        cmocka_unit_test(the_exit_file_is_whole),
        cmocka_unit_test(without_a_manager_nothing_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
