/* Names of units, and what is asked before anything is started. */

#include "cli/systemd.h"
#include "cm.h"

#include <stdlib.h>
#include <string.h>

static const char *name_of(const char *dir)
{
    static char name[CLI_UNIT_MAX];
    cli_unit_name("fluvio-server", dir, name);
    return name;
}

static void a_unit_is_named_after_its_folder(void **state)
{
    (void)state;
    assert_string_equal(name_of("/home/me/.fluvio/data"),
                        "fluvio-server-home-me-.fluvio-data.service");
    assert_string_equal(name_of("//home//me/"),
                        "fluvio-server-home-me.service");
    assert_string_equal(name_of("/a b/ü%\\"),
                        "fluvio-server-a_20b-_c3_bc_25_5c.service");
}

static void two_folders_never_share_a_name(void **state)
{
    (void)state;
    assert_string_equal(name_of("/a-b"), "fluvio-server-a_2db.service");
    assert_string_equal(name_of("/a/b"), "fluvio-server-a-b.service");
    assert_string_equal(name_of("/a_2db"), "fluvio-server-a_5f2db.service");
}

static void folders_that_systemd_cannot_take_have_no_name(void **state)
{
    (void)state;
    char dir[400] = "/";
    assert_string_equal(name_of("/home/$me"), "");
    memset(dir + 1, 'x', 233);
    assert_int_equal(strlen(name_of(dir)), CLI_UNIT_MAX - 1);
    dir[234] = 'x';
    assert_string_equal(name_of(dir), "");
    enum cli_supervisor who = CLI_BY_ANY;
    struct flv_err err = {0};
    assert_int_equal(cli_supervisor_choose(CLI_BY_SYSTEMD, "", &who, &err),
                     FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "--supervisor guard"));
}

static void without_a_runtime_folder_there_is_no_unit(void **state)
{
    (void)state;
    enum cli_supervisor who = CLI_BY_ANY;
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(cli_supervisor_choose(CLI_BY_ANY, "a.service", &who, NULL),
                     FLV_OK);
    assert_int_equal(who, CLI_BY_GUARD);
    assert_false(cli_unit_exists("a.service"));
    assert_int_equal(cli_unit_stop("a.service", 1000, NULL), FLV_OK);
    struct cli_unit_state u;
    assert_false(cli_unit_look("a.service", &u));
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_false(cli_unit_exists("a.service"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_is_named_after_its_folder),
        cmocka_unit_test(two_folders_never_share_a_name),
        cmocka_unit_test(folders_that_systemd_cannot_take_have_no_name),
        cmocka_unit_test(without_a_runtime_folder_there_is_no_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
