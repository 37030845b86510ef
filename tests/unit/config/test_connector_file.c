
#include <stdio.h>

#include "cm.h"
#include "config/connector_file.h"
#include "config/print.h"

#define HEAD "name: n\ntype: http\ntopic: t\n"
#define META "apiVersion: 0.1.0\nmeta:\n  name: n\n  type: http-source\n"

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, "TOKEN") == 0) {
        return "s3cr\"et: [x]";
    }
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static const struct flv_cfile_conf conf = {.section = "http", .secret = secret};

static void parse(struct flv_cfile *f, const char *text)
{
    struct flv_err err = {0};
    if (flv_cfile_parse(f, "f.yml", flv_slice_str(text), &conf, &err) !=
        FLV_OK) {
        fail_msg("%s\n%s", err.text, text);
    }
}

/* The settings as "key=value" lines. */
static const char *settings(const struct flv_cfile *f)
{
    static char out[2048];
    out[0] = '\0';
    for (size_t i = 0; i < f->setting_count; i++) {
        size_t used = strlen(out);
        (void)snprintf(out + used, sizeof(out) - used, "%s=%s\n",
                       f->settings[i].key, f->settings[i].value);
    }
    return out;
}

static void seed_file_is_read(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, "version: v1\n"
              "name: cat-facts\n"
              "type: http\n"
              "topic: cat-facts\n"
              "create_topic: true\n"
              "direction: source\n"
              "parameters:\n"
              "  endpoint: https://catfact.ninja/fact\n"
              "  interval: 10\n");
    assert_int_equal(f.dialect, FLV_CFILE_FLAT);
    assert_int_equal(f.direction, FLV_CFILE_SOURCE);
    assert_string_equal(f.name, "cat-facts");
    assert_string_equal(f.type, "http");
    assert_string_equal(f.version, "v1");
    assert_string_equal(f.topic.name, "cat-facts");
    assert_true(f.create_topic);
    assert_string_equal(settings(&f),
                        "endpoint=https://catfact.ninja/fact\ninterval=10\n");
    assert_int_equal(f.settings[1].node->line, 9);
    assert_int_equal(f.settings[1].node->col, 13);
    assert_int_equal(f.warning_count, 0);
    flv_cfile_deinit(&f);
}

static void kafka_connects_envelope_is_the_same_file(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, "{\"name\": \"cat-facts\",\n"
              " \"config\": {\n"
              "  \"connector.class\": \"http\",\n"
              "  \"tasks.max\": \"1\",\n"
              "  \"name\": \"cat-facts\",\n"
              "  \"endpoint\": \"http://h/\",\n"
              "  \"topic\": \"facts\",\n"
              "  \"create_topic\": \"true\",\n"
              "  \"restart\": \"never\",\n"
              "  \"interval\": 10}}\n");
    assert_int_equal(f.dialect, FLV_CFILE_FLAT);
    assert_string_equal(f.name, "cat-facts");
    assert_string_equal(f.type, "http");
    assert_int_equal(f.type_node->line, 3);
    assert_string_equal(f.topic.name, "facts");
    assert_true(f.create_topic);
    assert_int_equal(f.restart, FLV_CFILE_NEVER);
    assert_string_equal(settings(&f), "endpoint=http://h/\ninterval=10\n");
    assert_int_equal(f.settings[1].node->line, 10); /* its own place */
    assert_int_equal(f.warning_count, 0);
    flv_cfile_deinit(&f);
    parse(&f, "{\"name\":\"n\",\"config\":{\"type\":\"http\","
              "\"topics\":\"t\",\"parameters\":{\"endpoint\":\"e\"}}}");
    assert_string_equal(f.topic.name, "t");
    assert_string_equal(settings(&f), "endpoint=e\n");
    flv_cfile_deinit(&f);
}

static void repeated_topic_is_dropped_when_equal(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, "version: latest\nname: my-test-mqtt\ntype: mqtt\n"
              "topic: my-mqtt\ncreate_topic: true\ndirection: source\n"
              "parameters:\n  mqtt-url: \"mqtt.hsl.fi\"\n"
              "  mqtt-topic: \"/hfp/v2/journey/#\"\n"
              "  fluvio-topic: my-mqtt\n  topic: my-mqtt\n");
    assert_string_equal(settings(&f), "mqtt-url=mqtt.hsl.fi\n"
                                      "mqtt-topic=/hfp/v2/journey/#\n");
    flv_cfile_deinit(&f);
}

