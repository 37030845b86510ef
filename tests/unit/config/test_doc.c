
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cm.h"
#include "base/mem.h"
#include "config/doc.h"

static struct flv_doc *parse(const char *text)
{
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    if (flv_doc_parse(&doc, "f.yml", flv_slice_str(text), &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    return doc;
}

static void scalars_keep_their_text_and_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *text;
        uint32_t line, col;
        bool quoted, null;
    } table[] = {
        {"k: v", "v", 1, 4, false, false},
        {"k: 10", "10", 1, 4, false, false},
        {"k: 010", "010", 1, 4, false, false},
        {"k: 1e3", "1e3", 1, 4, false, false},
        {"k: true", "true", 1, 4, false, false},
        {"k:   padded  # comment", "padded", 1, 6, false, false},
        {"k: \"a b\"", "a b", 1, 4, true, false},
        {"k: 'it''s'", "it's", 1, 4, true, false},
        {"k: \"tab\\tquote\\\"\"", "tab\tquote\"", 1, 4, true, false},
        {"k: |\n  one\n  two\n", "one\ntwo\n", 2, 1, true, false},
        {"k: >-\n  one\n  two\n", "one two", 2, 1, true, false},
        {"# c\n\nk:\n  v\n", "v", 4, 3, false, false},
        {"k:", "", 1, 1, false, true},
        {"k: ~", "~", 1, 4, false, true},
        {"k: null", "null", 1, 4, false, true},
        {"k: \"\"", "", 1, 4, true, false},
        {"k: \"null\"", "null", 1, 4, true, false},
        {"k: ${{ secrets.X }}", "${{ secrets.X }}", 1, 4, false, false},
        {"k: a:b", "a:b", 1, 4, false, false},
        {"k: http://h:1/p?q#f", "http://h:1/p?q#f", 1, 4, false, false},
        {"{\"k\": \"json\"}", "json", 1, 7, true, false},
        {"k: \xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac", 1, 4, false, false},
        {"k: v\r\n", "v", 1, 4, false, false},
        {"--- \nk: v\n...\n", "v", 2, 4, false, false},
        {"k: !!str 10", "10", 1, 10, false, false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_doc *doc = parse(table[i].yaml);
        const struct flv_node *n = flv_node_get(flv_doc_root(doc), "k");
        assert_non_null(n);
        if (strcmp(n->text, table[i].text) != 0 || n->line != table[i].line ||
            n->col != table[i].col || n->quoted != table[i].quoted ||
            flv_node_is_null(n) != table[i].null) {
            fail_msg("%s: \"%s\" at %u:%u quoted %d null %d", table[i].yaml,
                     n->text, n->line, n->col, n->quoted, flv_node_is_null(n));
        }
        flv_doc_destroy(doc);
    }
}

static void nul_bytes_from_escapes_are_counted(void **state)
{
    (void)state;
    struct flv_doc *doc = parse("k: \"a\\0b\"");
    const struct flv_node *n = flv_node_get(flv_doc_root(doc), "k");
    assert_int_equal(n->len, 3);
    assert_memory_equal(n->text, "a\0b", 4);
    flv_doc_destroy(doc);
}

static void maps_and_lists_keep_their_order(void **state)
{
    (void)state;
    struct flv_doc *doc = parse("b: [x, y]\na:\n  - 1\n  - {c: d}\n");
    const struct flv_node *root = flv_doc_root(doc);
    assert_int_equal(root->kind, FLV_NODE_MAP);
    assert_int_equal(root->count, 2);
    assert_string_equal(flv_node_key(root, 0)->text, "b");
    assert_string_equal(flv_node_key(root, 1)->text, "a");
    const struct flv_node *list = flv_node_value(root, 1);
    assert_int_equal(list->kind, FLV_NODE_LIST);
    assert_int_equal(list->count, 2);
    assert_string_equal(flv_node_get(list->items[1], "c")->text, "d");
    assert_int_equal(list->items[1]->line, 4);
    assert_int_equal(list->items[1]->col, 5);
    assert_null(flv_node_get(root, "missing"));
    assert_null(flv_node_get(list, "b"));
    flv_doc_destroy(doc);
}

static void dash_and_underscore_are_one_in_keys(void **state)
{
    (void)state;
    struct flv_doc *doc = parse("output_type: a\nuser-agent: b\n");
    assert_non_null(flv_node_get(flv_doc_root(doc), "output-type"));
    assert_non_null(flv_node_get(flv_doc_root(doc), "user_agent"));
    assert_false(flv_key_eq("a", "ab"));
    assert_false(flv_key_eq("a-", "a"));
    flv_doc_destroy(doc);
}

static void aliases_stand_for_their_anchors(void **state)
{
    (void)state;
    struct flv_doc *doc = parse("a: &x {b: c}\nd: *x\n&k e: f\ng: *k\n");
    const struct flv_node *root = flv_doc_root(doc);
    assert_string_equal(flv_node_get(flv_node_get(root, "d"), "b")->text, "c");
    assert_string_equal(flv_node_get(root, "g")->text, "e");
    flv_doc_destroy(doc);
}

static void documents_without_content_have_no_root(void **state)
{
    (void)state;
    static const char *const table[] = {"", "\n\n", "# only\n# comments\n"};
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_doc *doc = parse(table[i]);
        assert_null(flv_doc_root(doc));
        flv_doc_destroy(doc);
    }
}

