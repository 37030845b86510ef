/* The small HTTP client against servers that say what we want to hear, and
 * what we do not. */
#include "cli/unix_http.h"
#include "cm.h"
#include "tmpdir.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir tmp;
static char path[100];
static int listener = -1;

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    tmpdir_make(&tmp, "unix-http");
    (void)snprintf(path, sizeof path, "%s/s", tmp.path);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(listener, (const struct sockaddr *)&at, sizeof at) == 0 &&
                   listen(listener, 8) == 0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(listener);
    tmpdir_remove(&tmp);
    return 0;
}

/* A child that reads one request up to `until`, and answers. */
static pid_t serve(const char *until, const char *answer)
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    char text[8192] = "";
    size_t len = 0;
    int fd = accept(listener, NULL, NULL);
    while (strstr(text, until) == NULL) {
        ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n <= 0) {
            _exit(1);
        }
        len += (size_t)n;
        text[len] = '\0';
    }
    size_t left = strlen(answer);
    while (left > 0) {
        ssize_t n = write(fd, answer + strlen(answer) - left, left);
        left -= n > 0 ? (size_t)n : left;
    }
    _exit(0);
}

struct got {
    flv_rc rc;
    unsigned status;
    char body[256];
    struct flv_err err;
};

static void
ask(struct got *g, const struct cli_http_request *like, const char *answer)
{
    struct cli_http_request req = *like;
    struct flv_buf body;
    req.socket = path;
    req.path = "/x";
    req.accept = "text/plain";
    req.connect_ms = 5000;
    req.silence_ms = 5000;
    *g = (struct got){.rc = FLV_OK};
    flv_buf_init(&body, 100);
    pid_t pid = serve(req.has_body ? "BODY" : "\r\n\r\n", answer);
    g->rc = cli_http_ask(&req, &g->status, &body, &g->err);
    (void)snprintf(g->body, sizeof g->body, "%.*s", (int)body.len,
                   body.data != NULL ? (const char *)body.data : "");
    flv_buf_deinit(&body);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void answers_have_status_and_body(void **state)
{
    (void)state;
    struct got g;
    const struct cli_http_request get = {.method = NULL};
    const struct cli_http_request put = {
        .method = "PUT", .body = flv_slice_str("BODY"), .has_body = true};
    ask(&g, &get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(g.rc, FLV_OK);
    assert_int_equal(g.status, 200);
    assert_string_equal(g.body, "hello");
    ask(&g, &put, "HTTP/1.0 404 Not Found\r\nX: y\r\n\r\nuntil the end");
    assert_int_equal(g.rc, FLV_OK);
    assert_int_equal(g.status, 404);
    assert_string_equal(g.body, "until the end");
    ask(&g, &get, "HTTP/1.1 204 No Content\r\ncontent-length:0\r\n\r\n");
    assert_int_equal(g.rc, FLV_OK);
    assert_string_equal(g.body, "");
}

static void broken_answers_are_told(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
    };
    const struct cli_http_request get = {.method = NULL};
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct got g;
        ask(&g, &get, answers[i]);
        assert_int_equal(g.rc, FLV_E_PROTOCOL);
        assert_true(g.err.text[0] != '\0');
    }
}

static void a_body_above_the_ceiling_is_refused(void **state)
{
    (void)state;
    struct got g;
    char answer[300];
    const struct cli_http_request get = {.method = NULL};
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n%0200d", 0);
    ask(&g, &get, answer);
    assert_int_equal(g.rc, FLV_E_LIMIT);
}

static void on_piece(void *arg, struct flv_slice piece)
{
    char *text = arg;
    size_t used = strlen(text);
    (void)snprintf(text + used, 64 - used, "%.*s", (int)piece.len,
                   (const char *)piece.data);
}

static void pieces_come_in_place_of_the_body(void **state)
{
    (void)state;
    struct got g;
    char text[64] = "";
    const struct cli_http_request get = {.piece = on_piece, .arg = text};
    ask(&g, &get, "HTTP/1.1 200 OK\r\n\r\nhello");
    assert_string_equal(text, "hello");
    assert_string_equal(g.body, "");
    text[0] = '\0';
    ask(&g, &get, "HTTP/1.1 404 Not Found\r\n\r\nno");
    assert_string_equal(text, "");
    assert_string_equal(g.body, "no");
}

static void nobody_and_silence_are_told_apart(void **state)
{
    (void)state;
    struct flv_buf body;
    struct flv_err err = {0};
    unsigned status = 0;
    struct cli_http_request req = {.socket = path,
                                   .path = "/",
                                   .accept = "x",
                                   .connect_ms = 50,
                                   .silence_ms = 50};
    flv_buf_init(&body, 100);
    assert_int_equal(cli_http_ask(&req, &status, &body, &err), FLV_E_TIMEOUT);
    req.socket = "/nowhere/s";
    assert_int_equal(cli_http_ask(&req, &status, &body, &err), FLV_E_CONNECT);
    flv_buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_status_and_body),
        cmocka_unit_test(broken_answers_are_told),
        cmocka_unit_test(a_body_above_the_ceiling_is_refused),
        cmocka_unit_test(pieces_come_in_place_of_the_body),
        cmocka_unit_test(nobody_and_silence_are_told_apart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
