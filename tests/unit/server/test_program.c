#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

/* fluvio-server itself: options, exit codes, signals. */

#define WORDS_MAX 16

struct run {
    int status;      /* as of waitpid */
    char text[4096]; /* stdout and stderr together */
};

static pid_t spawn(const char *const *words, int *out)
{
    const char *argv[WORDS_MAX + 2] = {FLV_SERVER_PROGRAM};
    int pipes[2];
    for (int i = 0; words[i] != NULL; i++) {
        assert_true(i < WORDS_MAX);
        argv[i + 1] = words[i];
    }
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], 1);
        dup2(pipes[1], 2);
        union {
            const char **given;
            char *const *wanted;
        } args = {.given = argv};
        execv(FLV_SERVER_PROGRAM, args.wanted);
        _exit(127);
    }
    close(pipes[1]);
    *out = pipes[0];
    return pid;
}

static void finish(pid_t pid, int out, struct run *r)
{
    size_t len = strlen(r->text);
    ssize_t n;
    while ((n = read(out, r->text + len, sizeof r->text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    r->text[len] = '\0';
    close(out);
    assert_int_equal(waitpid(pid, &r->status, 0), pid);
}

#define RUN(r, ...)                                                            \
    do {                                                                       \
        const char *const words_[] = {__VA_ARGS__, NULL};                      \
        int out_;                                                              \
        pid_t pid_ = spawn(words_, &out_);                                     \
        (r)->text[0] = '\0';                                                   \
        finish(pid_, out_, (r));                                               \
    } while (0)

static void expect(const struct run *r, int code, const char *words)
{
    if (!WIFEXITED(r->status) || WEXITSTATUS(r->status) != code ||
        strstr(r->text, words) == NULL) {
        fail_msg("status %x, text: %s", (unsigned)r->status, r->text);
    }
}

/* Reads until the line that says that clients may connect. */
static void await_ready(int out, struct run *r)
{
    size_t len = 0;
    r->text[0] = '\0';
    while (strstr(r->text, "ready sc=") == NULL ||
           strchr(strstr(r->text, "ready sc="), '\n') == NULL) {
        ssize_t n = read(out, r->text + len, sizeof r->text - 1 - len);
        if (n <= 0) {
            fail_msg("not ready: %s", r->text);
        }
        len += (size_t)n;
        r->text[len] = '\0';
    }
}

static int setup(void **state)
{
    static struct tmpdir t;
    tmpdir_make(&t, "program");
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    tmpdir_remove(*state);
    return 0;
}

static void help_and_version_answer(void **state)
{
    (void)state;
    struct run r;
    RUN(&r, "--help");
    expect(&r, 0, "--data-dir");
    RUN(&r, "--version");
    expect(&r, 0, "fluvio-server " FLV_VERSION);
}

static void wrong_command_line_is_two(void **state)
{
    (void)state;
    struct run r;
    RUN(&r, "--data-dri", "x");
    expect(&r, 2, "--data-dir");
    RUN(&r, "--sc-port", "70000");
    expect(&r, 2, "70000");
    RUN(&r, "--log-level", "loud");
    expect(&r, 2, "loud");
}

static void other_machines_need_insecure(void **state)
{
    const struct tmpdir *t = *state;
    struct run r;
    RUN(&r, "--bind", "0.0.0.0", "--data-dir", t->sub);
    expect(&r, 1, "--insecure");
}

static void an_address_for_metrics_has_a_host_and_a_port(void **state)
{
    const struct tmpdir *t = *state;
    static const char *const wrong[] = {
        "9100", ":9100", "localhost:", "localhost:70000", "::1:9100"};
    struct run r;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        RUN(&r, "--metrics-addr", wrong[i], "--data-dir", t->sub);
        expect(&r, 1, "--metrics-addr");
        expect(&r, 1, wrong[i]);
    }
    RUN(&r, "--metrics-addr", "192.0.2.1:9100", "--data-dir", t->sub,
        "--sc-port", "0", "--spu-port", "0");
    expect(&r, 1, "port 9100 of 192.0.2.1");
}

static void limits_that_contradict_each_other_are_a_sentence(void **state)
{
    const struct tmpdir *t = *state;
    struct run r;
    RUN(&r, "--memory-max", "1Mi", "--data-dir", t->sub);
    expect(&r, 1, "--memory-max");
}

static void serves_on_free_ports_until_told_to_stop(void **state)
{
    const struct tmpdir *t = *state;
    const char *const words[] = {"--data-dir", t->sub, "--sc-port", "0",
                                 "--spu-port", "0",    NULL};
    struct run r;
    struct run other;
    int out;
    pid_t pid = spawn(words, &out);
    await_ready(out, &r);
    char path[256];
    char json[512] = "";
    snprintf(path, sizeof path, "%s/server.json", t->sub);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(json, sizeof json, f));
    fclose(f);
    unsigned sc = 0;
    assert_int_equal(sscanf(strstr(r.text, "ready sc="), "ready sc=%u", &sc),
                     1);
    char want[64];
    snprintf(want, sizeof want, "\"sc_port\":%u,", sc);
    assert_non_null(strstr(json, want));
    struct link l;
    link_open(&l, (uint16_t)sc);
    assert_int_equal(rig_create_topic(&l, "t", 1), 0);
    link_close(&l);

    RUN(&other, "--data-dir", t->sub, "--sc-port", "0", "--spu-port", "0");
    snprintf(want, sizeof want, "pid %d", (int)pid);
    expect(&other, 1, want);
    RUN(&other, "--check", t->sub);
    expect(&other, 1, want);

    kill(pid, SIGTERM);
    finish(pid, out, &r);
    expect(&r, 0, "");
    assert_int_not_equal(access(path, F_OK), 0);
    RUN(&other, "--check", t->sub);
    expect(&other, 0, "t-0: ok");
}

static void check_reports_damage(void **state)
{
    const struct tmpdir *t = *state;
    struct rig rig;
    struct link sc;
    struct link spu;
    struct flv_buf buf;
    struct run r;
    rig_init(&rig);
    rig.conf.data_dir = t->sub;
    rig_start(&rig);
    link_open(&sc, rig.sc);
    link_open(&spu, rig.spu);
    flv_buf_init(&buf, 1u << 20);
    rig_batch(&buf, 3, 100, FLV_CODEC_NONE, -1, -1);
    assert_int_equal(rig_create_topic(&sc, "t", 1), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_produce(&spu, "t", 0, flv_buf_slice(&buf), NULL),
                         0);
    }
    link_close(&sc);
    link_close(&spu);
    rig_stop(&rig);
    rig_deinit(&rig);
    flv_buf_deinit(&buf);
    char path[256];
    snprintf(path, sizeof path, "%s/topics/2/0/%020d.log", t->sub, 0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 400), 6);
    close(fd);
    RUN(&r, "--check", t->sub);
    expect(&r, 1, "t-0: DAMAGED");
    RUN(&r, "--check", t->path);
    expect(&r, 1, "not a fluvio-server data directory");
}

