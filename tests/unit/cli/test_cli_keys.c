/* Bytes of a terminal to keys. */
#include "cli/keys.h"
#include "cm.h"

#include <string.h>

static void
expect_of(const char *bytes, bool all, size_t taken, enum cli_key key)
{
    enum cli_key out = CLI_KEY_OTHER;
    const size_t n =
        cli_key_read((const uint8_t *)bytes, strlen(bytes), all, &out);
    if (n != taken || (n > 0 && out != key)) {
        fail_msg("%zu bytes of \"%s\": key %d", n, bytes + (bytes[0] == 27),
                 (int)out);
    }
}

static void expect(const char *bytes, size_t taken, enum cli_key key)
{
    expect_of(bytes, false, taken, key);
}

static void keys_of_every_terminal_are_known(void **state)
{
    (void)state;
    expect("q", 1, CLI_KEY_QUIT);
    expect("c", 1, CLI_KEY_CLEAR);
    expect("x", 1, CLI_KEY_OTHER);
    expect("\033[A", 3, CLI_KEY_UP);
    expect("\033OA", 3, CLI_KEY_UP);
    expect("\033[Bq", 3, CLI_KEY_DOWN);
    expect("\033OB", 3, CLI_KEY_DOWN);
    expect("\033[H", 3, CLI_KEY_FIRST);
    expect("\033[1~", 4, CLI_KEY_FIRST);
    expect("\033[7~", 4, CLI_KEY_FIRST);
    expect("\033[F", 3, CLI_KEY_LAST);
    expect("\033[4~", 4, CLI_KEY_LAST);
    expect("\033[8~", 4, CLI_KEY_LAST);
    expect("\033[5~", 4, CLI_KEY_PAGE_UP);
    expect("\033[6~", 4, CLI_KEY_PAGE_DOWN);
    /* With a modifier, and others. */
    expect("\033[1;5C", 6, CLI_KEY_OTHER);
    expect("\033[15~", 5, CLI_KEY_OTHER);
    expect("\033q", 2, CLI_KEY_OTHER);
}

static void half_a_key_waits_for_the_rest(void **state)
{
    (void)state;
    expect("\033", 0, CLI_KEY_OTHER);
    expect("\033[", 0, CLI_KEY_OTHER);
    expect("\033O", 0, CLI_KEY_OTHER);
    expect("\033[1;", 0, CLI_KEY_OTHER);
    /* But not for ever. */
    expect("\033[11111111111111", 16, CLI_KEY_OTHER);
}

static void what_has_no_rest_is_no_key_but_escape(void **state)
{
    (void)state;
    expect_of("\033", true, 1, CLI_KEY_QUIT);
    expect_of("\033[", true, 2, CLI_KEY_OTHER);
    expect_of("\033O", true, 2, CLI_KEY_OTHER);
    expect_of("\033[1;", true, 4, CLI_KEY_OTHER);
    expect_of("\033[A", true, 3, CLI_KEY_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_every_terminal_are_known),
        cmocka_unit_test(half_a_key_waits_for_the_rest),
        cmocka_unit_test(what_has_no_rest_is_no_key_but_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
