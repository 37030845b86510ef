#include "server/metadb.h"

#include "cm.h"
#include "tmpdir.h"

#include <sqlite3.h>
#include <sys/wait.h>

struct fixture {
    struct tmpdir tmp;
    char path[128];
    struct flv_metadb *db;
};

static void reopen(struct fixture *f)
{
    flv_metadb_destroy(f->db);
    f->db = NULL;
    assert_int_equal(flv_metadb_create(&f->db, f->path, false, NULL), FLV_OK);
}

static int setup(void **state)
{
    static struct fixture f;
    f.db = NULL;
    tmpdir_make(&f.tmp, "metadb");
    snprintf(f.path, sizeof f.path, "%s/meta.db", f.tmp.path);
    *state = &f;
    return flv_metadb_create(&f.db, f.path, false, NULL) != FLV_OK;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flv_metadb_destroy(f->db);
    tmpdir_remove(&f->tmp);
    return 0;
}

static void put_topic(struct fixture *f, uint64_t id, const char *name)
{
    struct flv_topic_row row = {.id = id,
                                .name = flv_slice_str(name),
                                .partition_count = 2,
                                .durability = 1,
                                .system = id == 1,
                                .spec_version = 19,
                                .spec = flv_slice("\0spec", 5)};
    assert_int_equal(flv_metadb_put_topic(f->db, &row, NULL), FLV_OK);
}

static flv_rc put_offset(struct fixture *f,
                         uint64_t topic,
                         const char *consumer,
                         int64_t offset,
                         bool *found)
{
    struct flv_offset_change c = {.row = {.topic_id = topic,
                                          .partition = 1,
                                          .consumer = flv_slice_str(consumer),
                                          .offset = offset,
                                          .modified_s = 42}};
    return flv_metadb_change_offsets(f->db, &c, 1, found, NULL);
}

struct seen {
    char text[512];
    int64_t last_offset;
};

static flv_rc
see_topic(const struct flv_topic_row *row, void *arg, struct flv_err *err)
{
    (void)err;
    struct seen *s = arg;
    size_t at = strlen(s->text);
    assert_int_equal(row->spec.len, 5);
    assert_int_equal(row->spec_version, 19);
    snprintf(s->text + at, sizeof s->text - at, "%d:%.*s/%u ", (int)row->id,
             (int)row->name.len, (const char *)row->name.data,
             row->partition_count);
    return FLV_OK;
}

static flv_rc
see_offset(const struct flv_offset_row *row, void *arg, struct flv_err *err)
{
    (void)err;
    struct seen *s = arg;
    size_t at = strlen(s->text);
    s->last_offset = row->offset;
    snprintf(s->text + at, sizeof s->text - at, "%d-%u:%.*s=%d ",
             (int)row->topic_id, row->partition, (int)row->consumer.len,
             (const char *)row->consumer.data, (int)row->offset);
    return FLV_OK;
}

static void expect_offsets(struct fixture *f,
                           struct flv_offset_query query,
                           const char *want)
{
    struct seen s = {0};
    assert_int_equal(
        flv_metadb_each_offset(f->db, &query, see_offset, &s, NULL), FLV_OK);
    assert_string_equal(s.text, want);
}

static void topics_come_back_after_reopen(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "b");
    put_topic(f, 4, "a");
    reopen(f);
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_topic(f->db, see_topic, &s, NULL), FLV_OK);
    assert_string_equal(s.text, "4:a/2 1:b/2 ");
}

static void creation_ids_are_never_used_again(void **state)
{
    struct fixture *f = *state;
    uint64_t id = 0;
    assert_int_equal(flv_metadb_next_id(f->db, &id, NULL), FLV_OK);
    assert_int_equal(id, 1);
    put_topic(f, 9, "t");
    assert_int_equal(flv_metadb_delete_topic(f->db, 9, NULL), FLV_OK);
    reopen(f);
    assert_int_equal(flv_metadb_next_id(f->db, &id, NULL), FLV_OK);
    assert_int_equal(id, 10);
}

