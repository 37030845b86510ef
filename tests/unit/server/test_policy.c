/* Rules of who may do what: reading them, and asking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"
#include "server/policy.h"
#include "tmpdir.h"

static struct flv_policy *rules(const char *text)
{
    struct flv_policy *p = NULL;
    struct flv_err err = {0};
    if (flv_policy_read(&p, flv_slice_str(text), "p", &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return p;
}

static bool may(const struct flv_policy *p,
                const char *who,
                enum flv_right right,
                const char *name)
{
    return flv_policy_allows(p, who, right, flv_slice_str(name));
}

static void what_no_rule_allows_is_refused(void **state)
{
    struct flv_policy *p = rules("# a comment\n"
                                 "\n"
                                 "alice produce,consume orders-*  # hers\r\n"
                                 "\"the ops\"\tall\t*\n"
                                 "* consume public-*-v*\n"
                                 "\"*\" delete x");
    (void)state;
    assert_true(may(p, "alice", FLV_RIGHT_PRODUCE, "orders-eu"));
    assert_true(may(p, "alice", FLV_RIGHT_CONSUME, "orders-"));
    assert_false(may(p, "alice", FLV_RIGHT_DELETE, "orders-eu"));
    assert_false(may(p, "alice", FLV_RIGHT_PRODUCE, "order"));
    assert_false(may(p, "alice", FLV_RIGHT_PRODUCE, "my-orders-eu"));
    assert_false(may(p, "Alice", FLV_RIGHT_PRODUCE, "orders-eu"));
    assert_false(may(p, "ali", FLV_RIGHT_PRODUCE, "orders-eu"));
    assert_true(may(p, "the ops", FLV_RIGHT_CREATE, "anything"));
    assert_true(may(p, "the ops", FLV_RIGHT_DELETE, "anything"));
    assert_true(may(p, "bob", FLV_RIGHT_CONSUME, "public-a-v1"));
    assert_true(may(p, "bob", FLV_RIGHT_CONSUME, "public--v-v"));
    assert_false(may(p, "bob", FLV_RIGHT_CONSUME, "public-a"));
    assert_false(may(p, "bob", FLV_RIGHT_PRODUCE, "public-a-v1"));
    /* A star in quotes is somebody's name. */
    assert_false(may(p, "bob", FLV_RIGHT_DELETE, "x"));
    assert_true(may(p, "*", FLV_RIGHT_DELETE, "x"));
    /* Nobody is nobody, also for rules about everybody. */
    assert_false(may(p, NULL, FLV_RIGHT_CONSUME, "public-a-v1"));
    flv_policy_destroy(p);
    p = rules("");
    assert_false(may(p, "alice", FLV_RIGHT_CONSUME, "a"));
    flv_policy_destroy(p);
    flv_policy_destroy(NULL);
}

static void stars_match_as_people_expect(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        {"a", "a", true},         {"a", "ab", false},
        {"a*", "a", true},        {"*a", "ba", true},
        {"*a", "ab", false},      {"*a*", "bab", true},
        {"a*b*c", "a1b2c", true}, {"a*b*c", "abcbc", true},
        {"a*b*c", "abcb", false}, {"**", "x", true},
        {"*aab", "aaab", true},   {"ab", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "x all %s\n", cases[i].pattern);
        struct flv_policy *p = rules(line);
        if (may(p, "x", FLV_RIGHT_CREATE, cases[i].name) != cases[i].match) {
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
        }
        flv_policy_destroy(p);
    }
}

static void mistakes_name_their_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"alice", "p:1: a word is missing"},
        {"\n\nalice all", "p:3: a word is missing"},
        {"alice all * *", "p:1: there is a word too many"},
        {"alice read *", "p:1: \"read\" is none of create, delete"},
        {"alice produce, *", "p:1: \"\" is none of"},
        {"alice produce,,consume *", "\"\" is none of"},
        {"\"alice all *", "a quote is not closed"},
        {"\"\" all *", "a word is empty"},
        {"a all \"\"", "a word is empty"},
        {"# fine\nx Produce *", "p:2: \"Produce\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flv_policy *p = NULL;
        struct flv_err err = {0};
        assert_int_equal(
            flv_policy_read(&p, flv_slice_str(cases[i].text), "p", &err),
            FLV_E_INVALID);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        }
        assert_null(p);
    }
    struct flv_policy *p = NULL;
    struct flv_err err = {0};
    assert_int_equal(flv_policy_read(&p, flv_slice("a\0b", 3), "p", &err),
                     FLV_E_INVALID);
}

static void sizes_have_ceilings(void **state)
{
    struct flv_policy *p = NULL;
    struct flv_err err = {0};
    struct tmpdir tmp;
    char path[256];
    const size_t line = strlen("a all *\n");
    char *text = malloc((FLV_POLICY_RULES_MAX + 1) * line + 1);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i <= FLV_POLICY_RULES_MAX; i++) {
        memcpy(text + i * line, "a all *\n", line + 1);
    }
    assert_int_equal(flv_policy_read(&p, flv_slice_str(text), "p", &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "p:10001: there are too many rules"));
    free(text);
    tmpdir_make(&tmp, "policy");
    (void)snprintf(path, sizeof path, "%s/rules", tmp.path);
    assert_int_equal(flv_policy_load(&p, path, &err), FLV_E_IO);
    assert_non_null(strstr(err.text, path));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i <= FLV_POLICY_BYTES_MAX; i++) {
        (void)fputc('#', f);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(flv_policy_load(&p, path, &err), FLV_E_LIMIT);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("a consume b", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(flv_policy_load(&p, path, &err), FLV_OK);
    assert_true(may(p, "a", FLV_RIGHT_CONSUME, "b"));
    flv_policy_destroy(p);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(tmp.path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_rule_allows_is_refused),
        cmocka_unit_test(stars_match_as_people_expect),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(sizes_have_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
