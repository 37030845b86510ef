#include "cm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/opt.h"

/* ---- A connector in the old layout ------------------------------------- */

struct http_conf {
    char *endpoint, *method, *body, *topic, *token;
    uint64_t interval_ms;
    struct flv_list headers;
    int parts;
    bool verbose;
};

static const char *const parts_choices[] = {"body", "full", NULL};
static const char *const header_aliases[] = {"headers", NULL};

static const struct flv_opt http_opts[] = {
    {.name = "body",
     FLV_STR(struct http_conf, body),
     .help = "Request body for the request"},
    {.name = "endpoint",
     FLV_STR(struct http_conf, endpoint),
     .flags = FLV_OPT_REQUIRED,
     .min = 1,
     .help = "Endpoint for the http connector"},
    {.name = "fluvio-topic",
     FLV_STR(struct http_conf, topic),
     .flags = FLV_OPT_REQUIRED,
     .help = "The topic where all events should go"},
    {.name = "header",
     FLV_LIST(struct http_conf, headers),
     .aliases = header_aliases,
     .help = "Header of the request, such as Name:Value"},
    {.name = "interval",
     FLV_DURATION(struct http_conf, interval_ms),
     .unit_ms = 1000,
     .min = 1,
     .max = 86400000,
     .fallback = "300",
     .help = "Interval between each request"},
    {.name = "method",
     FLV_STR(struct http_conf, method),
     .fallback = "GET",
     .help = "The http method used in the request"},
    {.name = "output_parts",
     FLV_CHOICE(struct http_conf, parts),
     .choices = parts_choices,
     .fallback = "body",
     .help = "What becomes the record: only the body of the answer, or the "
             "status line and all headers of the answer in front of it"},
    {.name = "token",
     FLV_STR(struct http_conf, token),
     .flags = FLV_OPT_SECRET,
     .env = "FLV_TEST_TOKEN",
     .max = 8,
     .help = "Secret of the endpoint"},
    {.name = "verbose",
     FLV_FLAG(struct http_conf, verbose),
     .letter = 'v',
     .help = "Tell more"},
    {.name = NULL},
};

static const struct flv_cmd http_cmd = {.name = "fluvio-connect-http",
                                        .version = "0.1.0",
                                        .style = FLV_HELP_CLAP2,
                                        .opts = http_opts,
                                        .conf_size = sizeof(struct http_conf)};

/* ---- A tool with subcommands ------------------------------------------- */

struct tool_conf {
    char *cluster;
};

struct create_conf {
    char *name, *assignment;
    uint64_t partitions, replication;
    uint64_t retention_ms, segment_bytes;
    int64_t start;
    bool dry_run, ignore;
    uint64_t tail;
    struct flv_list words;
};

static const struct flv_opt tool_opts[] = {
    {.name = "cluster",
     FLV_STR(struct tool_conf, cluster),
     .letter = 'c',
     .arg = "HOST:PORT",
     .help = "Address of cluster"},
    {.name = NULL},
};