static void a_data_directory_keeps_its_id(void **state)
{
    struct fixture *f = *state;
    uint64_t id = 0, again = 0;
    assert_int_equal(flv_metadb_store_id(f->db, &id, NULL), FLV_OK);
    assert_int_equal(flv_metadb_store_id(f->db, &again, NULL), FLV_OK);
    assert_true(id == again);
    reopen(f);
    assert_int_equal(flv_metadb_store_id(f->db, &again, NULL), FLV_OK);
    assert_true(id == again);
}

static void deleted_topic_takes_its_offsets_along(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    put_topic(f, 2, "b");
    assert_int_equal(put_offset(f, 1, "c", 5, NULL), FLV_OK);
    assert_int_equal(put_offset(f, 2, "c", 6, NULL), FLV_OK);
    assert_int_equal(flv_metadb_delete_topic(f->db, 1, NULL), FLV_OK);
    reopen(f);
    expect_offsets(f, (struct flv_offset_query){0}, "2-1:c=6 ");
}

static void offset_of_a_missing_topic_is_dropped(void **state)
{
    struct fixture *f = *state;
    bool found = true;
    assert_int_equal(put_offset(f, 77, "c", 5, &found), FLV_OK);
    assert_false(found);
    expect_offsets(f, (struct flv_offset_query){0}, "");
}

static void last_writer_of_an_offset_wins(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    const struct flv_offset_row row = {
        .topic_id = 1, .consumer = flv_slice_str("c"), .offset = 9};
    struct flv_offset_change c[3] = {{.row = row}, {.row = row}, {.row = row}};
    c[1].row.offset = 3;
    c[2].row.consumer = flv_slice_str("d");
    bool found[3] = {0};
    assert_int_equal(flv_metadb_change_offsets(f->db, c, 3, found, NULL),
                     FLV_OK);
    assert_true(found[0] && found[1] && found[2]);
    reopen(f);
    expect_offsets(f, (struct flv_offset_query){0}, "1-0:c=3 1-0:d=9 ");
}

static void removal_tells_whether_the_row_was_there(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    assert_int_equal(put_offset(f, 1, "c", 5, NULL), FLV_OK);
    struct flv_offset_change c[2] = {
        {.row = {.topic_id = 1, .partition = 1, .consumer = flv_slice_str("c")},
         .remove = true},
        {.row = {.topic_id = 1, .partition = 0, .consumer = flv_slice_str("c")},
         .remove = true}};
    bool found[2] = {0};
    assert_int_equal(flv_metadb_change_offsets(f->db, c, 2, found, NULL),
                     FLV_OK);
    assert_true(found[0]);
    assert_false(found[1]);
    expect_offsets(f, (struct flv_offset_query){0}, "");
}

static void query_filters_by_replica_and_consumer(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    put_topic(f, 2, "b");
    assert_int_equal(put_offset(f, 1, "c", 1, NULL), FLV_OK);
    assert_int_equal(put_offset(f, 1, "d", 2, NULL), FLV_OK);
    assert_int_equal(put_offset(f, 2, "d", 3, NULL), FLV_OK);
    struct flv_offset_query q = {.topic_id = 1, .partition = 1};
    expect_offsets(f, q, "1-1:c=1 1-1:d=2 ");
    q.consumer = flv_slice_str("d");
    expect_offsets(f, q, "1-1:d=2 ");
    q.partition = 0;
    expect_offsets(f, q, "");
    q.topic_id = 0;
    expect_offsets(f, q, "1-1:d=2 2-1:d=3 ");
}

static void second_topic_of_a_name_is_refused(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    struct flv_topic_row row = {
        .id = 2, .name = flv_slice_str("a"), .spec = flv_slice("s", 1)};
    struct flv_err err = {0};
    assert_int_not_equal(flv_metadb_put_topic(f->db, &row, &err), FLV_OK);
    assert_non_null(strstr(err.text, "UNIQUE"));
    put_topic(f, 3, "c"); /* the failed transaction is over */
}

