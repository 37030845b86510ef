#include "server/metadb.h"

#include "cm.h"
#include "tmpdir.h"

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
    assert_int_equal(pwrite(fd, "\0\0\0\2", 4, 60), 4);
    close(fd);
    struct flv_err err = {0};
    assert_int_equal(flv_metadb_create(&f->db, f->path, false, &err),
                     FLV_E_UNSUPPORTED);
    assert_null(f->db);
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
        T(deleted_topic_takes_its_offsets_along),
        T(offset_of_a_missing_topic_is_dropped),
        T(last_writer_of_an_offset_wins),
        T(removal_tells_whether_the_row_was_there),
        T(query_filters_by_replica_and_consumer),
        T(second_topic_of_a_name_is_refused),
        T(newer_schema_is_refused),
        T(damaged_file_is_reported),
        T(check_reads_without_writing),
        T(check_reads_what_a_crash_left_in_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
