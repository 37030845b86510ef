/* notify.h, heard by a socket of our own. */
#include "cm.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

/* Listens at `name`, where '@' stands for an abstract one. */
static int listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_true(len < sizeof at.sun_path);
    memcpy(at.sun_path, name, len);
    if (name[0] == '@') {
        at.sun_path[0] = '\0';
    }
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char got[64] = "";
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), strlen(text));
    assert_string_equal(got, text);
}

static void a_socket_of_a_path_and_an_abstract_one_hear_it(void **state)
{
    (void)state;
    char names[2][64];
    char folder[] = "/tmp/flv-notify.XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(names[0], sizeof names[0], "%s/s", folder);
    snprintf(names[1], sizeof names[1], "@flv-notify-%ld", (long)getpid());
    for (int i = 0; i < 2; i++) {
        int fd = listen_at(names[i]);
        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        assert_true(flv_notify("READY=1"));
        assert_true(flv_notify("STOPPING=1"));
        expect(fd, "READY=1");
        expect(fd, "STOPPING=1");
        close(fd);
    }
    unlink(names[0]);
    assert_int_equal(rmdir(folder), 0);
}

static void nobody_to_tell_is_no_trouble(void **state)
{
    (void)state;
    char long_name[300] = "/";
    memset(long_name + 1, 'x', sizeof long_name - 2);
    const char *const names[] = {"", "@", "relative", "/no/such/socket",
                                 long_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        assert_false(flv_notify("READY=1"));
    }
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_false(flv_notify("READY=1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_of_a_path_and_an_abstract_one_hear_it),
        cmocka_unit_test(nobody_to_tell_is_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