static void late_flat_file_is_read(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, "api_version: v1\nversion: 0.2.0\n" HEAD
              "parameters:\n  param_1: text\n"
              "  header: [\"A:1\", B:2]\n"
              "  opt: {k: v, linger.ms: 10}\n"
              "  flag: true\n  number: 10.0\n  negative: [-10]\n  empty: \"\"\n"
              "secrets:\n  FOO: bar\n"
              "producer:\n  linger: 1ms\n  batch-size: 44.0 MB\n"
              "  compression: gzip\n");
    assert_string_equal(settings(&f),
                        "param-1=text\nheader=A:1\nheader=B:2\nopt=k:v\n"
                        "opt=linger.ms:10\nflag=true\nnumber=10.0\n"
                        "negative=-10\nempty=\nproducer-linger=1ms\n"
                        "producer-compression=gzip\n"
                        "producer-batch-size=44.0 MB\n");
    assert_false(f.create_topic);
    assert_int_equal(f.secret_count, 1);
    assert_string_equal(f.secrets[0].name, "FOO");
    assert_string_equal(f.secrets[0].value, "bar");
    flv_cfile_deinit(&f);
}

static void types_with_suffixes_are_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *type, *name;
        enum flv_cfile_direction direction;
    } table[] = {
        {"http", "http", FLV_CFILE_ANY},
        {"http-source", "http", FLV_CFILE_SOURCE},
        {"sql-sink", "sql-sink", FLV_CFILE_SINK},
        {"test-connector", "test-connector", FLV_CFILE_ANY},
        {"-source", "-source", FLV_CFILE_ANY},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_cfile f;
        char text[200];
        (void)snprintf(text, sizeof(text), "name: n\ntype: %s\ntopic: t\n",
                       table[i].type);
        parse(&f, text);
        assert_string_equal(f.type, table[i].name);
        assert_int_equal(f.direction, table[i].direction);
        flv_cfile_deinit(&f);
    }
}

static void meta_file_is_read(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, META "  version: 0.5.0\n  topic: cats\n"
                   "  secrets:\n    - name: TOKEN\n"
                   "  producer:\n    linger: 100ms\n    batch_size: 16 KB\n"
                   "http:\n  endpoint: \"https://h/${{ secrets.TOKEN }}/x\"\n"
                   "  interval: 3s\n"
                   "  headers:\n    - ${{secrets.TOKEN}}\n    - \"A: b\"\n"
                   "  user_agent:\n    secret:\n      name: TOKEN\n");
    assert_int_equal(f.dialect, FLV_CFILE_META);
    assert_int_equal(f.direction, FLV_CFILE_SOURCE);
    assert_string_equal(f.type, "http");
    assert_true(f.create_topic);
    assert_string_equal(settings(&f),
                        "endpoint=https://h/s3cr\"et: [x]/x\ninterval=3s\n"
                        "headers=s3cr\"et: [x]\nheaders=A: b\n"
                        "user-agent=s3cr\"et: [x]\n"
                        "producer-linger=100ms\nproducer-batch-size=16 KB\n");
    assert_true(f.settings[0].secret);
    assert_false(f.settings[1].secret);
    assert_true(f.settings[4].secret);
    flv_cfile_deinit(&f);
}

static void a_group_of_settings_is_read_as_settings(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, META "  version: 0.5.0\n  topic: cats\n"
                   "  secrets:\n    - name: TOKEN\n"
                   "http:\n  endpoint: ws://h/\n  websocket_config:\n"
                   "    subscription_message: first\n"
                   "    subscription_messages: [a, b]\n"
                   "    ping_interval_ms: 50\n"
                   "  ssl_config: {secret: {name: TOKEN}}\n"
                   "  config:\n    a: b\n");
    assert_string_equal(settings(&f),
                        "endpoint=ws://h/\nsubscription-message=first\n"
                        "subscription-messages=a\nsubscription-messages=b\n"
                        "ping-interval-ms=50\nssl-config=s3cr\"et: [x]\n"
                        "config=a:b\n");
    flv_cfile_deinit(&f);
}