static void bad_documents_are_told_with_their_place(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"a: [1, 2\nb: 3\n", "f.yml:3:1: this is not YAML: "},
        {"a: b: c\n", "f.yml:1:5: this is not YAML: "},
        {"a: 1\n\tb: 2\n", "f.yml:1:4: this is not YAML: "},
        {"a: \"open\n", "f.yml:1:"},
        {"a: \"\\q\"\n", "f.yml:1:"},
        {"a: 1\nb: 2\na: 3\n",
         "f.yml:3:1: the key \"a\" is there twice, first in line 1; "
         "remove one of them"},
        {"a-b: 1\na_b: 2\n",
         "f.yml:2:1: the key \"a_b\" is there twice, first in line 1"},
        {"x: {y: 1, y: 2}\n", "f.yml:1:11: the key \"y\" is there twice"},
        {"? [a]\n: b\n", "f.yml:1:3: a key has to be a word, not a list"},
        {"? {a: b}\n: b\n", "f.yml:1:3: a key has to be a word, not a map"},
        {"\"a\\0b\": c\n", "f.yml:1:1: a key holds a NUL byte"},
        {"a: 1\n---\nb: 2\n",
         "f.yml:2:1: a second document begins here; keep one document per "
         "file"},
        {"a: *nope\n", "f.yml:1:5: the alias \"*nope\" has no anchor "
                       "\"&nope\" before it"},
        {"a: &x [*x]\n", "f.yml:1:9: the alias \"*x\" has no anchor"},
        {"a: !secret x\n", "the tag \"!secret\" is not understood; remove it"},
        {"a: b\xff\n",
         "f.yml:1:5: this byte is not text; save the file as UTF-8"},
        {"a: ''''''''''''\n",
         "f.yml:1:4: ten apostrophes in a row are not read; write this text "
         "in double quotes"},
        {"%YAML 3.0\n---\na\n", "f.yml: this is not YAML"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct flv_doc *doc = NULL;
        struct flv_err err = {0};
        flv_rc rc =
            flv_doc_parse(&doc, "f.yml", flv_slice_str(table[i][0]), &err);
        if (rc != FLV_E_INVALID || strstr(err.text, table[i][1]) == NULL) {
            fail_msg("%s -> %s \"%s\"", table[i][0], flv_rc_name(rc), err.text);
        }
        assert_null(doc);
    }
}

static void raw_nul_bytes_are_refused(void **state)
{
    (void)state;
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    assert_int_equal(flv_doc_parse(&doc, "f", flv_slice("a: 1\0\n", 6), &err),
                     FLV_E_INVALID);
    assert_string_equal(err.text,
                        "f:1:5: this byte is not text; save the file as UTF-8");
}

/* Parses `count` repetitions of `unit` between head and tail. */
static flv_rc repeated(const char *head,
                       const char *unit,
                       size_t count,
                       const char *tail,
                       struct flv_err *err)
{
    struct flv_buf text;
    struct flv_doc *doc = NULL;
    flv_buf_init(&text, 8 << 20);
    assert_int_equal(flv_buf_add_str(&text, head), FLV_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(flv_buf_add_str(&text, unit), FLV_OK);
    }
    assert_int_equal(flv_buf_add_str(&text, tail), FLV_OK);
    flv_rc rc = flv_doc_parse(&doc, "f", flv_buf_slice(&text), err);
    flv_doc_destroy(doc);
    flv_buf_deinit(&text);
    return rc;
}

