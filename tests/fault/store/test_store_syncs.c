/* No sync call of store can be left out: with any one of them ignored by the
 * disk, the life stories of test_store_twin find a broken promise. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#include "cm.h"
#include "store/io.h"
#include "twin.h"

#define RUNS_MAX 20000

static const char *const names[] = {
#define NAME(name, text) "FLV_SYNC_" #name,
    FLV_SYNC_MAP(NAME)
#undef NAME
};

static void each_sync_call_is_needed(void **state)
{
    (void)state;
    for (int site = 0; site < FLV_SYNC_COUNT; site++) {
        struct twin_stats stats = {0};
        char why[400] = "";
        uint64_t seed = 1;

        while (seed <= RUNS_MAX &&
               twin_run(seed, site, &stats, why, sizeof(why))) {
            seed++;
        }
        printf("# without %s: after %" PRIu64 " lives: %s\n",
               flv_sync_text((enum flv_sync)site), stats.lives, why);
        fflush(stdout);
        assert_true(stats.syncs[site] > 0);
        assert_true(seed <= RUNS_MAX);
    }
}

static unsigned count(const char *text, const char *name)
{
    size_t len = strlen(name);
    unsigned n = 0;

    for (; (text = strstr(text, name)) != NULL; text += len) {
        char next = text[len];

        /* Not the beginning of a longer name. */
        n += !(next == '_' || (next >= 'A' && next <= 'Z'));
    }
    return n;
}

static unsigned uses[FLV_SYNC_COUNT];
static unsigned calls;

static void read_source(const char *path)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    size_t len;

    assert_non_null(f);
    len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';
    for (int site = 0; site < FLV_SYNC_COUNT; site++) {
        uses[site] += count(text, names[site]);
    }
    calls += count(text, "->sync(") + count(text, "->sync_dir(");
}

/* So that a call cannot hide behind the name of another. */
static void each_sync_call_has_a_name_of_its_own(void **state)
{
    const char *dir = FLV_SOURCE_DIR "/src/store";
    DIR *d = opendir(dir);
    struct dirent *e;

    (void)state;
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        char path[512];

        if (len > 2 && strcmp(e->d_name + len - 2, ".c") == 0) {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            read_source(path);
        }
    }
    closedir(d);
    for (int site = 0; site < FLV_SYNC_COUNT; site++) {
        assert_int_equal(uses[site], 1);
    }
    assert_int_equal(calls, FLV_SYNC_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sync_call_has_a_name_of_its_own),
        cmocka_unit_test(each_sync_call_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