static const struct flv_opt create_opts[] = {
    {.name = "name",
     FLV_STR(struct create_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the Topic to create"},
    {.name = "words",
     FLV_LIST(struct create_conf, words),
     .flags = FLV_OPT_POSITIONAL,
     .help = "More words"},
    {.name = "partitions",
     FLV_U64(struct create_conf, partitions),
     .letter = 'p',
     .min = 1,
     .max = 1000,
     .group = "how",
     .fallback = "1",
     .help = "The number of Partitions to give the Topic"},
    {.name = "replica-assignment",
     FLV_STR(struct create_conf, assignment),
     .letter = 'f',
     .arg = "FILE",
     .group = "how",
     .help = "Replica assignment file"},
    {.name = "start",
     FLV_I64(struct create_conf, start),
     .letter = 's',
     .help = "Where to start"},
    {.name = "tail",
     FLV_U64(struct create_conf, tail),
     .letter = 'T',
     .bare = "10",
     .help = "From the last records on"},
    {.name = "retention-time",
     FLV_DURATION(struct create_conf, retention_ms),
     .help = "Retention time"},
    {.name = "segment-size",
     FLV_SIZE(struct create_conf, segment_bytes),
     .max = 1000000000,
     .help = "Segment size"},
    {.name = "dry-run",
     FLV_FLAG(struct create_conf, dry_run),
     .letter = 'd',
     .help = "Validates configuration, does not provision"},
    {.name = "ignore",
     FLV_FLAG(struct create_conf, ignore),
     .letter = 'i',
     .flags = FLV_OPT_HIDDEN},
    {.name = NULL},
};

static const char *const list_aliases[] = {"ls", NULL};

static const struct flv_cmd create_cmd = {
    .name = "create",
    .about = "Create a Topic with the given name",
    .opts = create_opts,
    .conf_size = sizeof(struct create_conf)};
static const struct flv_cmd list_cmd = {.name = "list",
                                        .aliases = list_aliases,
                                        .about = "List all of the Topics\nand "
                                                 "more about it"};
static const struct flv_cmd *const topic_cmds[] = {&create_cmd, &list_cmd,
                                                   NULL};
static const struct flv_cmd topic_cmd = {
    .name = "topic",
    .about = "Manage and view Topics",
    .commands = topic_cmds,
};
static const struct flv_cmd hidden_cmd = {.name = "secret",
                                          .flags = FLV_CMD_HIDDEN};
static const struct flv_cmd *const tool_cmds[] = {&topic_cmd, &hidden_cmd,
                                                  NULL};
static const struct flv_cmd tool_cmd = {.name = "fluvio",
                                        .about = "Fluvio Command Line "
                                                 "Interface",
                                        .version = "0.1.0",
                                        .opts = tool_opts,
                                        .conf_size = sizeof(struct tool_conf),
                                        .commands = tool_cmds};

/* ---- Helpers ----------------------------------------------------------- */

#define ARGC_MAX 24
static struct flv_args args;
static struct flv_err err;

/* Parses words separated by blanks; '~' in a word stands for a blank. */
static flv_rc parse(const struct flv_cmd *cmd, const char *line)
{
    static char copy[1000];
    static char *argv[ARGC_MAX];
    int argc = 0;

    snprintf(copy, sizeof(copy), "prog %s", line);
    char *rest = NULL;
    for (char *p = strtok_r(copy, " ", &rest); p != NULL;
         p = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < ARGC_MAX - 1);
        for (char *q = p; *q != '\0'; q++) {
            *q = *q == '~' ? ' ' : *q;
        }
        argv[argc++] = p;
    }
    argv[argc] = NULL;
    memset(&err, 0, sizeof(err));
    return flv_args_parse(&args, cmd, argc, argv, &err);
}

static const char *text(void)
{
    return (const char *)args.text.data;
}

static int tear_down(void **state)
{
    (void)state;
    flv_args_deinit(&args);
    unsetenv("FLV_TEST_TOKEN");
    flv__mem_fail_at(0);
    return 0;
}

#define HTTP_USAGE                                                             \
    "USAGE:\n"                                                                 \
    "    fluvio-connect-http [FLAGS] [OPTIONS] --endpoint <endpoint> "         \
    "--fluvio-topic <fluvio-topic>\n"
#define HTTP_TRAILER "\n" HTTP_USAGE "\nFor more information try --help\n"
#define CREATE_TRAILER                                                         \
    "\nUsage: fluvio topic create [OPTIONS] <NAME> [WORDS]...\n\n"             \
    "For more information, try '--help'.\n"

/* ---- Forms ------------------------------------------------------------- */

static void every_form_of_an_option_is_read(void **state)
{
    static const char *const lines[] = {
        "topic create -p 7 -d x",
        "topic create --partitions 7 -d x",
        "topic create --partitions=7 -d x",
        "topic create -p7 -d x",
        "topic create -p=7 -d x",
        "topic create x -dp7",
        "topic create x -dp 7",
        "topic create -d --partitions=7 -- x",
        "-c a:1 topic create x -idp=7",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        const struct create_conf *conf;

        assert_int_equal(parse(&tool_cmd, lines[i]), FLV_OK);
        assert_int_equal(args.outcome, FLV_ARGS_RUN);
        assert_int_equal(args.depth, 3);
        assert_ptr_equal(flv_args_cmd(&args), &create_cmd);
        conf = flv_args_conf(&args);
        assert_int_equal(conf->partitions, 7);
        assert_true(conf->dry_run);
        assert_string_equal(conf->name, "x");
        assert_true(flv_opts_given(flv_args_opts(&args), "partitions"));
        assert_false(flv_opts_given(flv_args_opts(&args), "tail"));
        flv_args_deinit(&args);
    }
}

static void fallbacks_fill_what_is_not_given(void **state)
{
    const struct create_conf *conf;

    (void)state;
    assert_int_equal(parse(&tool_cmd, "topic create x"), FLV_OK);
    conf = flv_args_conf(&args);
    assert_int_equal(conf->partitions, 1);
    assert_null(conf->assignment);
    assert_int_equal(flv_opts_source(flv_args_opts(&args), "partitions"),
                     FLV_SOURCE_FALLBACK);
    assert_null(((struct tool_conf *)args.conf[0])->cluster);
}

static void two_dashes_end_options(void **state)
{
    const struct create_conf *conf;

    (void)state;
    assert_int_equal(parse(&tool_cmd, "topic create -- -p --help -- -"),
                     FLV_OK);
    conf = flv_args_conf(&args);
    assert_string_equal(conf->name, "-p");
    assert_int_equal(conf->words.count, 3);
    assert_string_equal(conf->words.items[0], "--help");
    assert_string_equal(conf->words.items[1], "--");
    assert_string_equal(conf->words.items[2], "-");
}

static void a_value_may_be_left_out_where_allowed(void **state)
{
    static const struct {
        const char *line;
        uint64_t tail;
    } rows[] = {
        {"topic create x -T", 10},      {"topic create x -T 3", 3},
        {"topic create x -T3", 3},      {"topic create x -T=3", 3},
        {"topic create -T x", 10},      {"topic create x --tail -d", 10},
        {"topic create x --tail=4", 4}, {"topic create x --tail 4", 4},
        {"topic create x -dT", 10},     {"topic create x -Td", 10},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(parse(&tool_cmd, rows[i].line), FLV_OK);
        assert_int_equal(((struct create_conf *)flv_args_conf(&args))->tail,
                         rows[i].tail);
        flv_args_deinit(&args);
    }
}

static void typed_values_are_read(void **state)
{
    const struct create_conf *conf;

    (void)state;
    assert_int_equal(parse(&tool_cmd, "topic create x -s -5 --retention-time "
                                      "1h~30m --segment-size 2~Ki"),
                     FLV_OK);
    conf = flv_args_conf(&args);
    assert_int_equal(conf->start, -5);
    assert_int_equal(conf->retention_ms, 5400000);
    assert_int_equal(conf->segment_bytes, 2048);
}

static void lists_repeat_and_aliases_are_known(void **state)
{
    const struct http_conf *conf;

    (void)state;
    assert_int_equal(parse(&http_cmd,
                           "--endpoint=http://x/?a=b --fluvio_topic t "
                           "--header A:1 --headers=B:2 --header= --body="),
                     FLV_OK);
    conf = flv_args_conf(&args);
    assert_string_equal(conf->endpoint, "http://x/?a=b");
    assert_int_equal(conf->headers.count, 3);
    assert_string_equal(conf->headers.items[1], "B:2");
    assert_string_equal(conf->headers.items[2], "");
    assert_string_equal(conf->body, "");
    assert_int_equal(conf->interval_ms, 300000);
    assert_int_equal(conf->parts, 0);
}

static void the_environment_stands_in(void **state)
{
    const struct http_conf *conf;

    (void)state;
    setenv("FLV_TEST_TOKEN", "fromenv", 1);
    assert_int_equal(parse(&http_cmd, "--endpoint x --fluvio-topic t"), FLV_OK);
    conf = flv_args_conf(&args);
    assert_string_equal(conf->token, "fromenv");
    flv_args_deinit(&args);
    assert_int_equal(
        parse(&http_cmd, "--endpoint x --fluvio-topic t --token mine"), FLV_OK);
    conf = flv_args_conf(&args);
    assert_string_equal(conf->token, "mine");
}

static void aliases_of_commands_are_known(void **state)
{
    (void)state;
    assert_int_equal(parse(&tool_cmd, "topic ls"), FLV_OK);
    assert_ptr_equal(flv_args_cmd(&args), &list_cmd);
}

static void unknown_commands_can_be_external(void **state)
{
    static struct flv_cmd open_cmd;

    (void)state;
    open_cmd = tool_cmd;
    open_cmd.flags = FLV_CMD_EXTERNAL;
    assert_int_equal(parse(&open_cmd, "-c a:1 run --fast -x"), FLV_OK);
    assert_int_equal(args.outcome, FLV_ARGS_EXTERNAL);
    assert_int_equal(args.rest_count, 3);
    assert_string_equal(args.rest[0], "run");
    assert_string_equal(args.rest[2], "-x");
    assert_null(args.rest[3]);
}

/* ---- Refusals ---------------------------------------------------------- */

static void refusals_have_a_sentence_and_usage(void **state)
{
    static const struct {
        const char *line, *sentence;
    } rows[] = {
        {"topic create x --partitions",
         "a value is required for '--partitions <PARTITIONS>' but none was "
         "supplied"},
        {"topic create x --partitions -d",
         "a value is required for '--partitions <PARTITIONS>' but none was "
         "supplied"},
        {"topic create x -p 1001",
         "invalid value for '--partitions <PARTITIONS>': '1001' is not a whole "
         "number from 1 to 1000"},
        {"topic create x -p=",
         "invalid value for '--partitions <PARTITIONS>': '' is not a whole "
         "number from 1 to 1000"},
        {"topic create x -p 1 -p 2",
         "the argument '--partitions <PARTITIONS>' cannot be used multiple "
         "times"},
        {"topic create x -p 1 -f file",
         "the argument '--partitions <PARTITIONS>' cannot be used with "
         "'--replica-assignment <FILE>'"},
        {"topic create x --dry-run=yes",
         "unexpected value for '--dry-run' found; it is a flag"},
        {"topic create x --segment-size 2Gb",
         "invalid value for '--segment-size <SEGMENT_SIZE>': '2Gb' is not from "
         "0 B to 1.0 GB"},
        {"topic create x --retention-time 5",
         "invalid value for '--retention-time <RETENTION_TIME>': '5' is not a "
         "duration such as 10s, 100ms, 1h 30m or 1d"},
        {"topic create x -q", "unexpected argument '-q' found"},
        {"topic create x -dq", "unexpected argument '-q' found"},
        {"topic create x --zzzzzzz=1", "unexpected argument '--zzzzzzz' found"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char want[1000];

        snprintf(want, sizeof(want), "error: %s\n" CREATE_TRAILER,
                 rows[i].sentence);
        assert_int_equal(parse(&tool_cmd, rows[i].line), FLV_E_USAGE);
        assert_int_equal(args.outcome, FLV_ARGS_ERROR);
        assert_string_equal(text(), want);
        assert_int_equal(
            strncmp(err.text, rows[i].sentence, FLV_ERR_TEXT_MAX - 1), 0);
        flv_args_deinit(&args);
    }
}

static void slips_get_a_tip(void **state)
{
    static const struct {
        const char *line, *tip;
    } rows[] = {
        {"topic create x --partitoins 1",
         "\n  tip: a similar option exists: '--partitions'\n"},
        {"topic create x --cluster a:1",
         "\n  tip: '--cluster' goes before 'topic'\n"},
        {"topic crate x", "\n  tip: a similar subcommand exists: 'create'\n"},
        {"tpoic", "\n  tip: a similar subcommand exists: 'topic'\n"},
        {"help topic lst", "\n  tip: a similar subcommand exists: 'list'\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(parse(&tool_cmd, rows[i].line), FLV_E_USAGE);
        assert_non_null(strstr(text(), rows[i].tip));
        flv_args_deinit(&args);
    }
    assert_int_equal(parse(&http_cmd, "--endpiont=http://key@x"), FLV_E_USAGE);
    assert_string_equal(
        text(), "error: unexpected argument '--endpiont' found\n\n"
                "  tip: a similar option exists: '--endpoint'\n" HTTP_TRAILER);
}

static void missing_options_are_all_named(void **state)
{
    (void)state;
    assert_int_equal(parse(&http_cmd, ""), FLV_E_USAGE);
    assert_string_equal(text(),
                        "error: The following required arguments were not "
                        "provided:\n"
                        "    --endpoint <endpoint>\n"
                        "    --fluvio-topic <fluvio-topic>\n" HTTP_TRAILER);
    assert_string_equal(err.text,
                        "required and not given: 'endpoint', 'fluvio-topic'");
    flv_args_deinit(&args);
    assert_int_equal(parse(&tool_cmd, "topic create"), FLV_E_USAGE);
    assert_string_equal(text(),
                        "error: the following required arguments were not "
                        "provided:\n  <NAME>\n" CREATE_TRAILER);
}

static void secrets_are_not_repeated(void **state)
{
    (void)state;
    assert_int_equal(
        parse(&http_cmd,
              "--endpoint x --fluvio-topic t --token hunter2hunter2"),
        FLV_E_USAGE);
    assert_null(strstr(text(), "hunter"));
    assert_null(strstr(err.text, "hunter"));
    flv_args_deinit(&args);
    setenv("FLV_TEST_TOKEN", "hunter2hunter2", 1);
    assert_int_equal(parse(&http_cmd, "--endpoint x --fluvio-topic t"),
                     FLV_E_USAGE);
    assert_non_null(strstr(text(), "FLV_TEST_TOKEN"));
    assert_null(strstr(text(), "hunter"));
    flv_args_deinit(&args);
    assert_int_equal(parse(&http_cmd, "--tokem=hunter2"), FLV_E_USAGE);
    assert_null(strstr(text(), "hunter"));
}

static void hostile_words_are_shown_tame(void **state)
{
    char line[800] = "topic create ";

    (void)state;
    assert_int_equal(parse(&tool_cmd, "a\nb\x1b[2J"), FLV_E_USAGE);
    assert_non_null(strstr(text(), "'a?b?[2J'\n"));
    flv_args_deinit(&args);
    memset(line + strlen(line), '-', 700);
    assert_int_equal(parse(&tool_cmd, line), FLV_E_USAGE);
    flv_args_deinit(&args);
    assert_int_equal(parse(&tool_cmd, "topic create --=x"), FLV_E_USAGE);
    flv_args_deinit(&args);
    assert_int_equal(parse(&http_cmd, "stray"), FLV_E_USAGE);
    assert_string_equal(err.text, "unexpected argument 'stray' found");
}

/* ---- Help -------------------------------------------------------------- */

static void help_in_the_old_layout(void **state)
{
    (void)state;
    assert_int_equal(parse(&http_cmd, "--interval x1 --help"), FLV_E_USAGE);
    flv_args_deinit(&args);
    assert_int_equal(parse(&http_cmd, "--verbose --help"), FLV_OK);
    assert_int_equal(args.outcome, FLV_ARGS_HELP);
    assert_string_equal(
        text(),
        "fluvio-connect-http 0.1.0\n"
        "\n" HTTP_USAGE "\n"
        "FLAGS:\n"
        "    -h, --help       Prints help information\n"
        "    -V, --version    Prints version information\n"
        "    -v, --verbose    Tell more\n"
        "\n"
        "OPTIONS:\n"
        "        --body <body>                    Request body for the "
        "request\n"
        "        --endpoint <endpoint>            Endpoint for the http "
        "connector\n"
        "        --fluvio-topic <fluvio-topic>    The topic where all events "
        "should go\n"
        "        --header <header>...             Header of the request, such "
        "as Name:Value\n"
        "        --interval <interval>            Interval between each "
        "request [default: 300]\n"
        "        --method <method>                The http method used in the "
        "request [default: GET]\n"
        "        --output_parts <output_parts>    What becomes the record: "
        "only the body of the answer, or the status line and\n"
        "                                         all headers of the answer in "
        "front of it [default: body] [possible values:\n"
        "                                         body, full]\n"
        "        --token <token>                  Secret of the endpoint "
        "[env: FLV_TEST_TOKEN=]\n");
}

static void wide_options_have_help_on_the_next_line(void **state)
{
    static const struct flv_opt opts[] = {
        {.name = "an-option-with-a-rather-long-name",
         .arg = "and-a-long-value",
         FLV_STR(struct http_conf, body),
         .help = "This text is too long for what is left of the line beside "
                 "the option, and so it goes below"},
        {.name = "short", FLV_STR(struct http_conf, method), .help = "Fits"},
        {.name = NULL},
    };
    struct flv_cmd cmd = {.name = "x",
                          .version = "1",
                          .opts = opts,
                          .style = FLV_HELP_CLAP2,
                          .conf_size = sizeof(struct http_conf)};

    (void)state;
    assert_int_equal(parse(&cmd, "-h"), FLV_OK);
    assert_non_null(strstr(
        text(),
        "        --an-option-with-a-rather-long-name <and-a-long-value>\n"
        "            This text is too long for what is left of the line beside "
        "the option, and so it goes below\n\n"
        "        --short <short>                                           "
        "Fits\n"));
    flv_args_deinit(&args);
    cmd.style = FLV_HELP_CLAP4;
    assert_int_equal(parse(&cmd, "-h"), FLV_OK);
    assert_string_equal(
        text(),
        "Usage: x [OPTIONS]\n"
        "\n"
        "Options:\n"
        "      --an-option-with-a-rather-long-name <and-a-long-value>\n"
        "          This text is too long for what is left of the line beside "
        "the option, and so it goes below\n"
        "      --short <SHORT>\n"
        "          Fits\n"
        "  -h, --help\n"
        "          Print help\n"
        "  -V, --version\n"
        "          Print version\n");
}

static void help_in_the_new_layout(void **state)
{
    static const char *const lines[] = {"topic create x --help",
                                        "topic create -dh", "help topic create",
                                        "topic help create"};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_int_equal(parse(&tool_cmd, lines[i]), FLV_OK);
        assert_int_equal(args.outcome, FLV_ARGS_HELP);
        assert_string_equal(
            text(), "Create a Topic with the given name\n"
                    "\n"
                    "Usage: fluvio topic create [OPTIONS] <NAME> [WORDS]...\n"
                    "\n"
                    "Arguments:\n"
                    "  <NAME>      The name of the Topic to create\n"
                    "  [WORDS]...  More words\n"
                    "\n"
                    "Options:\n"
                    "  -p, --partitions <PARTITIONS>          "
                    "The number of Partitions to give the Topic [default: 1]\n"
                    "  -f, --replica-assignment <FILE>        "
                    "Replica assignment file\n"
                    "  -s, --start <START>                    "
                    "Where to start\n"
                    "  -T, --tail [<TAIL>]                    "
                    "From the last records on\n"
                    "      --retention-time <RETENTION_TIME>  "
                    "Retention time\n"
                    "      --segment-size <SEGMENT_SIZE>      "
                    "Segment size\n"
                    "  -d, --dry-run                          "
                    "Validates configuration, does not provision\n"
                    "  -h, --help                             "
                    "Print help\n");
        flv_args_deinit(&args);
    }
}

/* roff: what begins a line with a full stop or has a dash is as it is. */
static void manual_pages_come_from_the_tables(void **state)
{
    (void)state;
    assert_int_equal(parse(&tool_cmd, "--help-man"), FLV_OK);
    assert_int_equal(args.outcome, FLV_ARGS_HELP);
    assert_non_null(strstr(text(), ".TH \"fluvio\" 1 "));
    assert_non_null(strstr(text(), ".BR fluvio\\-topic (1)\n"
                                   "Manage and view Topics\n"));
    assert_null(strstr(text(), "secret"));
    flv_args_deinit(&args);

    assert_int_equal(parse(&tool_cmd, "topic --help-man"), FLV_OK);
    assert_non_null(strstr(text(), "fluvio\\-topic \\- Manage and view"));
    assert_non_null(strstr(text(), ".SS fluvio topic create\n"
                                   ".B fluvio topic create "));
    assert_non_null(strstr(text(), "\\-\\-dry\\-run\n"));
    assert_null(strstr(text(), "ignore\n"));
    assert_non_null(strstr(text(), "List all of the Topics\n.br\nand more"));
    flv_args_deinit(&args);

    assert_int_equal(parse(&http_cmd, "--help-man"), FLV_OK);
    assert_non_null(strstr(text(), ".B fluvio\\-connect\\-http [FLAGS]"));
    flv_args_deinit(&args);
}

static void groups_answer_with_their_commands(void **state)
{
    static const char *const lines[] = {"", "-h", "--help", "help"};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_int_equal(parse(&tool_cmd, lines[i]), FLV_OK);
        assert_int_equal(args.outcome, FLV_ARGS_HELP);
        assert_string_equal(
            text(), "Fluvio Command Line Interface\n"
                    "\n"
                    "Usage: fluvio [OPTIONS] <COMMAND>\n"
                    "\n"
                    "Commands:\n"
                    "  topic  Manage and view Topics\n"
                    "  help   Print this message or the help of the given "
                    "subcommand(s)\n"
                    "\n"
                    "Options:\n"
                    "  -c, --cluster <HOST:PORT>  Address of cluster\n"
                    "  -h, --help                 Print help\n"
                    "  -V, --version              Print version\n");
        flv_args_deinit(&args);
    }
    assert_int_equal(parse(&tool_cmd, "topic"), FLV_OK);
    assert_non_null(strstr(text(), "  create  Create a Topic with the given "
                                   "name\n"
                                   "  list    List all of the Topics\n"
                                   "  help    Print"));
}

static void version_is_of_the_root(void **state)
{
    (void)state;
    assert_int_equal(parse(&tool_cmd, "-V"), FLV_OK);
    assert_int_equal(args.outcome, FLV_ARGS_VERSION);
    assert_string_equal(text(), "fluvio 0.1.0\n");
    flv_args_deinit(&args);
    assert_int_equal(parse(&tool_cmd, "topic --version"), FLV_E_USAGE);
}

/* ---- Files, JSON, memory ----------------------------------------------- */

static void files_give_way_to_the_command_line(void **state)
{
    static struct flv_cmd cmd;
    const struct http_conf *conf;
    struct flv_opts *o;

    (void)state;
    cmd = http_cmd;
    cmd.flags = FLV_CMD_DEFER;
    assert_int_equal(parse(&cmd, "--header U:1 --interval 5"), FLV_OK);
    o = flv_args_opts(&args);
    conf = flv_args_conf(&args);
    assert_int_equal(flv_opts_set(o, "end_point", "x", FLV_SOURCE_FILE, &err),
                     FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no option 'end_point'; a similar "
                                  "option exists: 'endpoint'");
    assert_int_equal(flv_opts_set(o, "interval", "x", FLV_SOURCE_FILE, &err),
                     FLV_OK);
    assert_int_equal(
        flv_opts_set(o, "output-parts", "x", FLV_SOURCE_FILE, &err),
        FLV_E_USAGE);
    assert_string_equal(err.text, "invalid value for 'output-parts': 'x' is "
                                  "none of body, full");
    assert_int_equal(flv_opts_set(o, "header", "F:1", FLV_SOURCE_FILE, NULL),
                     FLV_OK);
    assert_int_equal(flv_opts_set(o, "endpoint", "e", FLV_SOURCE_FILE, NULL),
                     FLV_OK);
    assert_int_equal(flv_opts_set(o, "verbose", "true", FLV_SOURCE_FILE, NULL),
                     FLV_OK);
    assert_int_equal(flv_args_finish(&args, &err), FLV_E_USAGE);
    assert_string_equal(err.text, "required and not given: 'fluvio-topic'");
    assert_int_equal(
        flv_opts_set(o, "fluvio_topic", "t", FLV_SOURCE_FILE, NULL), FLV_OK);
    assert_int_equal(flv_args_finish(&args, &err), FLV_OK);
    assert_int_equal(conf->interval_ms, 5000);
    assert_int_equal(conf->headers.count, 1);
    assert_string_equal(conf->headers.items[0], "U:1");
    assert_true(conf->verbose);
    assert_string_equal(conf->topic, "t");
}

static void values_are_shown_without_secrets(void **state)
{
    struct flv_buf b;

    (void)state;
    assert_int_equal(parse(&http_cmd,
                           "--endpoint e\" --fluvio-topic t --header "
                           "A --header B --token hunter2"),
                     FLV_OK);
    flv_buf_init(&b, 10000);
    assert_int_equal(flv_opts_values(flv_args_opts(&args), &b), FLV_OK);
    assert_string_equal(
        flv_buf_str(&b),
        "{\"endpoint\":\"e\\\"\",\"fluvio-topic\":\"t\",\"header\":[\"A\",\"B\""
        "],\"interval\":\"5m\",\"method\":\"GET\",\"output_parts\":\"body\","
        "\"token\":\"***\"}");
    flv_buf_deinit(&b);
}

static void tables_describe_themselves(void **state)
{
    struct flv_buf b;

    (void)state;
    flv_buf_init(&b, 10000);
    assert_int_equal(flv_opt_describe(create_opts + 6, &b), FLV_OK);
    assert_string_equal(
        flv_buf_str(&b),
        "[{\"name\":\"retention-time\",\"type\":\"duration\",\"help\":"
        "\"Retention time\"},{\"name\":\"segment-size\",\"type\":\"size\","
        "\"help\":\"Segment size\",\"max\":1000000000},{\"name\":\"dry-run\","
        "\"type\":\"flag\",\"help\":\"Validates configuration, does not "
        "provision\",\"short\":\"d\"},{\"name\":\"ignore\",\"type\":"
        "\"flag\",\"short\":\"i\",\"hidden\":true}]");
    flv_buf_deinit(&b);
}

static void tables_are_checked(void **state)
{
    static const struct flv_opt twice[] = {
        {.name = "a-b", FLV_STR(struct http_conf, body), .help = "x"},
        {.name = "a_b", FLV_STR(struct http_conf, method), .help = "x"},
        {.name = NULL}};
    static const struct flv_opt bad_default[] = {
        {.name = "interval",
         FLV_DURATION(struct http_conf, interval_ms),
         .fallback = "5",
         .help = "x"},
        {.name = NULL}};
    static const struct flv_opt places[] = {
        {.name = "many",
         FLV_LIST(struct http_conf, headers),
         .flags = FLV_OPT_POSITIONAL,
         .help = "x"},
        {.name = "last",
         FLV_STR(struct http_conf, body),
         .flags = FLV_OPT_POSITIONAL,
         .help = "x"},
        {.name = NULL}};

    (void)state;
    assert_int_equal(
        flv_opt_check_table(http_opts, sizeof(struct http_conf), &err), FLV_OK);
    assert_int_equal(
        flv_opt_check_table(create_opts, sizeof(struct create_conf), &err),
        FLV_OK);
    assert_int_equal(flv_opt_check_table(http_opts, 8, &err), FLV_E_INVALID);
    assert_int_equal(flv_opt_check_table(twice, sizeof(struct http_conf), &err),
                     FLV_E_INVALID);
    assert_int_equal(
        flv_opt_check_table(bad_default, sizeof(struct http_conf), &err),
        FLV_E_INVALID);
    assert_int_equal(
        flv_opt_check_table(places, sizeof(struct http_conf), &err),
        FLV_E_INVALID);
}

static void every_failing_allocation_is_reported(void **state)
{
    static const struct {
        const struct flv_cmd *cmd;
        const char *line;
        flv_rc rc;
    } rows[] = {
        {&http_cmd, "--endpoint e --fluvio-topic t --header A --header B",
         FLV_OK},
        {&http_cmd, "--help", FLV_OK},
        {&http_cmd, "--token x", FLV_E_USAGE},
        {&tool_cmd, "topic create x y z -T", FLV_OK},
        {&tool_cmd, "topic create --help", FLV_OK},
        {&tool_cmd, "topic crate", FLV_E_USAGE},
        {&tool_cmd, "-V", FLV_OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t total;

        flv__mem_fail_at(0);
        assert_int_equal(parse(rows[i].cmd, rows[i].line), rows[i].rc);
        flv_args_deinit(&args);
        total = flv__mem_fail_at(0);
        assert_true(total > 0);
        for (uint64_t n = 1; n <= total; n++) {
            flv__mem_fail_at(n);
            assert_int_equal(parse(rows[i].cmd, rows[i].line), FLV_E_NOMEM);
            assert_int_equal(err.rc, FLV_E_NOMEM);
            assert_int_equal(args.outcome, FLV_ARGS_ERROR);
            flv_args_deinit(&args);
        }
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_form_of_an_option_is_read),
        TEST(fallbacks_fill_what_is_not_given),
        TEST(two_dashes_end_options),
        TEST(a_value_may_be_left_out_where_allowed),
        TEST(typed_values_are_read),
        TEST(lists_repeat_and_aliases_are_known),
        TEST(the_environment_stands_in),
        TEST(aliases_of_commands_are_known),
        TEST(unknown_commands_can_be_external),
        TEST(refusals_have_a_sentence_and_usage),
        TEST(slips_get_a_tip),
        TEST(missing_options_are_all_named),
        TEST(secrets_are_not_repeated),
        TEST(hostile_words_are_shown_tame),
        TEST(help_in_the_old_layout),
        TEST(wide_options_have_help_on_the_next_line),
        TEST(help_in_the_new_layout),
        TEST(manual_pages_come_from_the_tables),
        TEST(groups_answer_with_their_commands),
        TEST(version_is_of_the_root),
        TEST(files_give_way_to_the_command_line),
        TEST(values_are_shown_without_secrets),
        TEST(tables_describe_themselves),
        TEST(tables_are_checked),
        TEST(every_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