static void size_depth_and_count_have_ceilings(void **state)
{
    (void)state;
    struct flv_err err = {0};
    assert_int_equal(
        repeated("a: \"", "x", FLV_DOC_BYTES_MAX - 10, "\"\n", &err), FLV_OK);
    assert_int_equal(repeated("a: \"", "x", FLV_DOC_BYTES_MAX, "\"\n", &err),
                     FLV_E_LIMIT);
    assert_non_null(strstr(err.text, "at most 1048576 are read"));
    assert_int_equal(repeated("", "[", FLV_DOC_DEPTH_MAX, "", &err),
                     FLV_E_INVALID); /* not closed */
    assert_int_equal(repeated("", "[", 5000, "", &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "nested deeper than 32 levels"));
    assert_int_equal(repeated("", "- a\n", FLV_DOC_NODES_MAX - 1, "", &err),
                     FLV_OK);
    assert_int_equal(repeated("", "- a\n", FLV_DOC_NODES_MAX, "", &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "more than 20000 values"));
    assert_int_equal(repeated("", "- &a b\n", 100, "", &err), FLV_OK);
}

static void bombs_of_aliases_are_refused(void **state)
{
    (void)state;
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    const char *bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                       "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                       "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    assert_int_equal(flv_doc_parse(&doc, "f", flv_slice_str(bomb), &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "with its aliases the document has more "
                                     "than 20000 values"));
}

static void deep_aliases_are_refused(void **state)
{
    (void)state;
    struct flv_buf text;
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    flv_buf_init(&text, 8 << 20);
    assert_int_equal(flv_buf_add_str(&text, "k0: &a0 [x]\n"), FLV_OK);
    for (int i = 1; i < 40; i++) {
        assert_int_equal(flv_buf_addf(&text, "k%d: &a%d [*a%d]\n", i, i, i - 1),
                         FLV_OK);
    }
    assert_int_equal(flv_doc_parse(&doc, "f", flv_buf_slice(&text), &err),
                     FLV_E_INVALID);
    assert_non_null(strstr(err.text, "nested deeper than 32 levels"));
    flv_buf_deinit(&text);
}

static void long_names_are_cut_in_front(void **state)
{
    (void)state;
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    char name[301];
    memset(name, 'd', 290);
    memcpy(name + 290, "/file.yml", 10);
    assert_int_equal(flv_doc_parse(&doc, name, flv_slice_str("a: *b"), &err),
                     FLV_E_INVALID);
    assert_memory_equal(err.text, "...ddd", 6);
    assert_non_null(strstr(err.text, "d/file.yml:1:5: the alias"));
}

static void files_are_read_or_the_reason_is_told(void **state)
{
    (void)state;
    struct flv_doc *doc = NULL;
    struct flv_err err = {0};
    char path[] = "/tmp/flv-doc-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: b\n", 5), 5);
    assert_int_equal(flv_doc_read(&doc, path, &err), FLV_OK);
    assert_string_equal(flv_node_get(flv_doc_root(doc), "a")->text, "b");
    assert_string_equal(flv_doc_name(doc), path);
    flv_doc_destroy(doc);
    doc = NULL;
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(flv_doc_read(&doc, path, &err), FLV_E_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(flv_doc_read(&doc, "/tmp", &err), FLV_E_INVALID);
    assert_non_null(strstr(err.text, "is a directory"));
    assert_int_equal(flv_doc_read(&doc, "/dev/zero", &err), FLV_E_LIMIT);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    const char *yaml = "a: &x {b: [1, 2]}\nc: *x\nd: \"e\\n\"\n";
    (void)flv__mem_fail_at(0);
    flv_doc_destroy(parse(yaml));
    uint64_t total = flv__mem_fail_at(0);
    for (uint64_t n = 1; n <= total; n++) {
        struct flv_doc *doc = NULL;
        struct flv_err err = {0};
        (void)flv__mem_fail_at(n);
        flv_rc rc = flv_doc_parse(&doc, "f", flv_slice_str(yaml), &err);
        (void)flv__mem_fail_at(0);
        assert_int_equal(rc, FLV_E_NOMEM);
        assert_null(doc);
    }
    assert_true(total > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_keep_their_text_and_place),
        cmocka_unit_test(nul_bytes_from_escapes_are_counted),
        cmocka_unit_test(maps_and_lists_keep_their_order),
        cmocka_unit_test(dash_and_underscore_are_one_in_keys),
        cmocka_unit_test(aliases_stand_for_their_anchors),
        cmocka_unit_test(documents_without_content_have_no_root),
        cmocka_unit_test(bad_documents_are_told_with_their_place),
        cmocka_unit_test(raw_nul_bytes_are_refused),
        cmocka_unit_test(size_depth_and_count_have_ceilings),
        cmocka_unit_test(bombs_of_aliases_are_refused),
        cmocka_unit_test(deep_aliases_are_refused),
        cmocka_unit_test(long_names_are_cut_in_front),
        cmocka_unit_test(files_are_read_or_the_reason_is_told),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
