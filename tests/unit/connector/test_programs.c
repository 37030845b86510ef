
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "spawn.h"
#include "tmpdir.h"

#define HTTP BIN_DIR "/fluvio-connect-http"
#define TEST BIN_DIR "/fluvio-connect-test-connector"
#define GOLDEN FLV_SOURCE_DIR "/tests/unit/connector/golden/"

static struct tmpdir tmp;

static int run(struct spawn *s, const char *const *argv)
{
    spawn_start(s, argv);
    return spawn_wait(s, 20000);
}

#define RUN(s, ...) run((s), (const char *const[]){__VA_ARGS__, NULL})

static void is_golden(const char *text, const char *name)
{
    char path[512];
    static char expected[SPAWN_TEXT_MAX];
    (void)snprintf(path, sizeof(path), GOLDEN "%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(expected, 1, sizeof(expected) - 1, file);
    expected[len] = '\0';
    (void)fclose(file);
    assert_string_equal(text, expected);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", tmp.path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void help_is_in_the_layout_of_the_time(void **state)
{
    (void)state;
    static const char *const ways[] = {"--help", "-h"};
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct spawn s;
        assert_int_equal(RUN(&s, HTTP, ways[i]), 0);
        is_golden(s.text[OUT], "http-help.txt");
        assert_string_equal(s.text[ERR], "");
        spawn_end(&s);
        assert_int_equal(RUN(&s, TEST, "--", ways[i]), 0);
        is_golden(s.text[OUT], "test-connector-help.txt");
        spawn_end(&s);
    }
}

/* The first walkthrough's lines, in its order. */
static void help_has_the_first_options_word_for_word(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "http 0.1.0\n\nUSAGE:\n",
        " [OPTIONS] --endpoint <endpoint> --fluvio-topic <fluvio-topic>\n\n"
        "FLAGS:\n"
        "    -h, --help       Prints help information\n"
        "    -V, --version    Prints version information\n\n"
        "OPTIONS:\n",
        "        --body <body>                                    HTTP body "
        "for the request\n",
        "        --endpoint <endpoint>                            Endpoint "
        "for the http connector\n",
        "        --fluvio-topic <fluvio-topic>                    The topic "
        "where all things should go\n",
        "        --interval <interval>                            Interval "
        "between each request [default: 300]\n",
        "        --method <method>\n"
        "            HTTP method used in the request. Eg. GET, POST, PUT... "
        "[default: GET]\n\n",
        "        --rust-log <rust-log>                            The rust "
        "log level\n",
        "        --smartstream-arraymap <smartstream-arraymap>\n"
        "            Path of arraymap smartstream used as a pre-produce step "
        "If not found file in that path, it will be fetch the\n"
        "            smartmodule with that name if present\n",
        "        --smartstream-filter <smartstream-filter>\n"
        "            Path of filter smartstream used as a pre-produce step If "
        "not found file in that path, it will be fetch the\n"
        "            smartmodule with that name if present\n",
        "        --smartstream-map <smartstream-map>\n"
        "            Path of map smartstream used as a pre-produce step If "
        "not found file in that path, it will be fetch the\n"
        "            smartmodule with that name if present\n",
    };
    struct spawn s;
    assert_int_equal(RUN(&s, HTTP, "--help"), 0);
    const char *at = s.text[OUT];
    for (size_t i = 0; i < COUNT(lines); i++) {
        at = strstr(at, lines[i]);
        if (at == NULL) {
            fail_msg("missing or out of order: %s", lines[i]);
        }
    }
    spawn_end(&s);
}

