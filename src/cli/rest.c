#include "cli/rest.h"

#include "base/text.h"
#include "cli/unix_http.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define CONNECT_MS 1500
/* A connector that is being drained takes its time. */
#define ANSWER_MS 60000
#define SMALL_BYTES_MAX 4096

void cli_manager_path(const struct cli_local *l, char *out, size_t size)
{
    snprintf(out, size, "%s/manager", l->data_dir);
}

/* ---- Finding it --------------------------------------------------------- */

static flv_rc no_manager(const struct cli_rest *r, struct flv_err *err)
{
    return flv_fail(err, FLV_E_CONNECT,
                    "no manager of connectors runs here (data in %.90s); "
                    "`fluvio cluster start` starts one",
                    r->local.data_dir);
}

static bool same_host(const char *a, size_t a_len, const char *b, size_t b_len)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]",
                                        "::1"};
    bool local_a = false, local_b = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);
        local_a = local_a || (len == a_len && memcmp(names[i], a, len) == 0);
        local_b = local_b || (len == b_len && memcmp(names[i], b, len) == 0);
    }
    return (local_a && local_b) || (a_len == b_len && memcmp(a, b, a_len) == 0);
}

static bool same_address(const char *a, const char *b)
{
    const char *colon_a = strrchr(a, ':'), *colon_b = strrchr(b, ':');
    return colon_a != NULL && colon_b != NULL &&
           strcmp(colon_a, colon_b) == 0 &&
           same_host(a, (size_t)(colon_a - a), b, (size_t)(colon_b - b));
}

/* A connector that was meant for another cluster must not come to life in this
 * one. Without any profile the local cluster is meant. */
static flv_rc
check_cluster(struct cli_rest *r, const char *served, struct flv_err *err)
{
    struct flv_profile target;
    struct flv_err why = {0};
    flv_rc rc = cli_target(r->c, &target, &why);
    if (rc == FLV_E_NOT_FOUND && r->c->global->profile == NULL) {
        return FLV_OK;
    }
    if (rc != FLV_OK) {
        *err = why;
        return rc;
    }
    if (served[0] == '\0' || same_address(target.endpoint, served)) {
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_CONNECT,
                    "the cluster at %.60s has no manager here; the one on this "
                    "machine serves %.60s. Choose its profile with `fluvio "
                    "profile switch`",
                    target.endpoint, served);
}

/* What the running manager says of itself. */
static flv_rc read_state(struct cli_rest *r, struct flv_err *err)
{
    char text[SMALL_BYTES_MAX];
    int fd = openat(r->folder_fd, "manager.json", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return no_manager(r, err);
    }
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    struct flv_doc *doc = NULL;
    if (n <= 0 || flv_doc_json(&doc, "manager.json", flv_slice(text, (size_t)n),
                               NULL) != FLV_OK) {
        return no_manager(r, err);
    }
    flv_rc rc = check_cluster(r, cli_text(flv_doc_root(doc), "cluster"), err);
    flv_doc_destroy(doc);
    return rc;
}

flv_rc cli_rest_open(struct cli_rest *r, struct cli *c, struct flv_err *err)
{
    char path[CLI_PATH_MAX + 32];
    *r = (struct cli_rest){.c = c, .folder_fd = -1};
    flv_rc rc = cli_local_find(&r->local, NULL, NULL, true, err);
    if (rc != FLV_OK) {
        return rc;
    }
    cli_manager_path(&r->local, path, sizeof path);
    r->folder_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r->folder_fd < 0) {
        return no_manager(r, err);
    }
    /* The folder's own path may be too long for a socket. */
    snprintf(r->socket, sizeof r->socket, "/proc/self/fd/%d/manager.sock",
             r->folder_fd);
    return read_state(r, err);
}

void cli_rest_close(struct cli_rest *r)
{
    if (r->folder_fd >= 0) {
        close(r->folder_fd);
        r->folder_fd = -1;
    }
}

