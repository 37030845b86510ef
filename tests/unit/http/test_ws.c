#include <stdio.h>
#include <stdlib.h>

#include "base/rand.h"
#include "cm.h"
#include "http/ws.h"

/* --- frames -----------------------------------------------------------------
 */

/* What was read, as text: "text(Hello) ping(x) close(1000,why) oversized". */
struct found {
    char text[1024];
    size_t len;
    flv_rc rc;
    uint16_t close_code;
    char error[FLV_ERR_TEXT_MAX];
};

static void note(struct found *f, const struct flv_ws_event *e, bool oversized)
{
    static const char *const names[] = {
        [FLV_WS_TEXT] = "text",   [FLV_WS_BINARY] = "binary",
        [FLV_WS_CLOSE] = "close", [FLV_WS_PING] = "ping",
        [FLV_WS_PONG] = "pong",
    };
    char code[16] = "";
    if (e->op == FLV_WS_CLOSE) {
        (void)snprintf(code, sizeof(code), "%u,", e->close_code);
    }
    size_t shown = e->payload.len < 40 ? e->payload.len : 40;
    int n =
        snprintf(f->text + f->len, sizeof(f->text) - f->len, "%s%s(%s%.*s%s)",
                 f->len > 0 ? " " : "", oversized ? "oversized" : names[e->op],
                 code, (int)shown, (const char *)e->payload.data,
                 shown < e->payload.len ? "..." : "");
    f->len += (size_t)n;
    assert_true(f->len < sizeof(f->text));
}

static void take(struct flv_ws_reader *r, struct flv_slice in, struct found *f)
{
    while (f->rc == FLV_OK && !r->closed) {
        enum flv_ws_piece piece;
        struct flv_ws_event e;
        struct flv_err err = {0};
        f->rc = flv_ws_read(r, &in, &piece, &e, &err);
        if (f->rc != FLV_OK) {
            f->close_code = r->close_code;
            (void)snprintf(f->error, sizeof(f->error), "%s", err.text);
            return;
        }
        if (piece == FLV_WS_NONE) {
            assert_int_equal(in.len, 0);
            return;
        }
        note(f, &e, piece == FLV_WS_OVERSIZED);
    }
}

/* The bytes in two pieces, the second in steps. */
static void read_split(const uint8_t *bytes,
                       size_t len,
                       size_t max,
                       size_t split,
                       size_t step,
                       struct found *f)
{
    struct flv_ws_reader r;
    *f = (struct found){.len = 0};
    flv_ws_reader_init(&r, max);
    take(&r, flv_slice(bytes, split), f);
    for (size_t at = split; at < len; at += step) {
        take(&r, flv_slice(bytes + at, step < len - at ? step : len - at), f);
    }
    flv_ws_reader_deinit(&r);
}

static void
reads(const char *hex_free, size_t len, size_t max, const char *expected)
{
    const uint8_t *bytes = (const uint8_t *)hex_free;
    struct found f;
    for (size_t split = 0; split <= len; split++) {
        read_split(bytes, len, max, split, len, &f);
        assert_string_equal(f.text, expected);
        assert_int_equal(f.rc, FLV_OK);
    }
    read_split(bytes, len, max, 0, 1, &f);
    assert_string_equal(f.text, expected);
}

#define READS(bytes, max, expected)                                            \
    reads(bytes, sizeof(bytes) - 1, max, expected)

static void examples_of_the_rfc_are_read_at_every_split(void **state)
{
    (void)state;
    READS("\x81\x05Hello", 100, "text(Hello)");
    READS("\x01\x03Hel\x80\x02lo", 100, "text(Hello)");
    READS("\x89\x05Hello\x8a\x05Hello", 100, "ping(Hello) pong(Hello)");
    READS("\x01\x03Hel\x89\x00\x80\x02lo", 100, "ping() text(Hello)");
    READS("\x82\x00\x81\x00", 100, "binary() text()");
    READS("\x01\x00\x00\x00\x80\x00", 100, "text()");
    READS("\x88\x00", 100, "close(1005,)");
    READS("\x88\x02\x03\xe8\x81\x01x", 100, "close(1000,)");
    READS("\x88\x06\x0f\xa0"
          "done",
          100, "close(4000,done)");
}

