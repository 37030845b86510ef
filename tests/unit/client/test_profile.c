/* The profile file: what is read, what an edit leaves alone, what is said. */
#include <fluvio/client.h>

#include "base/mem.h"
#include "client/toml.h"
#include "cm.h"
#include "tmpdir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tmpdir tmp;
static char path[96];

static void put(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_file(const char *expected)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    size_t n = 0;

    assert_non_null(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    assert_string_equal(text, expected);
}

static struct flv_profiles *load(void)
{
    struct flv_profiles *p = NULL;
    struct flv_err err;

    if (flv_profiles_load(&p, path, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return p;
}

static void save(struct flv_profiles *p)
{
    struct flv_err err;

    if (flv_profiles_save(p, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    flv_profiles_destroy(p);
}

static const char full[] = "# by hand\n"
                           "version = \"2.0\"\n"
                           "current_profile = \"local\" # active\n"
                           "unknown = [1, 2,\n  3] # kept\n"
                           "\n"
                           "[profile.local]\n"
                           "cluster = 'local'\n"
                           "topic = \"t\"\n"
                           "partition = 3\n"
                           "\n"
                           "[profile.\"far away\"]\n"
                           "cluster = \"cloud\"\n"
                           "\n"
                           "[cluster.local]\n"
                           "endpoint = \"127.0.0.1:9003\"\n"
                           "use_spu_local_address = true\n"
                           "tls = { tls_policy = \"disabled\" }\n"
                           "\n"
                           "[cluster.local.metadata.installation]\n"
                           "typ = \"local\"\n"
                           "\n"
                           "[cluster.cloud]\n"
                           "addr = \"far:9003\"\n"
                           "client_id = \"me\"\n"
                           "[cluster.cloud.tls]\n"
                           "tls_policy = \"verified\"\n"
                           "tls_source = \"inline\"\n"
                           "[cluster.cloud.tls.certs]\n"
                           "domain = \"fluvio.io\"\n"
                           "key = \"\"\"\n-----BEGIN\nK\n\"\"\"\n"
                           "cert = '''C'''\n"
                           "ca_cert = \"A\\u00e9\"\n";

static void reads_what_real_tools_write(void **state)
{
    struct flv_profiles *p = NULL;
    struct flv_profile a;
    struct flv_client_conf conf;

    (void)state;
    put(full);
    p = load();
    assert_string_equal(flv_profiles_path(p), path);
    assert_string_equal(flv_profiles_current(p), "local");
    assert_int_equal(flv_profiles_count(p), 2);
    assert_int_equal(flv_profiles_find(p, NULL, &a, NULL), FLV_OK);
    assert_string_equal(a.name, "local");
    assert_string_equal(a.endpoint, "127.0.0.1:9003");
    assert_string_equal(a.topic, "t");
    assert_int_equal(a.partition, 3);
    assert_true(a.use_spu_local_address);
    assert_string_equal(a.installation, "local");
    assert_int_equal(a.tls.policy, FLV_TLS_DISABLED);
    assert_int_equal(flv_client_conf_profile(&conf, &a, NULL), FLV_OK);
    assert_string_equal(conf.address, "127.0.0.1:9003");
    flv_profiles_at(p, 1, &a);
    assert_string_equal(a.name, "far away");
    assert_string_equal(a.endpoint, "far:9003");
    assert_string_equal(a.client_id, "me");
    assert_int_equal(a.tls.policy, FLV_TLS_VERIFIED);
    assert_true(a.tls.is_inline);
    assert_string_equal(a.tls.domain, "fluvio.io");
    assert_string_equal(a.tls.key, "-----BEGIN\nK\n");
    assert_string_equal(a.tls.cert, "C");
    assert_string_equal(a.tls.ca_cert, "A\xc3\xa9");
    assert_int_equal(flv_client_conf_profile(&conf, &a, NULL), FLV_OK);
    assert_int_equal(conf.tls.policy, FLV_TLS_VERIFIED);
    assert_true(conf.tls.is_inline);
    assert_string_equal(conf.tls.cert, "C");
    flv_profiles_destroy(p);
}

static void tls_is_set_and_taken_back(void **state)
{
    const struct flv_client_tls half = {.policy = FLV_TLS_VERIFIED,
                                        .domain = "d"};
    const struct flv_client_tls whole = {.policy = FLV_TLS_VERIFIED,
                                         .domain = "a.b",
                                         .ca_cert = "/ca",
                                         .cert = "/it's \"me\"",
                                         .key = "/key"};
    struct flv_profiles *p = NULL;
    struct flv_profile a;
    struct flv_err err;

    (void)state;
    put(full);
    p = load();
    assert_int_equal(flv_profiles_set_tls(p, "local", &half, &err),
                     FLV_E_INVALID);
    assert_int_equal(flv_profiles_set_tls(p, "nobody", &whole, &err),
                     FLV_E_NOT_FOUND);
    assert_int_equal(flv_profiles_set_tls(p, "local", &whole, NULL), FLV_OK);
    assert_int_equal(flv_profiles_set_tls(p, "far away", &whole, NULL), FLV_OK);
    assert_int_equal(flv_profiles_save(p, NULL), FLV_OK);
    flv_profiles_destroy(p);
    p = load();
    for (size_t i = 0; i < 2; i++) {
        flv_profiles_at(p, i, &a);
        assert_int_equal(a.tls.policy, FLV_TLS_VERIFIED);
        assert_false(a.tls.is_inline);
        assert_string_equal(a.tls.domain, "a.b");
        assert_string_equal(a.tls.cert, "/it's \"me\"");
        assert_string_equal(a.tls.key, "/key");
    }
    assert_int_equal(flv_profiles_add(p, "local", "x:1", NULL, NULL), FLV_OK);
    assert_int_equal(flv_profiles_find(p, "local", &a, NULL), FLV_OK);
    assert_int_equal(a.tls.policy, FLV_TLS_DISABLED);
    flv_profiles_destroy(p);
}

static void a_missing_file_is_an_empty_set(void **state)
{
    struct flv_profiles *p = NULL;
    struct flv_profile a;
    struct flv_err err;

    (void)state;
    (void)unlink(path);
    p = load();
    assert_int_equal(flv_profiles_count(p), 0);
    assert_null(flv_profiles_current(p));
    assert_int_equal(flv_profiles_find(p, NULL, &a, &err), FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "No active profile set in config");
    assert_int_equal(flv_profiles_find(p, "x", &a, &err), FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "Profile not found in config: x");
    flv_profiles_destroy(p);
}

static void edits_leave_the_rest_alone(void **state)
{
    struct flv_profiles *p = NULL;
    char *expected = NULL;
    char *at = NULL;

    (void)state;
    put(full);
    p = load();
    assert_int_equal(flv_profiles_switch(p, "far away", NULL), FLV_OK);
    save(p);
    expected = flv_alloc(sizeof(full) + 16);
    assert_non_null(expected);
    at = strstr(full, "\"local\" # active");
    assert_non_null(at);
    (void)snprintf(expected, sizeof(full) + 16, "%.*s\"far away\"%s",
                   (int)(at - full), full, at + strlen("\"local\""));
    assert_file(expected);
    flv_free(expected);
}

static void adds_a_profile_to_nothing(void **state)
{
    struct flv_profiles *p = NULL;
    struct stat st;

    (void)state;
    (void)unlink(path);
    p = load();
    assert_int_equal(
        flv_profiles_add(p, "local", "127.0.0.1:9003", "local", NULL), FLV_OK);
    save(p);
    assert_file("version = \"2.0\"\n"
                "current_profile = \"local\"\n"
                "\n[profile.local]\n"
                "cluster = \"local\"\n"
                "\n[cluster.local]\n"
                "endpoint = \"127.0.0.1:9003\"\n"
                "use_spu_local_address = false\n"
                "\n[cluster.local.tls]\n"
                "tls_policy = \"disabled\"\n"
                "\n[cluster.local.metadata.installation]\n"
                "typ = \"local\"\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* again with another address: the same file with that */
    p = load();
    assert_int_equal(
        flv_profiles_add(p, "local", "127.0.0.1:9103", "local", NULL), FLV_OK);
    save(p);
    p = load();
    assert_int_equal(flv_profiles_count(p), 1);
    flv_profiles_destroy(p);
}

static void renames_deletes_and_says_what_is_missing(void **state)
{
    struct flv_profiles *p = NULL;
    struct flv_profile a;
    struct flv_err err;

    (void)state;
    put(full);
    p = load();
    assert_int_equal(flv_profiles_rename(p, "local", "far away", &err),
                     FLV_E_EXISTS);
    assert_int_equal(flv_profiles_rename(p, "none", "x", &err),
                     FLV_E_NOT_FOUND);
    assert_int_equal(flv_profiles_rename(p, "local", "a.b c", NULL), FLV_OK);
    assert_string_equal(flv_profiles_current(p), "a.b c");
    assert_int_equal(flv_profiles_find(p, NULL, &a, NULL), FLV_OK);
    assert_string_equal(a.endpoint, "127.0.0.1:9003");
    assert_int_equal(flv_profiles_switch(p, "none", &err), FLV_E_NOT_FOUND);
    assert_string_equal(err.text, "profile none not found");
    assert_int_equal(flv_profiles_delete_cluster(p, "cloud", false, &err),
                     FLV_E_LOCKED);
    assert_int_equal(flv_profiles_delete_cluster(p, "cloud", true, NULL),
                     FLV_OK);
    assert_int_equal(flv_profiles_delete(p, "a.b c", NULL), FLV_OK);
    assert_null(flv_profiles_current(p));
    assert_int_equal(flv_profiles_count(p), 1);
    save(p);
    assert_file("# by hand\n"
                "version = \"2.0\"\n"
                "unknown = [1, 2,\n  3] # kept\n"
                "\n"
                "[profile.\"far away\"]\n"
                "cluster = \"cloud\"\n"
                "\n"
                "[cluster.local]\n"
                "endpoint = \"127.0.0.1:9003\"\n"
                "use_spu_local_address = true\n"
                "tls = { tls_policy = \"disabled\" }\n"
                "\n"
                "[cluster.local.metadata.installation]\n"
                "typ = \"local\"\n"
                "\n");
}

static void an_exported_profile_works_alone(void **state)
{
    struct flv_profiles *p = NULL;
    struct flv_profile a;
    char *text = NULL;

    (void)state;
    put(full);
    p = load();
    assert_int_equal(flv_profiles_export(p, "far away", &text, NULL), FLV_OK);
    flv_profiles_destroy(p);
    put(text);
    flv_client_free(text);
    p = load();
    assert_int_equal(flv_profiles_find(p, NULL, &a, NULL), FLV_OK);
    assert_string_equal(a.name, "far away");
    assert_string_equal(a.tls.key, "-----BEGIN\nK\n");
    assert_int_equal(a.tls.policy, FLV_TLS_VERIFIED);
    flv_profiles_destroy(p);
}

static void bad_files_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"a = 1\na = 2\n", "line 2"},
        {"[x]\n[x]\n", "line 2"},
        {"a = \n", "line 1"},
        {"a 1\n", "line 1"},
        {"a = word\n", "quote texts"},
        {"a = \"x\n", "line 1: string is not closed"},
        {"a = \"\"\"x\n", "line 1: string is not closed"},
        {"a = \"\\q\"\n", "unknown escape"},
        {"a = \"\\u12\"\n", "hexadecimal"},
        {"a = \"\\u0000\"\n", "U+0000"},
        {"a = [1, 2\n", "line"},
        {"a = {b = 1\n}\n", "line 1"},
        {"a = 1 2\n", "unexpected text"},
        {"[a\n", "not closed"},
        {"a = 1\n[a.b]\n", "line 2"},
        {"a.b.c.d.e.f.g.h.i = 1\n", "longer than"},
        {"a = [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", "nested deeper"},
        {"a = \"\x01\"\n", "control character"},
        {"a = \"\xff\"\n", "UTF-8"},
        {"current_profile = 1\n", "current_profile has to be a text"},
        {"[profile]\nx = 1\n", "a profile has to be a table"},
        {"[cluster.c]\nendpoint = 9003\n", "endpoint has to be a text"},
        {"[cluster.c.tls]\ntls_policy = \"maybe\"\n", "maybe"},
        {"[cluster.c.tls]\ntls_policy = \"verified\"\n", "domain"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flv_profiles *p = NULL;
        struct flv_err err;

        put(cases[i].text);
        if (flv_profiles_load(&p, path, &err) == FLV_OK) {
            fail_msg("case %zu was read", i);
        }
        if (strstr(err.text, cases[i].says) == NULL ||
            strstr(err.text, path) == NULL) {
            fail_msg("case %zu says: %s", i, err.text);
        }
    }
}

static void what_cannot_be_read_or_written_is_told(void **state)
{
    struct flv_profiles *p = NULL;
    struct flv_err err;

    (void)state;
    assert_int_equal(flv_profiles_load(&p, tmp.path, &err), FLV_E_IO);
    assert_non_null(strstr(err.text, tmp.path));
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0755), 0);
    p = NULL;
    assert_int_equal(flv_profiles_load(&p, path, &err), FLV_E_IO);
    assert_int_equal(rmdir(path), 0);
    p = load();
    assert_int_equal(flv_profiles_add(p, "x", "h:1", NULL, NULL), FLV_OK);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(flv_profiles_save(p, &err), FLV_E_IO);
    assert_int_equal(rmdir(path), 0);
    flv_profiles_destroy(p);
}

/* An edit that fails for want of memory changes nothing. */
static void survives_each_failing_allocation(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 900; nth += 7) {
        struct flv_profiles *p = NULL;
        struct flv_profile a;
        flv_rc rc = FLV_OK;

        put(full);
        p = load();
        (void)flv__mem_fail_at(nth);
        rc = flv_profiles_rename(p, "far away", "x", NULL);
        if (rc == FLV_OK) {
            rc = flv_profiles_add(p, "new", "h:1", "docker", NULL);
        }
        if (rc == FLV_OK) {
            rc = flv_profiles_save(p, NULL);
        }
        (void)flv__mem_fail_at(0);
        assert_true(rc == FLV_OK || rc == FLV_E_NOMEM);
        assert_int_equal(flv_profiles_find(p, "local", &a, NULL), FLV_OK);
        assert_string_equal(a.endpoint, "127.0.0.1:9003");
        flv_profiles_destroy(p);
    }
}

static int make_dir(void **state)
{
    (void)state;
    tmpdir_make(&tmp, "profile");
    (void)snprintf(path, sizeof(path), "%s/config", tmp.path);
    return 0;
}

static int drop_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(tmp.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_real_tools_write),
        cmocka_unit_test(tls_is_set_and_taken_back),
        cmocka_unit_test(a_missing_file_is_an_empty_set),
        cmocka_unit_test(edits_leave_the_rest_alone),
        cmocka_unit_test(adds_a_profile_to_nothing),
        cmocka_unit_test(renames_deletes_and_says_what_is_missing),
        cmocka_unit_test(an_exported_profile_works_alone),
        cmocka_unit_test(bad_files_are_refused_with_their_line),
        cmocka_unit_test(what_cannot_be_read_or_written_is_told),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