/* ---- Asking ------------------------------------------------------------- */

static flv_rc read_json(struct cli_answer *a, struct flv_err *err)
{
    const uint8_t *p = a->body.data;
    bool json = a->body.len > 0 && (*p == '{' || *p == '[');
    if (!json) {
        return FLV_OK;
    }
    flv_rc rc = flv_doc_json(&a->doc, "the manager's answer",
                             flv_buf_slice(&a->body), err);
    if (rc == FLV_OK) {
        a->root = flv_doc_root(a->doc);
    }
    return rc;
}

flv_rc cli_rest_ask(struct cli_rest *r,
                    const struct cli_ask *ask,
                    struct cli_answer *out,
                    struct flv_err *err)
{
    const struct cli_http_request req = {
        .socket = r->socket,
        .method = ask->method,
        .path = ask->path,
        .accept = ask->accept != NULL ? ask->accept : "application/json",
        .body = ask->body,
        .has_body = ask->has_body,
        .connect_ms = CONNECT_MS,
        .silence_ms = ask->piece != NULL ? -1 : ANSWER_MS,
        .piece = ask->piece,
        .arg = ask->arg,
    };
    struct flv_err why = {0};
    *out = (struct cli_answer){.status = 0};
    flv_buf_init(&out->body, ANSWER_BYTES_MAX);
    flv_rc rc = cli_http_ask(&req, &out->status, &out->body, &why);
    if (rc == FLV_E_CONNECT) {
        return no_manager(r, err);
    }
    if (rc == FLV_E_TIMEOUT) {
        return flv_fail(err, rc,
                        "the manager of connectors does not answer; look at "
                        "its log beside %.100s",
                        r->local.log_file);
    }
    if (rc != FLV_OK) {
        *err = why;
        flv_err_prefix(err, "the manager of connectors");
        return rc;
    }
    return ask->accept == NULL ? read_json(out, err) : FLV_OK;
}

void cli_answer_deinit(struct cli_answer *a)
{
    flv_doc_destroy(a->doc);
    flv_buf_deinit(&a->body);
    *a = (struct cli_answer){.status = 0};
}

flv_rc cli_answer_fail(const struct cli_answer *a, struct flv_err *err)
{
    if (a->status >= 200 && a->status < 300) {
        return FLV_OK;
    }
    const char *message = cli_text(a->root, "message");
    flv_rc rc = a->status == 404   ? FLV_E_NOT_FOUND
                : a->status == 409 ? FLV_E_EXISTS
                                   : FLV_E_REFUSED;
    if (message[0] == '\0') {
        return flv_fail(err, rc, "the manager of connectors answers %u",
                        a->status);
    }
    return flv_fail(err, rc, "%s", message);
}

flv_rc cli_path_add(struct flv_buf *path, const char *name)
{
    flv_rc rc = FLV_OK;
    for (const char *p = name; *p != '\0' && rc == FLV_OK; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' ||
                     (*p == '.' && p > name);
        rc = plain ? flv_buf_add_u8(path, (uint8_t)*p)
                   : flv_buf_addf(path, "%%%02X", (unsigned)(uint8_t)*p);
    }
    return rc;
}

/* ---- Members ------------------------------------------------------------ */

const char *cli_text(const struct flv_node *map, const char *key)
{
    const struct flv_node *node = flv_node_get(map, key);
    return node != NULL && node->kind == FLV_NODE_SCALAR &&
                   (node->quoted || !flv_node_is_null(node))
               ? node->text
               : "";
}

uint64_t cli_number(const struct flv_node *map, const char *key)
{
    uint64_t n = 0;
    return flv_text_u64(cli_text(map, key), 0, UINT64_MAX, &n, NULL) == FLV_OK
               ? n
               : 0;
}

bool cli_truth(const struct flv_node *map, const char *key)
{
    return strcmp(cli_text(map, key), "true") == 0;
}