static void long_messages_have_longer_lengths(void **state)
{
    (void)state;
    static uint8_t bytes[10 + 65536];
    struct found f;
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "\x82\x7e\x01\x00", 4);
    read_split(bytes, 4 + 256, 65536, 3, 1, &f);
    assert_string_equal(f.text,
                        "binary(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...)");
    memcpy(bytes, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
    read_split(bytes, 10 + 65536, 65536, 9, 1000, &f);
    assert_string_equal(f.text,
                        "binary(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...)");
}

static void messages_above_the_ceiling_are_told_once_and_passed_over(void **s)
{
    (void)s;
    READS("\x81\x05"
          "12345\x81\x04"
          "1234",
          4, "oversized() text(1234)");
    READS("\x01\x03"
          "123\x00\x02"
          "45\x89\x01p\x00\x03"
          "678\x80\x00\x81\x01y",
          4, "oversized() ping(p) text(y)");
    READS("\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff"
          "1",
          4, "oversized()");
}

static void text_is_utf8_and_binary_is_not_looked_at(void **state)
{
    (void)state;
    struct found f;
    READS("\x81\x02\xc3\xa9\x01\x01\xc3\x80\x01\xa9", 100,
          "text(\xc3\xa9) text(\xc3\xa9)");
    READS("\x82\x02\xff\xfe", 100, "binary(\xff\xfe)");
    static const uint8_t bad[] = {0x81, 0x02, 0xc3, 0x28};
    read_split(bad, sizeof(bad), 100, 0, 1, &f);
    assert_int_equal(f.rc, FLV_E_PROTOCOL);
    assert_int_equal(f.close_code, FLV_WS_NOT_UTF8);
}

static void hostile_frames_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint16_t code;
        const char *what;
    } cases[] = {
        {"\xc1\x00", 2, 1002, "extension"},
        {"\xa1\x00", 2, 1002, "extension"},
        {"\x91\x00", 2, 1002, "extension"},
        {"\x83\x00", 2, 1002, "reserved"},
        {"\x8b\x00", 2, 1002, "reserved"},
        {"\x8f\x00", 2, 1002, "reserved"},
        {"\x81\x85", 2, 1002, "masked"},
        {"\x09\x00", 2, 1002, "control frame"},
        {"\x89\x7e\x00\x7e", 4, 1002, "control frame"},
        {"\x80\x00", 2, 1002, "continues no message"},
        {"\x00\x01x", 3, 1002, "continues no message"},
        {"\x01\x01x\x81\x01y", 6, 1002, "before the last one ended"},
        {"\x81\x7e\x00\x7d", 4, 1002, "length"},
        {"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, 1002, "length"},
        {"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10, 1002, "length"},
        {"\x02\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10, 0, ""},
        {"\x88\x01x", 3, 1002, "bad code"},
        {"\x88\x02\x03\xe7", 4, 1002, "bad code"},
        {"\x88\x02\x03\xed", 4, 1002, "bad code"},
        {"\x88\x02\x03\xf7", 4, 1002, "bad code"},
        {"\x88\x02\x07\xd0", 4, 1002, "bad code"},
        {"\x88\x02\x13\x88", 4, 1002, "bad code"},
        {"\x88\x03\x03\xe8\xff", 5, 1007, "reason"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 1; step < 4; step++) {
            struct found f;
            read_split((const uint8_t *)cases[i].bytes, cases[i].len, 100, 0,
                       step, &f);
            assert_int_equal(f.rc,
                             cases[i].code != 0 ? FLV_E_PROTOCOL : FLV_OK);
            assert_int_equal(f.close_code, cases[i].code);
            assert_non_null(strstr(f.error, cases[i].what));
        }
    }
}

/* Fragments whose sizes add up to more than there are numbers. */
static void a_message_without_an_end_is_refused(void **state)
{
    (void)state;
    struct flv_ws_reader r;
    struct found f = {.len = 0};
    flv_ws_reader_init(&r, 100);
    take(&r, flv_slice("\x02\x01x", 3), &f);
    take(&r, flv_slice("\x00\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10), &f);
    assert_int_equal(f.rc, FLV_E_PROTOCOL);
    assert_int_equal(f.close_code, FLV_WS_TOO_BIG);
    flv_ws_reader_deinit(&r);
}

static void frames_are_written_whole_and_masked(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 100000};
    static uint8_t payload[100000];
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 7);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct flv_buf b;
        flv_buf_init(&b, 200000);
        assert_int_equal(
            flv_ws_put(&b, FLV_WS_BINARY, flv_slice(payload, sizes[i])),
            FLV_OK);
        size_t head = sizes[i] < 126 ? 2 : sizes[i] < 65536 ? 4 : 10;
        assert_int_equal(b.len, head + 4 + sizes[i]);
        assert_int_equal(b.data[0], 0x82);
        assert_int_equal(b.data[1] >> 7, 1);
        const uint8_t *mask = b.data + head;
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(mask[4 + j] ^ mask[j % 4], payload[j]);
        }
        flv_buf_deinit(&b);
    }
}

