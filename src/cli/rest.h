/*
 * rest.h - the way to the manager of the local cluster.
 *
 * Purpose    Finds the manager's socket, sends one request after the other and
 *            hands the answers over as trees. Says in one sentence when nobody
 *            answers and what helps.
 * Threads    One; each request is waited for.
 * Ownership  Whoever opened it closes it; an answer is the caller's until
 *            cli_answer_deinit().
 * Errors     FLV_E_CONNECT: no manager. What a manager refuses is an answer
 *            here; cli_answer_fail() makes a sentence of it.
 * See        docs/rest.md
 */
#ifndef FLV_CLI_REST_H
#define FLV_CLI_REST_H

#include "cli/cli.h"
#include "cli/local.h"
#include "config/doc.h"

struct cli_rest {
    struct cli *c; /* borrowed */
    struct cli_local local;
    int folder_fd;
    char socket[64];
};

struct cli_answer {
    unsigned status;
    struct flv_doc *doc;         /* owned; NULL when there is no JSON */
    const struct flv_node *root; /* NULL when there is no JSON */
    struct flv_buf body;         /* owned; as it came */
};

struct cli_ask {
    const char *method; /* NULL: GET */
    const char *path;   /* "/connectors/..." */
    const char *accept; /* NULL: JSON */
    struct flv_slice body;
    bool has_body;
    /* Pieces of the answer as they come, without a time limit; or NULL. */
    void (*piece)(void *arg, struct flv_slice piece);
    void *arg;
};

/* Folder of the manager of this user's cluster. */
void cli_manager_path(const struct cli_local *l, char *out, size_t size);

/* FLV_E_CONNECT when there is no manager or it serves another cluster than the
 * one that is meant. */
FLV_CHECKED flv_rc cli_rest_open(struct cli_rest *r,
                                 struct cli *c,
                                 struct flv_err *err);
void cli_rest_close(struct cli_rest *r);

/* cli_answer_deinit() in any case. */
FLV_CHECKED flv_rc cli_rest_ask(struct cli_rest *r,
                                const struct cli_ask *ask,
                                struct cli_answer *out,
                                struct flv_err *err);
void cli_answer_deinit(struct cli_answer *a);

/* "message" of an answer that is an error, as FLV_E_REFUSED; FLV_E_NOT_FOUND
 * for 404, FLV_E_EXISTS for 409. FLV_OK for 2xx. */
FLV_CHECKED flv_rc cli_answer_fail(const struct cli_answer *a,
                                   struct flv_err *err);
/* Appends the name to a path, percent-encoded. */
FLV_CHECKED flv_rc cli_path_add(struct flv_buf *path, const char *name);

/* Members of objects, for printing: "" and 0 without the member. */
const char *cli_text(const struct flv_node *map, const char *key);
uint64_t cli_number(const struct flv_node *map, const char *key);
bool cli_truth(const struct flv_node *map, const char *key);

#endif