static void topic_with_settings_is_read(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, "apiVersion: 0.2.0\nmeta:\n  name: n\n  type: http-source\n"
              "  version: 0.1.0\n  topic:\n    version: 0.1.0\n"
              "    meta:\n      name: cats\n"
              "    partition:\n      count: 3\n      replication: 2\n"
              "      max_size: 1Gb\n      ignore_rack_assignment: true\n"
              "    retention:\n      time: 2m\n      segment-size: 10Mb\n"
              "    compression:\n      type: Lz4\n"
              "    deduplication:\n"
              "      bounds: {count: 100, age: 1m}\n"
              "      filter:\n        transform:\n          uses: d\n"
              "          with: {by: value, n: 5}\n"
              "custom:\n  endpoint: http://h\n");
    assert_string_equal(f.topic.name, "cats");
    assert_int_equal(f.topic.partitions, 3);
    assert_int_equal(f.topic.replication, 2);
    assert_true(f.topic.ignore_rack);
    assert_int_equal(f.topic.partition_bytes_max, 1000000000);
    assert_int_equal(f.topic.retention_s, 120);
    assert_int_equal(f.topic.segment_size_bytes, 10000000);
    assert_string_equal(f.topic.compression, "lz4");
    assert_string_equal(f.topic.dedup.filter, "d");
    assert_int_equal(f.topic.dedup.count, 100);
    assert_int_equal(f.topic.dedup.age_ms, 60000);
    assert_int_equal(f.topic.dedup.param_count, 2);
    assert_string_equal(f.topic.dedup.params[1], "value");
    assert_string_equal(f.topic.dedup.params[2], "n");
    assert_string_equal(f.topic.dedup.params[3], "5");
    assert_string_equal(settings(&f), "endpoint=http://h\n");
    flv_cfile_deinit(&f);
}

static void transforms_and_consumer_are_handed_on(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, HEAD "transforms:\n  - uses: a/b@1\n    with: {x: y}\n"
                   "consumer:\n  partition: 1\n");
    assert_int_equal(f.transform_count, 1);
    assert_string_equal(f.transforms[0].uses, "a/b@1");
    assert_int_equal(f.transforms[0].node->line, 5);
    assert_non_null(f.consumer);
    flv_cfile_deinit(&f);
    parse(&f, HEAD "transforms: []\nconsumer:\nparameters:\n");
    assert_int_equal(f.transform_count, 0);
    assert_null(f.consumer);
    assert_int_equal(f.setting_count, 0);
    flv_cfile_deinit(&f);
}

/* In both formats, and beside the settings as well as inside. */
static void transforms_are_read_with_all_they_have(void **state)
{
    (void)state;
    static const char *const files[] = {
        HEAD "on-error: {dead_letter: bad}\ntransforms: ",
        META "  version: 1\n  topic: t\non_error: dead-letter:bad\n"
             "transforms: ",
        HEAD "parameters:\n  on-error: {dead-letter: bad}\n  transforms: "};
    static const char list[] =
        "[{uses: a, with: {n: 10, t: text, s: \"${{ secrets.TOKEN }}\",\n"
        "    j: [1, -2.5e3, \"3\", tRue, null, {k: 0x1, z: }, 01]},\n"
        "   lookback: {last: 7, age: 1h 30m}, on-error: {retry: 3},\n"
        "   budget: {fuel: 5, cpu_ms: 6, memory: 1Mi, output-records: 8,\n"
        "            output-bytes: 9}},\n"
        "   {uses: b, on-error: discard}]";
    for (size_t i = 0; i < COUNT(files); i++) {
        char text[1024];
        struct flv_cfile f;
        (void)snprintf(text, sizeof(text), "%s%s\n", files[i], list);
        parse(&f, text);
        assert_int_equal(f.warning_count, 0);
        assert_string_equal(settings(&f), "on-error=dead-letter:bad\n");
        assert_int_equal(f.transform_count, 2);
        const struct flv_transform *t = f.transforms;
        assert_int_equal(t->param_count, 4);
        assert_string_equal(t->params[0].value, "10");
        assert_string_equal(t->params[1].value, "text");
        assert_string_equal(t->params[2].value, "s3cr\"et: [x]");
        assert_string_equal(t->params[3].value,
                            "[1,-2.5e3,\"3\",true,null,"
                            "{\"k\":\"0x1\",\"z\":null},\"01\"]");
        assert_int_equal(t->look_back_last, 7);
        assert_int_equal(t->look_back_age_ms, 5400000);
        assert_string_equal(t->on_error, "retry:3");
        assert_int_equal(t->budget.fuel, 5);
        assert_int_equal(t->budget.cpu_ms, 6);
        assert_int_equal(t->budget.memory_bytes, 1 << 20);
        assert_int_equal(t->budget.output_records, 8);
        assert_int_equal(t->budget.output_bytes, 9);
        assert_string_equal(t[1].on_error, "discard");
        assert_int_equal(t[1].budget.fuel + t[1].look_back_last, 0);
        flv_cfile_deinit(&f);
    }
}