static void every_frame_has_a_mask_of_its_own(void **state)
{
    (void)state;
    struct flv_buf a, b;
    flv_buf_init(&a, 100);
    flv_buf_init(&b, 100);
    assert_int_equal(flv_ws_put(&a, FLV_WS_PING, flv_slice(NULL, 0)), FLV_OK);
    assert_int_equal(flv_ws_put(&b, FLV_WS_PING, flv_slice(NULL, 0)), FLV_OK);
    assert_memory_not_equal(a.data + 2, b.data + 2, 4);
    flv_buf_reset(&a);
    assert_int_equal(flv_ws_put_close(&a, 1000), FLV_OK);
    assert_int_equal(a.len, 2 + 4 + 2);
    assert_int_equal(a.data[0], 0x88);
    flv_buf_deinit(&a);
    flv_buf_deinit(&b);
}

/* --- the address
 * --------------------------------------------------------------
 */

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    struct flv_ws_url u;
    struct flv_err err = {0};
    assert_int_equal(flv_ws_url_read("ws://host", &u, &err), FLV_OK);
    assert_string_equal(u.host, "host");
    assert_string_equal(u.target, "/");
    assert_int_equal(u.port, 80);
    assert_false(u.tls);
    assert_int_equal(
        flv_ws_url_read("WSS://ada:se%40cret@[::1]:8443/a/b?c=d", &u, &err),
        FLV_OK);
    assert_string_equal(u.host, "::1");
    assert_string_equal(u.authority, "[::1]:8443");
    assert_string_equal(u.target, "/a/b?c=d");
    assert_string_equal(u.user, "ada:se@cret");
    assert_int_equal(u.port, 8443);
    assert_true(u.tls);
    assert_int_equal(flv_ws_url_read("wss://h?x", &u, &err), FLV_OK);
    assert_string_equal(u.target, "/?x");
    assert_int_equal(u.port, 443);
    assert_true(flv_ws_is_url("ws://x"));
    assert_false(flv_ws_is_url("wsx://x"));
}

static void bad_addresses_are_named_without_their_secrets(void **state)
{
    (void)state;
    static const char *const bad[] = {"http://h",         "ws://",
                                      "ws:///path",       "ws://h:99999/",
                                      "ws://h:x/",        "ws://h/a b",
                                      "ws://h/#part",     "ws://h/\x7f",
                                      "ws://h o/",        "ws://u:%zz@h/",
                                      "ws://u:secret@/x", "ws://h/\xc3\xa9",
                                      "ws://h/\r\nX: y"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flv_ws_url u;
        struct flv_err err = {0};
        if (flv_ws_url_read(bad[i], &u, &err) != FLV_E_USAGE) {
            fail_msg("%s", bad[i]);
        }
        assert_memory_equal(err.text, "endpoint: ", 10);
        assert_null(strstr(err.text, "secret"));
    }
}