static void versions_and_descriptions_go_to_stdout(void **state)
{
    (void)state;
    struct spawn s;
    assert_int_equal(RUN(&s, HTTP, "--version"), 0);
    assert_string_equal(s.text[OUT], "http 0.1.0\n");
    spawn_end(&s);
    assert_int_equal(RUN(&s, TEST, "-V"), 0);
    assert_string_equal(s.text[OUT], "test-connector 0.1.0\n");
    spawn_end(&s);
    assert_int_equal(RUN(&s, HTTP, "--describe"), 0);
    is_golden(s.text[OUT], "http-describe.json");
    spawn_end(&s);
    assert_int_equal(RUN(&s, TEST, "--describe"), 0);
    is_golden(s.text[OUT], "test-connector-describe.json");
    spawn_end(&s);
    assert_int_equal(RUN(&s, HTTP, "metadata"), 0);
    is_golden(s.text[OUT], "http-metadata.json");
    spawn_end(&s);
    assert_int_equal(RUN(&s, TEST, "--", "metadata"), 0);
    is_golden(s.text[OUT], "test-connector-metadata.json");
    spawn_end(&s);
}

static void missing_options_are_named(void **state)
{
    (void)state;
    struct spawn s;
    assert_int_equal(RUN(&s, HTTP), 1);
    assert_string_equal(s.text[OUT], "");
    assert_string_equal(
        s.text[ERR],
        "error: The following required arguments were not provided:\n"
        "    --endpoint <endpoint>\n"
        "    --fluvio-topic <fluvio-topic>\n"
        "\n"
        "USAGE:\n"
        "    fluvio-connect-http [OPTIONS] --endpoint <endpoint> "
        "--fluvio-topic <fluvio-topic>\n"
        "\n"
        "For more information try --help\n");
    spawn_end(&s);
}

#define BASE HTTP, "--endpoint=http://127.0.0.1/", "--fluvio-topic=t"

static void bad_values_are_named_with_the_option(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"--interval=often", "--interval"},
        {"--interval=-1", "--interval"},
        {"--interval=0", "--interval"},
        {"--output-parts=half", "--output-parts"},
        {"--output_type=xml", "--output-type"},
        {"--on-http-error=panic", "--on-http-error"},
        {"--timeout=x", "--timeout"},
        {"--connect-timeout=x", "--connect-timeout"},
        {"--max-response-bytes=0", "--max-response-bytes"},
        {"--max-response-bytes=1 Gb", "--max-response-bytes"},
        {"--producer-linger=1", "--producer-linger"},
        {"--linger=soon", "--producer-linger"},
        {"--compression=brotli", "--producer-compression"},
        {"--batch-size=aoeu", "--producer-batch-size"},
        {"--output_format=full", "--output-parts=full"},
        {"--method=GE T", "method"},
        {"--header=nocolon", "header \"nocolon\""},
        {"--endpoints=x", "--endpoint"},
        {"--rust-log=loud=very", "rust-log"},
        {"stray", "stray"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct spawn s;
        int code = RUN(&s, BASE, table[i][0]);
        if (code != 1 || strncmp(s.text[ERR], "error: ", 7) != 0 ||
            strstr(s.text[ERR], table[i][1]) == NULL || s.len[OUT] > 0) {
            fail_msg("%s: exit %d: %s", table[i][0], code, s.text[ERR]);
        }
        spawn_end(&s);
    }
}

static void bad_smartmodule_options_are_told_before_anything_runs(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"--filter=a", "--smartstream-filter=b", "cannot be used with"},
        {"--map=a", "--arraymap=b", "cannot be used with"},
        {"--filter=a", "--on-error=maybe", "on-error: \"maybe\" is none of"},
        {"--filter=a", "--smartmodule-fuel=0", "--smartmodule-fuel"},
        {"--filter=a", "--smartmodule-memory=1", "--smartmodule-memory"},
        {"--filter=a", "--transform={\"uses\":\"b\"}", "--transform"},
        {"--transform={\"uses\":", "", "--transform"},
        {"--filter=/dev/null/x", "--smartmodule-parameters=x", "key:value"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct spawn s;
        const char *second = table[i][1][0] != '\0' ? table[i][1] : NULL;
        int code = RUN(&s, BASE, table[i][0], second);
        if (code != 1 || strncmp(s.text[ERR], "error: ", 7) != 0 ||
            strstr(s.text[ERR], table[i][2]) == NULL) {
            fail_msg("%s %s: exit %d: %s", table[i][0], table[i][1], code,
                     s.text[ERR]);
        }
        spawn_end(&s);
    }
}