static void one_transform_is_read_from_json(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "--transform is empty; write {\"uses\": \"NAME\"}"},
        {"[]", "--transform:1:1: a transform is a map with uses and with"},
        {"{\"with\":{}}", "missing field `uses`"},
    };
    struct flv_cfile f;
    struct flv_err err = {0};
    assert_int_equal(
        flv_cfile_parse_transform(
            &f, "--transform",
            flv_slice_str("{\"uses\":\"a\",\"with\":{\"spec\":[{\"x\":1}]}}"),
            &conf, &err),
        FLV_OK);
    assert_int_equal(f.transform_count, 1);
    assert_string_equal(f.transforms[0].params[0].value, "[{\"x\":1}]");
    flv_cfile_deinit(&f);
    for (size_t i = 0; i < COUNT(bad); i++) {
        flv_rc rc = flv_cfile_parse_transform(
            &f, "--transform", flv_slice_str(bad[i][0]), &conf, &err);
        if (rc != FLV_E_INVALID || strstr(err.text, bad[i][1]) == NULL) {
            fail_msg("%s: %s", bad[i][0], err.text);
        }
        flv_cfile_deinit(&f);
    }
}

static void restart_and_limits_are_for_the_manager(void **state)
{
    struct flv_cfile f;
    (void)state;
    parse(&f, HEAD);
    assert_int_equal(f.restart, FLV_CFILE_ON_FAILURE);
    assert_int_equal(f.memory_bytes_max, 0);
    flv_cfile_deinit(&f);
    parse(&f, HEAD "restart: always\nlimits: {memory: 64 MiB, files: 99}\n");
    assert_int_equal(f.restart, FLV_CFILE_ALWAYS);
    assert_int_equal(f.memory_bytes_max, 64 << 20);
    assert_int_equal(f.files_max, 99);
    assert_int_equal(f.warning_count, 0);
    flv_cfile_deinit(&f);
    parse(&f, META "  version: 0.1.0\n  topic: t\n  restart: never\n");
    assert_int_equal(f.restart, FLV_CFILE_NEVER);
    flv_cfile_deinit(&f);
}