static void headers_of_the_handshake_are_not_for_settings(void **state)
{
    (void)state;
    struct flv_err err = {0};
    assert_int_equal(flv_ws_header_check("Authorization: x", &err), FLV_OK);
    assert_int_equal(flv_ws_header_check("Sec-WebSocket-Protocol: mqtt", &err),
                     FLV_OK);
    assert_int_equal(flv_ws_header_check("Sec-WebSocket-Key: x", &err),
                     FLV_E_USAGE);
    assert_int_equal(flv_ws_header_check("upgrade: x", &err), FLV_E_USAGE);
    assert_int_equal(flv_ws_header_check("no colon", &err), FLV_E_USAGE);
}

/* --- the handshake
 * -------------------------------------------------------------
 */

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define GOOD                                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"               \
    "Connection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"

static void the_request_says_what_the_rfc_wants(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-A: b", NULL};
    static const char expected[] =
        "GET /chat?x=1 HTTP/1.1\r\nHost: server.example:8080\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
        "X-A: b\r\nUser-Agent: me\r\nAuthorization: Basic YTpi\r\n\r\n";
    struct flv_ws_url u;
    struct flv_err err = {0};
    struct flv_buf b;
    flv_buf_init(&b, 1000);
    assert_int_equal(
        flv_ws_url_read("ws://a:b@server.example:8080/chat?x=1", &u, &err),
        FLV_OK);
    assert_int_equal(flv_ws_put_request(&b, &u, KEY, "me", headers), FLV_OK);
    assert_int_equal(b.len, sizeof(expected) - 1);
    assert_memory_equal(b.data, expected, b.len);
    static const char *const own[] = {"authorization: mine", "User-agent: mine",
                                      NULL};
    flv_buf_reset(&b);
    assert_int_equal(flv_ws_put_request(&b, &u, KEY, "me", own), FLV_OK);
    const char *text = flv_buf_str(&b);
    assert_null(strstr(text, "Basic"));
    assert_null(strstr(text, ": me\r"));
    flv_buf_deinit(&b);
}

static void keys_are_random_and_base_64_of_16_bytes(void **state)
{
    (void)state;
    char a[FLV_WS_KEY_SIZE], b[FLV_WS_KEY_SIZE];
    flv_ws_key(a);
    flv_ws_key(b);
    assert_int_equal(strlen(a), 24);
    assert_string_equal(a + 22, "==");
    assert_string_not_equal(a, b);
}

static flv_rc answer(const char *text,
                     const char *const *headers,
                     struct flv_ws_answer *out,
                     struct flv_err *err)
{
    size_t len = strlen(text);
    struct flv_ws_answer part;
    /* As long as it is not whole, it is not judged. */
    for (size_t n = 0; n < len; n++) {
        const char *end = strstr(text, "\r\n\r\n");
        if (end != NULL && n < (size_t)(end - text) + 4 &&
            flv_ws_read_answer(flv_slice(text, n), KEY, headers, &part, err) ==
                FLV_OK) {
            assert_int_equal(part.size, 0);
        }
    }
    return flv_ws_read_answer(flv_slice(text, len), KEY, headers, out, err);
}

