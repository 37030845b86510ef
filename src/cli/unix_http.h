/*
 * unix_http.h - one HTTP request over a unix socket, waited for.
 *
 * Purpose    What `fluvio` needs to speak to the manager of this machine, and
 *            no more: every command of the program would pay for a library
 *            that can do everything. HTTP/1.0, so that an answer ends with its
 *            connection and comes in no chunks.
 * Threads    Blocks; one thread.
 * Ownership  The answer's body is the caller's buffer.
 * Errors     FLV_E_CONNECT: nobody listens. FLV_E_TIMEOUT, FLV_E_PROTOCOL,
 *            FLV_E_LIMIT (head or body), FLV_E_IO.
 * Units      ms.
 * See        tests/unit/cli/test_cli_unix_http.c, tests/fuzz/fuzz_http_head.c
 */
#ifndef FLV_CLI_UNIX_HTTP_H
#define FLV_CLI_UNIX_HTTP_H

#include "base/bytes.h"

#include <stdbool.h>

#define CLI_HTTP_HEAD_MAX ((size_t)16 * 1024)

struct cli_http_request {
    const char *socket; /* path, at most 107 bytes */
    const char *method; /* NULL: GET */
    const char *path;   /* encoded already */
    const char *accept; /* content type */
    struct flv_slice body;
    bool has_body;
    int connect_ms, silence_ms; /* silence_ms < 0: waits for ever */
    /* Pieces of the body of an answer with status 200 as they come, in place
     * of out_body; or NULL. */
    void (*piece)(void *arg, struct flv_slice piece);
    void *arg;
};

FLV_CHECKED flv_rc cli_http_ask(const struct cli_http_request *req,
                                unsigned *out_status,
                                struct flv_buf *out_body,
                                struct flv_err *err);

struct cli_http_head {
    unsigned status;
    bool has_length;
    uint64_t length; /* of the body */
    size_t bytes;    /* of the head with its empty line */
};
/* FLV_E_BUSY: the head is not complete. FLV_E_PROTOCOL: it is none. */
FLV_CHECKED flv_rc cli_http_head(struct flv_slice text,
                                 struct cli_http_head *out,
                                 struct flv_err *err);

#endif