static void bad_restart_and_limits_are_refused(void **state)
{
    static const char *const table[][2] = {
        {HEAD "restart: sometimes\n",
         "f.yml:4:10: restart is \"sometimes\"; write always, on-failure or "
         "never"},
        {HEAD "limits: {memory: 1 MB}\n",
         "f.yml:4:18: limits.memory is \"1 MB\"; write a size of at least "
         "16777216"},
        {HEAD "limits: {files: many}\n",
         "f.yml:4:17: limits.files is \"many\"; write a size of at least 32"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct flv_cfile f;
        struct flv_err err = {0};
        assert_int_equal(flv_cfile_parse(&f, "f.yml",
                                         flv_slice_str(table[i][0]), &conf,
                                         &err),
                         FLV_E_INVALID);
        assert_string_equal(err.text, table[i][1]);
        flv_cfile_deinit(&f);
    }
}

static void unknown_keys_are_warned_of(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {HEAD "paramters: {a: b}\n",
         "f.yml:4:1: the key \"paramters\" is unknown and ignored; did you "
         "mean \"parameters\"?"},
        {HEAD "colour: red\n",
         "f.yml:4:1: the key \"colour\" is unknown and ignored"},
        {HEAD "producer: {lingre: 1ms}\n",
         "f.yml:4:12: the key \"lingre\" of producer is unknown and ignored; "
         "did you mean \"linger\"?"},
        {META "  version: 1\n  topic: t\n  topc: u\nhttp: {}\n",
         "f.yml:7:3: the key \"topc\" of meta is unknown and ignored; did you "
         "mean \"topic\"?"},
        {META "  version: 1\n  topic: t\ngraphite: {addr: x}\n",
         "f.yml:7:1: the key \"graphite\" is unknown and ignored"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_cfile f;
        parse(&f, table[i][0]);
        assert_int_equal(f.warning_count, 1);
        assert_string_equal(f.warnings[0], table[i][1]);
        flv_cfile_deinit(&f);
    }
}

static const char *const bad_flat[][2] = {
    {"", "f.yml is empty; a connector needs name, type and topic"},
    {"null\n", "f.yml is empty"},
    {"- a\n", "f.yml:1:1: a connector's file is a map of keys and values, "
              "not a list"},
    {"just words\n", "f.yml:1:1: a connector's file is a map of keys and "
                     "values, not a single value"},
    {"type: http\ntopic: t\n", "f.yml:1:1: missing field `name`"},
    {"name: n\ntopic: t\n", "f.yml:1:1: missing field `type`"},
    {"name: n\ntype: http\n", "f.yml:1:1: missing field `topic`"},
    {"name:\ntype: http\ntopic: t\n", "f.yml:1:1: name has no value"},
    {"name: \"\"\ntype: http\ntopic: t\n", "f.yml:1:7: name has no value"},
    {"name: [n]\ntype: http\ntopic: t\n",
     "f.yml:1:7: name has to be a single value, not a list"},
    {"name: n\ntype: http\ntopic:\n  meta: {name: t}\n",
     "f.yml:4:3: topic has to be a name here; a topic with settings needs "
     "`apiVersion: 0.2.0`"},
    {HEAD "create_topic: maybe\n",
     "f.yml:4:15: create-topic is \"maybe\"; write true or false"},
    {HEAD "direction: up\n",
     "f.yml:4:12: direction is \"up\"; write source or sink"},
    {"name: n\ntype: http-source\ntopic: t\ndirection: sink\n",
     "f.yml:4:12: direction \"sink\" does not fit the type \"http-source\""},
    {HEAD "parameters: text\n",
     "f.yml:4:13: parameters has to be a map of keys and values, not a "
     "single value"},
    {HEAD "parameters: [a]\n", "f.yml:4:13: parameters has to be a map"},
    {HEAD "parameters:\n  endpoint:\n",
     "f.yml:5:3: endpoint has no value; remove the key, or write \"\" for an "
     "empty text"},
    {HEAD "parameters:\n  header: [[a]]\n",
     "f.yml:5:12: header has to be a single value, not a list"},
    {HEAD "parameters:\n  a: \"x\\0y\"\n", "f.yml:5:6: a holds a NUL byte"},
    {HEAD "parameters:\n  topic: u\n",
     "f.yml:5:10: the parameter topic is \"u\" but topic in line 3 is \"t\"; "
     "make them the same"},
    {HEAD "parameters:\n  fluvio_topic: u\n",
     "f.yml:5:17: the parameter fluvio-topic is \"u\""},
    {HEAD "producer:\n  linger: 1\n",
     "f.yml:5:11: linger: invalid value: string \"1\", expected a duration"},
    {HEAD "producer:\n  compression: brotli\n",
     "f.yml:5:16: compression: unknown variant `brotli`, expected one of "
     "`none`, `gzip`, `snappy`, `lz4`, `zstd`"},
    {HEAD "producer:\n  batch-size: aoeu\n",
     "f.yml:5:15: batch-size: couldn't parse \"aoeu\" into a known SI unit"},
    {HEAD "producer: x\n", "f.yml:4:11: producer has to be a map"},
    {HEAD "secrets: [a]\n", "f.yml:4:10: secrets has to be a map"},
    {HEAD "secrets: {\"a=b\": c}\n", "f.yml:4:11: \"a=b\" cannot be the name"},
    {HEAD "transforms: x\n", "f.yml:4:13: transforms has to be a list"},
    {HEAD "transforms: [x]\n", "f.yml:4:14: a transform is a map"},
    {HEAD "transforms:\n  - with: {}\n", "f.yml:5:5: missing field `uses`"},
    {HEAD "transforms:\n  - uses: a\n    with: x\n",
     "f.yml:6:11: with has to be a map"},
    {HEAD "transforms:\n  - uses: a\n    on-error: [x]\n",
     "f.yml:6:15: on-error is halt, discard, {retry: N} or"},
    {HEAD "transforms:\n  - uses: a\n    lookback: {last: x}\n",
     "f.yml:6:22: last: "},
    {HEAD "transforms:\n  - uses: a\n    budget: {memory: 1}\n",
     "f.yml:6:22: memory is 1; it may be 65536 to 4294967296"},
    {HEAD "transforms: [{uses: a}]\nparameters:\n"
          "  transforms: [{uses: b}]\n",
     "transforms is both beside and inside the settings"},
    {HEAD "apiVersion: 0.2.0\n", "missing field `meta`"},
    {HEAD "parameters:\n  a: ${{ secrets.NOPE }}\n",
     "f.yml:5:6: value not found for secret name NOPE; give it with --secrets "
     "FILE or in the environment"},
    {HEAD "parameters:\n  a: ${{ env.X }}\n",
     "f.yml:5:6: the template \"${{ env.X }}\" is not understood; write "
     "${{ secrets.NAME }}"},
    {HEAD "parameters:\n  a: ${{ secrets.TOKEN\n", "f.yml:5:6: the template"},
};

static const char *const bad_meta[][2] = {
    {"meta:\n", "f.yml:1:1: meta has no value"},
    {"meta: x\n", "f.yml:1:7: meta has to be a map"},
    {META "  topic: t\n", "f.yml:3:3: missing field `version`"},
    {META "  version: 1\n", "f.yml:3:3: missing field `topic`"},
    {"apiVersion: 0.3.0\nmeta:\n  name: n\n",
     "f.yml:1:13: unknown variant `0.3.0`, expected one of `0.0.0`, `0.1.0`, "
     "`0.2.0`"},
    {META "  version: 1\n  topic: {meta: {name: t}}\n",
     "f.yml:6:10: topic has to be a name here"},
    {META "  version: 1\n  topic: t\n  secrets: [{name: 1a}]\n",
     "f.yml:7:20: Secret name `1a` cannot start with a number"},
    {META "  version: 1\n  topic: t\n  secrets: [{name: a-b}]\n",
     "f.yml:7:20: Secret name `a-b` can only contain alphanumeric ASCII "
     "characters and underscores"},
    {META "  version: 1\n  topic: t\n  secrets: [{name: \"\"}]\n",
     "f.yml:7:20: Secret name cannot be empty"},
    {META "  version: 1\n  topic: t\n  secrets: [A]\n",
     "f.yml:7:13: an entry of secrets is written `- name: NAME`"},
    {META "  version: 1\n  topic: t\n  secrets: {name: A}\n",
     "f.yml:7:12: secrets has to be a list of `- name: NAME`, not a map"},
    {META "  version: 1\n  topic: t\n  secrets: [{name: NOPE}]\n",
     "f.yml:7:20: value not found for secret name NOPE"},
    {META "  version: 1\n  topic: t\nhttp: {a: b}\ncustom: {a: b}\n",
     "the settings are both under \"http\" and \"custom\"; keep one of them"},
    {META "  version: 1\n  topic: t\nhttp: text\n",
     "f.yml:7:7: http has to be a map of keys and values"},
};

static void refused(const char *const (*table)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct flv_cfile f;
        struct flv_err err = {0};
        flv_rc rc = flv_cfile_parse(&f, "f.yml", flv_slice_str(table[i][0]),
                                    &conf, &err);
        if (rc != FLV_E_INVALID || strstr(err.text, table[i][1]) == NULL) {
            fail_msg("%s-> %s \"%s\"", table[i][0], flv_rc_name(rc), err.text);
        }
        assert_null(strstr(err.text, "s3cr"));
        flv_cfile_deinit(&f);
    }
}