static void newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    flv_metadb_destroy(f->db);
    f->db = NULL;
    int fd = open(f->path, O_RDWR);
    /* Bytes 60 to 63 of a SQLite file are its user_version. */
    const uint8_t newer[4] = {0, 0, 0, FLV_METADB_SCHEMA + 1};
    assert_int_equal(pwrite(fd, newer, 4, 60), 4);
    close(fd);
    struct flv_err err = {0};
    assert_int_equal(flv_metadb_create(&f->db, f->path, false, &err),
                     FLV_E_UNSUPPORTED);
    assert_null(f->db);
}

/* ---- SmartModules ---- */

static void fill(struct flv_buf *out, size_t len, uint8_t seed)
{
    flv_buf_init(out, (size_t)64 << 20);
    assert_int_equal(flv_buf_reserve(out, len + 1), FLV_OK);
    for (size_t i = 0; i < len; i++) {
        out->data[i] = (uint8_t)(i * 31 + i / 251 + seed);
    }
    out->len = len;
}

static void
put_module(struct fixture *f, const char *key, uint64_t revision, size_t len)
{
    struct flv_buf bytes;
    fill(&bytes, len, (uint8_t)revision);
    const struct flv_module_row row = {.key = flv_slice_str(key),
                                       .revision = revision,
                                       .created_ms = 42,
                                       .payload_bytes = len,
                                       .spec_version = 19,
                                       .spec = flv_slice("\0spec", 5)};
    assert_int_equal(
        flv_metadb_put_module(f->db, &row, flv_buf_slice(&bytes), NULL),
        FLV_OK);
    flv_buf_deinit(&bytes);
}

static void expect_bytes(struct fixture *f, uint64_t revision, size_t len)
{
    struct flv_buf want, got;
    fill(&want, len, (uint8_t)revision);
    flv_buf_init(&got, (size_t)64 << 20);
    assert_int_equal(flv_metadb_read_module(f->db, revision, &got, NULL),
                     FLV_OK);
    assert_true(flv_slice_eq(flv_buf_slice(&got), flv_buf_slice(&want)));
    flv_buf_deinit(&got);
    flv_buf_deinit(&want);
}

static void expect_no_bytes(struct fixture *f, uint64_t revision, flv_rc want)
{
    struct flv_buf got;
    struct flv_err err = {0};
    flv_buf_init(&got, (size_t)64 << 20);
    assert_int_equal(flv_metadb_read_module(f->db, revision, &got, &err), want);
    assert_int_equal(got.len, 0);
    flv_buf_deinit(&got);
}

static flv_rc
see_module(const struct flv_module_row *row, void *arg, struct flv_err *err)
{
    (void)err;
    struct seen *s = arg;
    size_t at = strlen(s->text);
    assert_int_equal(row->spec.len, 5);
    assert_int_equal(row->created_ms, 42);
    snprintf(s->text + at, sizeof s->text - at, "%.*s:%d/%d ",
             (int)row->key.len, (const char *)row->key.data, (int)row->revision,
             (int)row->payload_bytes);
    return FLV_OK;
}

static void expect_modules(struct fixture *f, const char *want)
{
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_module(f->db, see_module, &s, NULL),
                     FLV_OK);
    assert_string_equal(s.text, want);
}

static void modules_of_every_size_come_back_after_reopen(void **state)
{
    static const size_t sizes[] = {0, 1, 65536, 65537, 5000000};
    struct fixture *f = *state;
    for (size_t i = 0; i < 5; i++) {
        const char key[2] = {(char)('a' + i), '\0'};
        put_module(f, key, i + 1, sizes[i]);
    }
    reopen(f);
    expect_modules(f, "a:1/0 b:2/1 c:3/65536 d:4/65537 e:5/5000000 ");
    for (size_t i = 0; i < 5; i++) {
        expect_bytes(f, i + 1, sizes[i]);
    }
}