static void test_runner_options_are_refused(void **state)
{
    (void)state;
    static const char *const options[] = {"--skip-loop", "--fluvio-test-path=x",
                                          "--runner-opts=x", "--test-name=x",
                                          "--test-opts=x"};
    for (size_t i = 0; i < COUNT(options); i++) {
        struct spawn s;
        assert_int_equal(RUN(&s, TEST, "--topic=t", options[i]), 1);
        assert_non_null(strstr(s.text[ERR], "start the Fluvio test runner, "
                                            "which is not part"));
        spawn_end(&s);
    }
}

#define FLAT "name: n\ntype: http\ntopic: t\nparameters:\n"

static void bad_files_are_told_with_their_place(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {FLAT "  endpoint: http://h/\n  intervall: 3\n",
         "c.yml:6:3: \"intervall\" is not a setting of http; did you mean "
         "\"interval\"?"},
        {FLAT "  endpoint: http://h/\n  interval: often\n",
         "c.yml:6:13: interval: "},
        {FLAT "  endpoint: http://h/\n  output_type: xml\n",
         "c.yml:6:16: output-type: "},
        {FLAT "  endpoint: http://h/\n  config: x\n",
         "c.yml:6:3: \"config\" belongs on a command line, not in a file"},
        {"name: n\ntype: mqtt\ntopic: t\n",
         "c.yml:2:7: the type is \"mqtt\" but this program is the connector "
         "\"http\"; run fluvio-connect-mqtt"},
        {"name: n\ntype: http-sink\ntopic: t\n",
         "c.yml:2:7: the direction is sink, but \"http\" is a source"},
        {FLAT "  endpoint: http://h/\ntransforms:\n  - use: x\n",
         "c.yml:7:5: missing field `uses`"},
        {FLAT "  endpoint: http://h/\n  filter: x\n  map: y\n  aggregate: z\n",
         "cannot be used with"},
        {FLAT "  interval: 3\n", "the setting \"endpoint\" of http is missing"},
        {FLAT "  endpoint: http://h/\n  method: ${{ secrets.NOPE_X }}\n",
         "c.yml:6:11: value not found for secret name NOPE_X"},
        {"a: b: c\n", "c.yml:1:5: this is not YAML"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct spawn s;
        int code = RUN(&s, HTTP, "--config", write_file("c.yml", table[i][0]));
        if (code != 1 || strncmp(s.text[ERR], "error: ", 7) != 0 ||
            strstr(s.text[ERR], table[i][1]) == NULL) {
            fail_msg("%s: exit %d: %s", table[i][0], code, s.text[ERR]);
        }
        spawn_end(&s);
    }
    struct spawn s;
    assert_int_equal(RUN(&s, HTTP, "--config", "/no/such/file.yml"), 1);
    assert_non_null(strstr(s.text[ERR], "cannot read /no/such/file.yml"));
    spawn_end(&s);
}

static void all_mistakes_of_a_file_are_told_at_once(void **state)
{
    (void)state;
    struct spawn s;
    const char *file = write_file("many.yml", FLAT "  intervall: 3\n"
                                                   "  timeout: soon\n"
                                                   "  method: GET\n");
    assert_int_equal(RUN(&s, HTTP, "--config", file), 1);
    assert_non_null(strstr(s.text[ERR], "many.yml:5:3: \"intervall\" is not"));
    assert_non_null(strstr(s.text[ERR], "many.yml:6:12: timeout: "));
    assert_non_null(strstr(s.text[ERR], "\"endpoint\" of http is missing"));
    spawn_end(&s);
    /* What the command line has is not missing in the file. */
    assert_int_equal(RUN(&s, HTTP, "--config", file, "--endpoint=http://h/"),
                     1);
    assert_non_null(strstr(s.text[ERR], "many.yml:6:12: timeout: "));
    assert_null(strstr(s.text[ERR], "missing"));
    spawn_end(&s);
}