static void bad_flat_files_are_told_with_place_and_fix(void **state)
{
    (void)state;
    refused(bad_flat, COUNT(bad_flat));
}

static void bad_meta_files_are_told_with_place_and_fix(void **state)
{
    (void)state;
    refused(bad_meta, COUNT(bad_meta));
}

static void bad_topic_settings_are_told(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"partition: {count: 0}", "count is \"0\"; write a whole number"},
        {"partition: {count: x}", "count is \"x\""},
        {"partition: {max-size: 1aoeu}",
         "invalid value: string \"1aoeu\", expected parsable string"},
        {"partition: {maps: [{id: 0, replicas: [1]}]}", "not in this version"},
        {"retention: {time: 10}", "time: invalid value: string \"10\""},
        {"retention: {segment-size: 99Gb}", "segment-size: invalid value"},
        {"compression: {type: rar}", "unknown variant `rar`"},
        {"deduplication: yes", "has to be a map with `bounds` and `filter`"},
        {"deduplication: {count: 1}",
         "`count` does not belong into deduplication; known are `bounds` and "
         "`filter`"},
        {"deduplication: {filter: {transform: {uses: d}}}", "needs `bounds`"},
        {"deduplication: {bounds: {age: 1m}}", "missing field `count`"},
        {"deduplication: {bounds: {count: 0}}", "count must be non-zero"},
        {"deduplication: {bounds: {count: -1}}", "count of deduplication: "},
        {"deduplication: {bounds: {count: 1, age: soon}}",
         "age of deduplication: "},
        {"deduplication: {bounds: {count: 1, age: 0s}}", "more than nothing"},
        {"deduplication: {bounds: {count: 1, size: 2}}",
         "`size` does not belong into `bounds` of deduplication; known are "
         "`count` and `age`"},
        {"deduplication: {bounds: {count: [1]}}", "has to be a single value"},
        {"deduplication: {bounds: {count: 1}}", "needs `filter`"},
        {"deduplication: {bounds: {count: 1}, filter: {uses: d}}",
         "`uses` does not belong into `filter` of deduplication; known are "
         "`transform`"},
        {"deduplication: {bounds: {count: 1}, filter: {transform: {uses: ''}}}",
         "needs `uses`, the name of a SmartModule"},
        {"deduplication: {bounds: {count: 1}, filter: {transform: {uses: d, "
         "with: [a]}}}",
         "a map of at most 250 parameters"},
        {"deduplication: {bounds: {count: 1}, filter: {transform: {uses: d, "
         "with: {a: {b: c}}}}}",
         "the parameter `a` of deduplication has to be a single value"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_cfile f;
        struct flv_err err = {0};
        char text[400];
        (void)snprintf(text, sizeof(text),
                       "apiVersion: 0.2.0\nmeta:\n  name: n\n  type: t\n"
                       "  version: 1\n  topic:\n    meta: {name: t}\n    %s\n",
                       table[i][0]);
        flv_rc rc =
            flv_cfile_parse(&f, "f.yml", flv_slice_str(text), &conf, &err);
        if (rc != FLV_E_INVALID || strstr(err.text, table[i][1]) == NULL ||
            strncmp(err.text, "f.yml:8:", 8) != 0) {
            fail_msg("%s -> %s \"%s\"", table[i][0], flv_rc_name(rc), err.text);
        }
        flv_cfile_deinit(&f);
    }
}