static void second_signal_ends_it_at_once(void **state)
{
    const struct tmpdir *t = *state;
    const char *const words[] = {"--data-dir", t->sub, "--sc-port", "0",
                                 "--spu-port", "0",    NULL};
    struct run r;
    int out;
    int status;
    pid_t pid = spawn(words, &out);
    await_ready(out, &r);
    /* While it stands still, both signals come to wait: it then meets the
     * second one before it could act on the first. */
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    kill(pid, SIGTERM);
    kill(pid, SIGINT);
    kill(pid, SIGCONT);
    finish(pid, out, &r);
    assert_true(WIFEXITED(r.status));
    assert_in_range(WEXITSTATUS(r.status), 129, 192);
}

static void read_only_folder_is_a_sentence(void **state)
{
    const struct tmpdir *t = *state;
    struct run r;
    /* /proc refuses everybody, the superuser included. */
    (void)t;
    RUN(&r, "--data-dir", "/proc/fluvio", "--sc-port", "0");
    expect(&r, 1, "/proc/fluvio");
    RUN(&r, "--data-dir", "/proc/sys", "--sc-port", "0");
    expect(&r, 1, "/proc/sys");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(help_and_version_answer),
        T(wrong_command_line_is_two),
        T(other_machines_need_insecure),
        T(an_address_for_metrics_has_a_host_and_a_port),
        T(limits_that_contradict_each_other_are_a_sentence),
        T(serves_on_free_ports_until_told_to_stop),
        T(check_reports_damage),
        T(second_signal_ends_it_at_once),
        T(read_only_folder_is_a_sentence),
    };
    cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