static void secrets_are_never_shown(void **state)
{
    (void)state;
    struct spawn s;
    char secrets[128];
    (void)snprintf(secrets, sizeof(secrets), "%s",
                   write_file("secrets", "# comment\n\nTOKEN=hunter2\n"));
    const char *config =
        write_file("c.yml", FLAT "  endpoint: http://h/\n"
                                 "  interval: ${{ secrets.TOKEN }}\n");
    assert_int_equal(RUN(&s, HTTP, "--config", config, "--secrets", secrets),
                     1);
    assert_null(strstr(s.text[ERR], "hunter2"));
    assert_non_null(strstr(s.text[ERR], "c.yml:6:13: the secret in "
                                        "\"interval\" is not a valid value"));
    spawn_end(&s);
    write_file("secrets", "TOKEN\n");
    assert_int_equal(RUN(&s, HTTP, "--config", config, "--secrets", secrets),
                     1);
    assert_non_null(
        strstr(s.text[ERR], "secrets:1: a line of a secrets file is"));
    spawn_end(&s);
    assert_int_equal(RUN(&s, HTTP, "--config", config, "--secrets", "/nope"),
                     1);
    assert_non_null(strstr(s.text[ERR], "cannot read the secrets file /nope"));
    spawn_end(&s);
}

static void no_cluster_is_told_within_two_seconds(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    char option[96], address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u",
                   ntohs(at.sin_port));
    (void)snprintf(option, sizeof(option), "--cluster=%s", address);
    /* Refused, then silent: listening, and nobody ever answers. */
    for (int i = 0; i < 2; i++) {
        int late = 0;
        /* What else the machine does makes one or the other late: where the
         * first is, three of the next four are not. */
        for (int tries = 0; tries < 5 && (tries == 0 || late > 0); tries++) {
            struct spawn s;
            uint64_t before = flv_clock_mono_ms();
            assert_int_equal(RUN(&s, BASE, option), 1);
            late += flv_clock_mono_ms() - before >= 2300;
            assert_non_null(strstr(s.text[ERR], "error: no Fluvio cluster"));
            assert_non_null(strstr(s.text[ERR], address));
            assert_non_null(strstr(s.text[ERR], "`fluvio cluster start`"));
            spawn_end(&s);
        }
        assert_true(late <= 2);
        assert_int_equal(listen(fd, 16), 0);
    }
    (void)close(fd);
}

static void no_profile_is_told(void **state)
{
    (void)state;
    struct spawn s;
    assert_int_equal(RUN(&s, BASE), 1);
    assert_non_null(strstr(s.text[ERR], "`fluvio cluster start`"));
    assert_non_null(strstr(s.text[ERR], "--cluster HOST:PORT"));
    spawn_end(&s);
}

static int setup(void **state)
{
    (void)state;
    char profile[128];
    tmpdir_make(&tmp, "programs");
    (void)snprintf(profile, sizeof(profile), "%s/no-profile", tmp.path);
    (void)unsetenv("RUST_LOG");
    return setenv("FLV_PROFILE_PATH", profile, 1);
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_remove(&tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_in_the_layout_of_the_time),
        cmocka_unit_test(help_has_the_first_options_word_for_word),
        cmocka_unit_test(versions_and_descriptions_go_to_stdout),
        cmocka_unit_test(missing_options_are_named),
        cmocka_unit_test(bad_values_are_named_with_the_option),
        cmocka_unit_test(bad_smartmodule_options_are_told_before_anything_runs),
        cmocka_unit_test(test_runner_options_are_refused),
        cmocka_unit_test(bad_files_are_told_with_their_place),
        cmocka_unit_test(all_mistakes_of_a_file_are_told_at_once),
        cmocka_unit_test(secrets_are_never_shown),
        cmocka_unit_test(no_cluster_is_told_within_two_seconds),
        cmocka_unit_test(no_profile_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