static void a_good_answer_opens_the_socket(void **state)
{
    (void)state;
    struct flv_ws_answer a;
    struct flv_err err = {0};
    assert_int_equal(answer(GOOD "\r\n\x81\x00", NULL, &a, &err), FLV_OK);
    assert_int_equal(a.status, 101);
    assert_int_equal(a.size, sizeof(GOOD "\r\n") - 1);
    static const char odd[] =
        "HTTP/1.1 101\r\nupgrade:  WebSocket \r\n"
        "CONNECTION: keep-alive,\tupgrade\r\nsec-websocket-accept:" ACCEPT
        "\r\n\r\n";
    assert_int_equal(answer(odd, NULL, &a, &err), FLV_OK);
    assert_int_equal(a.size, sizeof(odd) - 1);
    static const char *const asked[] = {"Sec-WebSocket-Protocol: a, b", NULL};
    assert_int_equal(
        answer(GOOD "Sec-WebSocket-Protocol: b\r\n\r\n", asked, &a, &err),
        FLV_OK);
}

static void an_answer_that_proves_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: other\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        GOOD "Sec-WebSocket-Protocol: c\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 101\r\n\r\n",
        "HTTP/1.1 1x1 \r\n\r\n",
    };
    static const char *const asked[] = {"Sec-WebSocket-Protocol: a, b", NULL};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flv_ws_answer a;
        struct flv_err err = {0};
        if (answer(bad[i], asked, &a, &err) != FLV_E_PROTOCOL) {
            fail_msg("%s", bad[i]);
        }
        assert_true(err.text[0] != '\0');
    }
}

static void other_answers_are_told(void **state)
{
    (void)state;
    struct flv_ws_answer a;
    struct flv_err err = {0};
    assert_int_equal(answer("HTTP/1.1 302 Found\r\n"
                            "Location: https://u:pw@h/x?token=1\r\n\r\n",
                            NULL, &a, &err),
                     FLV_OK);
    assert_int_equal(a.status, 302);
    assert_string_equal(a.reason, "Found");
    assert_string_equal(a.location, "https://h/x");
    assert_int_equal(
        answer("HTTP/1.0 503 Busy\nRetry-After: 7\n\n", NULL, &a, &err),
        FLV_OK);
    assert_int_equal(a.retry_after_s, 7);
}

static void an_endless_answer_is_refused(void **state)
{
    (void)state;
    struct flv_buf b;
    struct flv_ws_answer a;
    struct flv_err err = {0};
    flv_buf_init(&b, 100000);
    assert_int_equal(flv_buf_add_str(&b, "HTTP/1.1 200 OK\r\n"), FLV_OK);
    while (b.len < FLV_WS_HEAD_MAX) {
        assert_int_equal(flv_buf_add_str(&b, "X"), FLV_OK);
    }
    assert_int_equal(flv_ws_read_answer(flv_buf_slice(&b), KEY, NULL, &a, &err),
                     FLV_E_LIMIT);
    flv_buf_reset(&b);
    assert_int_equal(flv_buf_add_str(&b, "HTTP/1.1 200 OK\r\n"), FLV_OK);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(flv_buf_add_str(&b, "a: b\r\n"), FLV_OK);
    }
    assert_int_equal(flv_ws_read_answer(flv_buf_slice(&b), KEY, NULL, &a, &err),
                     FLV_E_LIMIT);
    flv_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfc_are_read_at_every_split),
        cmocka_unit_test(long_messages_have_longer_lengths),
        cmocka_unit_test(
            messages_above_the_ceiling_are_told_once_and_passed_over),
        cmocka_unit_test(text_is_utf8_and_binary_is_not_looked_at),
        cmocka_unit_test(hostile_frames_are_refused),
        cmocka_unit_test(a_message_without_an_end_is_refused),
        cmocka_unit_test(frames_are_written_whole_and_masked),
        cmocka_unit_test(every_frame_has_a_mask_of_its_own),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(bad_addresses_are_named_without_their_secrets),
        cmocka_unit_test(headers_of_the_handshake_are_not_for_settings),
        cmocka_unit_test(the_request_says_what_the_rfc_wants),
        cmocka_unit_test(keys_are_random_and_base_64_of_16_bytes),
        cmocka_unit_test(a_good_answer_opens_the_socket),
        cmocka_unit_test(an_answer_that_proves_nothing_is_refused),
        cmocka_unit_test(other_answers_are_told),
        cmocka_unit_test(an_endless_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