static void module_put_again_replaces_and_leaves_no_bytes(void **state)
{
    struct fixture *f = *state;
    put_module(f, "a", 1, 200000);
    put_module(f, "a", 2, 70000);
    expect_modules(f, "a:2/70000 ");
    expect_bytes(f, 2, 70000);
    expect_no_bytes(f, 1, FLV_E_NOT_FOUND);
    bool found = false;
    assert_int_equal(
        flv_metadb_delete_module(f->db, flv_slice_str("a"), &found, NULL),
        FLV_OK);
    assert_true(found);
    expect_no_bytes(f, 2, FLV_E_NOT_FOUND);
    assert_int_equal(
        flv_metadb_delete_module(f->db, flv_slice_str("a"), &found, NULL),
        FLV_OK);
    assert_false(found);
    uint64_t next = 0;
    reopen(f);
    expect_modules(f, "");
    assert_int_equal(flv_metadb_next_revision(f->db, &next, NULL), FLV_OK);
    assert_int_equal(next, 3);
}

/* Changes something behind metadb's back. */
static void alter(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    flv_metadb_destroy(f->db);
    f->db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    reopen(f);
}

static void damaged_module_is_reported_and_others_read(void **state)
{
    struct fixture *f = *state;
    put_module(f, "a", 1, 200000);
    put_module(f, "b", 2, 100);
    put_module(f, "c", 3, 200000);
    put_module(f, "d", 4, 200000);
    alter(f, "UPDATE smartmodule_part SET bytes = zeroblob(length(bytes)) "
             "WHERE revision = 1 AND part = 1;"
             "DELETE FROM smartmodule_part WHERE revision = 3 AND part = 2;"
             "INSERT INTO smartmodule_part VALUES(4, 99, x'00');");
    expect_no_bytes(f, 1, FLV_E_CORRUPT);
    expect_no_bytes(f, 3, FLV_E_CORRUPT);
    expect_no_bytes(f, 4, FLV_E_CORRUPT);
    expect_bytes(f, 2, 100);
}

/* ---- table formats ---- */

static void put_format(struct fixture *f, const char *name, bool want_new)
{
    const struct flv_table_format_row row = {.name = flv_slice_str(name),
                                             .spec_version = 9,
                                             .spec = flv_slice_str("spec")};
    bool made = !want_new;
    assert_int_equal(flv_metadb_put_table_format(f->db, &row, &made, NULL),
                     FLV_OK);
    assert_int_equal(made, want_new);
}

static void delete_format(struct fixture *f, const char *name, bool want_found)
{
    bool found = !want_found;
    assert_int_equal(flv_metadb_delete_table_format(f->db, flv_slice_str(name),
                                                    &found, NULL),
                     FLV_OK);
    assert_int_equal(found, want_found);
}

static flv_rc see_format(const struct flv_table_format_row *row,
                         void *arg,
                         struct flv_err *err)
{
    struct seen *s = arg;
    size_t at = strlen(s->text);
    (void)err;
    assert_true(flv_slice_eq_str(row->spec, "spec"));
    snprintf(s->text + at, sizeof s->text - at, "%.*s/%d ", (int)row->name.len,
             (const char *)row->name.data, row->spec_version);
    return FLV_OK;
}

static void expect_formats(struct fixture *f, const char *want)
{
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_table_format(f->db, see_format, &s, NULL),
                     FLV_OK);
    assert_string_equal(s.text, want);
}

