/* The tables behind the command line, checked without a cluster. */
#include "cli/cli.h"
#include "cli/smart.h"
#include "cm.h"

static void check_command(const struct flv_cmd *cmd)
{
    struct flv_err err = {0};
    assert_non_null(cmd->about);
    assert_true(cmd->run != NULL || cmd->commands != NULL);
    if (cmd->opts != NULL &&
        flv_opt_check_table(cmd->opts, cmd->conf_size, &err) != FLV_OK) {
        fail_msg("%s: %s", cmd->name, err.text);
    }
    for (size_t i = 0; cmd->commands != NULL && cmd->commands[i] != NULL; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(cmd->commands[i]->name,
                                    cmd->commands[k]->name);
        }
        check_command(cmd->commands[i]);
    }
}

static void every_command_is_whole(void **state)
{
    (void)state;
    check_command(&cli_cmd_root);
}

/* Parses and returns the outcome; the words are parted by blanks. */
static enum flv_args_outcome outcome_of(const char *line)
{
    char copy[256];
    char *argv[32] = {0};
    int argc = 0;
    struct flv_args args;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *p = copy; *p != '\0' && argc < 31;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p == ' ') {
            *p++ = '\0';
        }
    }
    flv_rc rc = flv_args_parse(&args, &cli_cmd_root, argc, argv, NULL);
    enum flv_args_outcome outcome = args.outcome;
    assert_int_equal(rc == FLV_OK, outcome != FLV_ARGS_ERROR);
    flv_args_deinit(&args);
    return outcome;
}

static void both_generations_of_spellings_parse(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "fluvio consume t -B",
        "fluvio consume -B t",
        "fluvio consume t -B 5 -d",
        "fluvio consume t --beginning",
        "fluvio consume t -T -d",
        "fluvio consume t --tail=3",
        "fluvio consume t -T3",
        "fluvio consume t -o 4 --end-offset 9",
        "fluvio consume t --offset 4 --end 9",
        "fluvio consume t --tableformat f",
        "fluvio consume t --table-format f -O FULL_TABLE",
        "fluvio consume t --extra-params a=b -e c=d",
        "fluvio consume t --sm_path f",
        "fluvio consume t --filter f",
        "fluvio consume t -p 0 -p 1",
        "fluvio consume t -Akd",
        "fluvio consume t -Bd",
        "fluvio consume t -kBAd",
        "fluvio topic list -O JSON",
        "fluvio -c h:1 consume t",
        "fluvio produce t --transform {}",
        "fluvio produce t --transforms-file f",
        "fluvio topic create --config=./t.yaml",
        "fluvio cluster start --local",
        "fluvio cluster start --sys",
        "fluvio cluster delete --local",
        "fluvio profile",
        "fluvio profile current",
        "fluvio version -j",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (outcome_of(lines[i]) != FLV_ARGS_RUN) {
            fail_msg("does not parse: %s", lines[i]);
        }
    }
    assert_int_equal(outcome_of("fluvio"), FLV_ARGS_HELP);
    assert_int_equal(outcome_of("fluvio help consume"), FLV_ARGS_HELP);
    assert_int_equal(outcome_of("fluvio --version"), FLV_ARGS_VERSION);
    assert_int_equal(outcome_of("fluvio cloud login"), FLV_ARGS_EXTERNAL);
    assert_int_equal(outcome_of("fluvio consume"), FLV_ARGS_ERROR);
    assert_int_equal(outcome_of("fluvio consume t -H"), FLV_ARGS_ERROR);
    assert_int_equal(outcome_of("fluvio topic list x"), FLV_ARGS_ERROR);
}

static void isolation_and_delivery_have_many_spellings(void **state)
{
    (void)state;
    enum flv_isolation isolation = FLV_READ_UNCOMMITTED;
    enum flv_delivery delivery = FLV_AT_LEAST_ONCE;
    assert_int_equal(cli_parse_isolation("ReadCommitted", &isolation, NULL),
                     FLV_OK);
    assert_int_equal(isolation, FLV_READ_COMMITTED);
    assert_int_equal(cli_parse_isolation("read_uncommitted", &isolation, NULL),
                     FLV_OK);
    assert_int_equal(isolation, FLV_READ_UNCOMMITTED);
    assert_int_equal(cli_parse_isolation("read", &isolation, NULL),
                     FLV_E_USAGE);
    assert_int_equal(cli_parse_delivery("at_most_once", &delivery, NULL),
                     FLV_OK);
    assert_int_equal(delivery, FLV_AT_MOST_ONCE);
    assert_int_equal(cli_parse_delivery("AtLeastOnce", &delivery, NULL),
                     FLV_OK);
    assert_int_equal(delivery, FLV_AT_LEAST_ONCE);
    assert_int_equal(cli_parse_delivery("exactly-once", &delivery, NULL),
                     FLV_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_whole),
        cmocka_unit_test(both_generations_of_spellings_parse),
        cmocka_unit_test(isolation_and_delivery_have_many_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
