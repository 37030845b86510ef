/* What two failures mean inside a container, and what the sentences say. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container.h"
#include "tmpdir.h"

static void only_a_loopback_address_is_the_container_itself(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.0.0.1:9003",
                                      "127.1.2.3", "localhost:9003",
                                      "localhost", "::1",
                                      "[::1]:9003"};
    static const char *const others[] = {"192.0.2.1:9003", "example.org", "",
                                         "10.127.0.1", "1270.example"};

    (void)state;
    for (size_t i = 0; i < COUNT(own); i++) {
        assert_string_equal(flv_container_refused(own[i]),
                            "; in a container that is the container itself: "
                            "run it with --network host");
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_string_equal(flv_container_refused(others[i]), "");
    }
}

static void the_owner_of_a_profile_is_named_as_the_user_to_run_as(void **state)
{
    char hint[FLV_CONTAINER_HINT_MAX], wanted[FLV_CONTAINER_HINT_MAX];
    const unsigned me = (unsigned)geteuid();
    /* A file of somebody else's that every machine has. */
    const char *theirs = me == 0 ? NULL : "/proc/1/environ";
    struct tmpdir tmp;
    char path[160];

    (void)state;
    tmpdir_make(&tmp, "container");
    tmpdir_write(tmp.path, "config", "");
    (void)snprintf(path, sizeof(path), "%s/config", tmp.path);
    if (me == 0) {
        assert_int_equal(chown(path, 4711, 4711), 0);
        theirs = path;
    }
    flv_container_unreadable(theirs, EACCES, hint);
    (void)snprintf(wanted, sizeof(wanted),
                   "; it is user %u's and this container runs as user %u: "
                   "run it with --user %u",
                   me == 0 ? 4711U : 0U, me, me == 0 ? 4711U : 0U);
    assert_string_equal(hint, wanted);
    if (me == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        flv_container_unreadable(path, EACCES, hint);
        assert_non_null(strstr(hint, "no user of this container"));
        assert_int_equal(chown(path, 0, 0), 0);
    }
    /* Ours and yet refused: not a matter of users. */
    flv_container_unreadable(me == 0 ? path : tmp.path, EACCES, hint);
    assert_string_equal(hint, "");
    tmpdir_remove(&tmp);
}

static void
a_folder_no_owner_and_other_errors_have_their_own_words(void **state)
{
    char hint[FLV_CONTAINER_HINT_MAX];

    (void)state;
    flv_container_unreadable("/tmp", EISDIR, hint);
    assert_string_equal(hint, "; the host had no such file: remove the folder "
                              "there and start a cluster");
    flv_container_unreadable("/nowhere/config", EACCES, hint);
    assert_non_null(strstr(hint, "--user and the owner's number"));
    flv_container_unreadable("/tmp", EIO, hint);
    assert_string_equal(hint, "");
}

/* An error has 200 bytes; the remedy is at its end. */
static void the_remedy_is_not_cut_off(void **state)
{
    struct flv_err err;

    (void)state;
    (void)flv_fail_sys(&err, FLV_E_IO, EACCES, "cannot read %s",
                       "/home/fluvio/.fluvio/config");
    flv_err_suffix(&err, "; it is user 4294967294's and this container runs as "
                         "user 4294967294: run it with --user 4294967294");
    assert_int_equal(err.sys, EACCES);
    assert_non_null(strstr(err.text, "--user 4294967294"));
    flv_err_suffix(NULL, "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_loopback_address_is_the_container_itself),
        cmocka_unit_test(the_owner_of_a_profile_is_named_as_the_user_to_run_as),
        cmocka_unit_test(
            a_folder_no_owner_and_other_errors_have_their_own_words),
        cmocka_unit_test(the_remedy_is_not_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