static void file_of_schema_1_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 7, "a");
    assert_int_equal(put_offset(f, 7, "c", 5, NULL), FLV_OK);
    /* What schema 1 looked like: the same without SmartModules. */
    static const char back[] =
        "DROP TABLE smartmodule; DROP TABLE smartmodule_part;"
        "DROP TABLE table_format;"
        "DELETE FROM counter WHERE name = 'next_module_revision';"
        "PRAGMA user_version = 1;";
    sqlite3 *db = NULL;
    flv_metadb_destroy(f->db);
    f->db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, back, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    /* A check leaves it as it is. */
    assert_int_equal(flv_metadb_create(&f->db, f->path, true, NULL), FLV_OK);
    expect_modules(f, "");
    reopen(f);
    put_module(f, "m", 1, 10);
    put_format(f, "t", true);
    reopen(f);
    expect_modules(f, "m:1/10 ");
    expect_formats(f, "t/9 ");
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_topic(f->db, see_topic, &s, NULL), FLV_OK);
    assert_string_equal(s.text, "7:a/2 ");
    expect_offsets(f, (struct flv_offset_query){0}, "7-1:c=5 ");
}

static void table_formats_come_back_after_reopen(void **state)
{
    struct fixture *f = *state;
    put_format(f, "b", true);
    put_format(f, "a", true);
    put_format(f, "b", false);
    expect_formats(f, "a/9 b/9 ");
    reopen(f);
    expect_formats(f, "a/9 b/9 ");
    delete_format(f, "b", true);
    delete_format(f, "b", false);
    reopen(f);
    expect_formats(f, "a/9 ");
}

static void damaged_file_is_reported(void **state)
{
    struct fixture *f = *state;
    flv_metadb_destroy(f->db);
    f->db = NULL;
    tmpdir_write(f->tmp.path, "meta.db", "this is not a database, not at all");
    struct flv_err err = {0};
    assert_int_equal(flv_metadb_create(&f->db, f->path, false, &err),
                     FLV_E_CORRUPT);
}

static void check_reads_without_writing(void **state)
{
    struct fixture *f = *state;
    put_topic(f, 1, "a");
    flv_metadb_destroy(f->db);
    f->db = NULL;
    assert_int_equal(flv_metadb_create(&f->db, f->path, true, NULL), FLV_OK);
    assert_int_equal(flv_metadb_check(f->db, NULL), FLV_OK);
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_topic(f->db, see_topic, &s, NULL), FLV_OK);
    assert_string_equal(s.text, "1:a/2 ");
    assert_int_not_equal(put_offset(f, 1, "c", 5, NULL), FLV_OK);
}

static void check_reads_what_a_crash_left_in_the_journal(void **state)
{
    struct fixture *f = *state;
    flv_metadb_destroy(f->db);
    f->db = NULL;
    pid_t child = fork();
    if (child == 0) {
        assert_int_equal(flv_metadb_create(&f->db, f->path, false, NULL),
                         FLV_OK);
        put_topic(f, 1, "a");
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(flv_metadb_create(&f->db, f->path, true, NULL), FLV_OK);
    struct seen s = {0};
    assert_int_equal(flv_metadb_each_topic(f->db, see_topic, &s, NULL), FLV_OK);
    assert_string_equal(s.text, "1:a/2 ");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(topics_come_back_after_reopen),
        T(creation_ids_are_never_used_again),
        T(a_data_directory_keeps_its_id),
        T(deleted_topic_takes_its_offsets_along),
        T(offset_of_a_missing_topic_is_dropped),
        T(last_writer_of_an_offset_wins),
        T(removal_tells_whether_the_row_was_there),
        T(query_filters_by_replica_and_consumer),
        T(second_topic_of_a_name_is_refused),
        T(newer_schema_is_refused),
        T(modules_of_every_size_come_back_after_reopen),
        T(module_put_again_replaces_and_leaves_no_bytes),
        T(damaged_module_is_reported_and_others_read),
        T(file_of_schema_1_is_brought_up_to_date),
        T(table_formats_come_back_after_reopen),
        T(damaged_file_is_reported),
        T(check_reads_without_writing),
        T(check_reads_what_a_crash_left_in_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