static void too_many_settings_are_refused(void **state)
{
    (void)state;
    struct flv_buf text;
    struct flv_cfile f;
    struct flv_err err = {0};
    flv_buf_init(&text, 1 << 20);
    assert_int_equal(flv_buf_add_str(&text, HEAD "parameters:\n  h:\n"),
                     FLV_OK);
    for (int i = 0; i <= FLV_CFILE_SETTINGS_MAX; i++) {
        assert_int_equal(flv_buf_add_str(&text, "    - a\n"), FLV_OK);
    }
    assert_int_equal(
        flv_cfile_parse(&f, "f.yml", flv_buf_slice(&text), &conf, &err),
        FLV_E_INVALID);
    assert_non_null(strstr(err.text, "more than 1000 settings"));
    flv_cfile_deinit(&f);
    flv_buf_deinit(&text);
}

static void an_empty_secret_is_a_value(void **state)
{
    (void)state;
    struct flv_cfile f;
    parse(&f, HEAD "parameters:\n  a: ${{ secrets.EMPTY }}\n"
                   "  b: x${{ secrets.EMPTY }}y${{ secrets.EMPTY }}\n");
    assert_string_equal(settings(&f), "a=\nb=xy\n");
    flv_cfile_deinit(&f);
}

/* ---- Printed again ------------------------------------------------------- */

