/* The engine when its library is missing, another one, or the right one; in
 * this order, because a process loads it once. */
#include "util.h"

#include <stdlib.h>

static void a_library_that_is_missing_is_one_sentence(void **state)
{
    const struct flv_sm_engine_conf conf = {.library = "/nonexistent/lib.so"};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_E_UNSUPPORTED);
    assert_null(e);
    assert_string_equal(err.text, "cannot load the WebAssembly engine "
                                  "/nonexistent/lib.so: no such file");
}

static void the_environment_names_a_library(void **state)
{
    const struct flv_sm_engine_conf conf = {0};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(setenv("WASMTIME_LIB", "/nonexistent/other.so", 1), 0);
    assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "/nonexistent/other.so"));
    unsetenv("WASMTIME_LIB");
}

static void another_library_is_refused(void **state)
{
    const struct flv_sm_engine_conf conf = {.library = "libm.so.6"};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "libm.so.6 is not Wasmtime"));
}

static void the_right_one_loads_behind_all_that(void **state)
{
    const struct flv_sm_engine_conf conf = {0};
    struct flv_sm_engine *e = NULL;
    struct flv_err err = {0};

    (void)state;
    assert_int_equal(flv_sm_engine_create(&e, &conf, &err), FLV_OK);
    assert_int_not_equal(flv_sm_engine_version(e)[0], '\0');
    flv_sm_engine_destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_that_is_missing_is_one_sentence),
        cmocka_unit_test(the_environment_names_a_library),
        cmocka_unit_test(another_library_is_refused),
        cmocka_unit_test(the_right_one_loads_behind_all_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