static void
printed_is(const char *text, const struct flv_opt *opts, const char *expected)
{
    struct flv_cfile f;
    struct flv_buf out;
    parse(&f, text);
    flv_buf_init(&out, 1 << 20);
    assert_int_equal(flv_cfile_print(&f, opts, &out), FLV_OK);
    assert_string_equal(flv_buf_str(&out), expected);
    flv_buf_deinit(&out);
    flv_cfile_deinit(&f);
}

static void a_file_is_printed_without_its_secrets(void **state)
{
    (void)state;
    static const struct flv_opt opts[] = {
        {.name = "endpoint", .type = FLV_OPT_STR},
        {.name = "header", .type = FLV_OPT_LIST, .flags = FLV_OPT_SECRET},
        {.name = NULL}};
    static const char flat[] =
        "# comment\nversion: v1\nparameters:\n  endpoint: 'http://h/'\n"
        "  header: [\"A: hunter2\", \"B: ${{ secrets.TOKEN }}\"]\n"
        "topic: t\nname: n\ntype: http\n"
        "secrets:\n  X: hunter2\n  Y: ${{ secrets.TOKEN }}\n  Z:\n"
        "transforms:\n  - uses: m\n    with: {a: 1}\n";
    printed_is(flat, opts,
               "---\nname: n\ntype: http\ntopic: t\nversion: v1\n"
               "parameters:\n  endpoint: \"http://h/\"\n  header:\n"
               "    - \"[REDACTED]\"\n    - \"B: ${{ secrets.TOKEN }}\"\n"
               "secrets:\n  X: \"[REDACTED]\"\n"
               "  Y: ${{ secrets.TOKEN }}\n  Z: \"[REDACTED]\"\n"
               "transforms:\n  -\n    uses: m\n    with:\n      a: 1\n");
    printed_is(HEAD "parameters:\n  a: 1\n  b: {}\n", NULL,
               "---\nname: n\ntype: http\ntopic: t\nparameters:\n"
               "  a: \"[REDACTED]\"\n  b: {}\n");
    printed_is(META "  version: latest\n  topic: t\nhttp:\n  endpoint: x\n",
               opts,
               "---\napiVersion: 0.1.0\nmeta:\n  name: n\n"
               "  type: http-source\n  version: latest\n  topic: t\n"
               "http:\n  endpoint: x\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_file_is_read),
        cmocka_unit_test(kafka_connects_envelope_is_the_same_file),
        cmocka_unit_test(repeated_topic_is_dropped_when_equal),
        cmocka_unit_test(late_flat_file_is_read),
        cmocka_unit_test(types_with_suffixes_are_normalised),
        cmocka_unit_test(meta_file_is_read),
        cmocka_unit_test(a_group_of_settings_is_read_as_settings),
        cmocka_unit_test(topic_with_settings_is_read),
        cmocka_unit_test(transforms_and_consumer_are_handed_on),
        cmocka_unit_test(transforms_are_read_with_all_they_have),
        cmocka_unit_test(one_transform_is_read_from_json),
        cmocka_unit_test(restart_and_limits_are_for_the_manager),
        cmocka_unit_test(bad_restart_and_limits_are_refused),
        cmocka_unit_test(unknown_keys_are_warned_of),
        cmocka_unit_test(bad_flat_files_are_told_with_place_and_fix),
        cmocka_unit_test(bad_meta_files_are_told_with_place_and_fix),
        cmocka_unit_test(bad_topic_settings_are_told),
        cmocka_unit_test(too_many_settings_are_refused),
        cmocka_unit_test(an_empty_secret_is_a_value),
        cmocka_unit_test(a_file_is_printed_without_its_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
