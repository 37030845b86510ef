/*
 * service.h - the two services, request by request.
 *
 * Purpose    What flv_peer calls for each whole request. Decodes the body,
 *            acts, answers now or later through a token.
 * Threads    Loop thread only.
 * Ownership  The request and everything decoded from it is borrowed for the
 *            call; what outlives it is copied, or kept with its frame.
 * Errors     A body that does not decode, or more of something than any
 *            client needs: the connection ends. All else is an answer.
 * See        docs/server.md
 */
#ifndef FLV_SERVER_SERVICE_H
#define FLV_SERVER_SERVICE_H

#include "server/peer.h"
#include "wire/ext.h"
#include "wire/spu.h"

#include <fluvio/err.h>

FLV_CHECKED flv_rc flv_sc_serve(struct flv_request *r, struct flv_err *err);
FLV_CHECKED flv_rc flv_spu_serve(struct flv_request *r, struct flv_err *err);

/* Parts of it with a file of their own. */
FLV_CHECKED flv_rc flv_api_versions_serve(struct flv_request *r,
                                          struct flv_err *err);
FLV_CHECKED flv_rc flv_produce_serve(struct flv_request *r,
                                     struct flv_err *err);
/* The peer has no connection any more: what SmartModules do for it ends. */
void flv_produce_left(struct flv_peer *p);
FLV_CHECKED flv_rc flv_fetch_serve(struct flv_request *r, struct flv_err *err);
FLV_CHECKED flv_rc flv_consumer_offsets_serve(struct flv_request *r,
                                              struct flv_err *err);
/* SmartModules; the body is that inside the envelope. */
FLV_CHECKED flv_rc flv_module_create_serve(struct flv_request *r,
                                           struct flv_slice body,
                                           struct flv_err *err);
FLV_CHECKED flv_rc flv_module_delete_serve(struct flv_request *r,
                                           struct flv_slice key,
                                           struct flv_err *err);
FLV_CHECKED flv_rc flv_module_list_serve(struct flv_request *r,
                                         struct flv_slice body,
                                         struct flv_err *err);

/* Table formats, likewise. */
FLV_CHECKED flv_rc flv_format_create_serve(struct flv_request *r,
                                           struct flv_slice body,
                                           struct flv_err *err);
FLV_CHECKED flv_rc flv_format_delete_serve(struct flv_request *r,
                                           struct flv_slice name,
                                           struct flv_err *err);
FLV_CHECKED flv_rc flv_format_list_serve(struct flv_request *r,
                                         struct flv_slice body,
                                         struct flv_err *err);

/* What a client is told whom the policy does not allow something. */
#define FLV_SERVICE_NO_RIGHT "permission denied"

/* Stores a position that is bound to the creation of its topic. */
FLV_CHECKED flv_rc flv_position_store_serve(struct flv_request *r,
                                            struct flv_err *err);

/* How the server is, and what is wrong with which partition. */
FLV_CHECKED flv_rc flv_server_look_serve(struct flv_request *r,
                                         struct flv_err *err);

/* The creation id of a topic as text, in wire/ext.h. */
void flv_topic_creation(const struct flv_server *s,
                        uint64_t topic_id,
                        char out[FLV_WIRE_TOPIC_ID_MAX + 1]);

/* Answers with a status; the error becomes one that this client knows. */
void flv_status_answer(struct flv_token *t,
                       struct flv_slice name,
                       struct flv_wire_error error,
                       const char *message);
/* Answers at once with a code and its sentence (NULL: none); FLV_OK. */
flv_rc flv_status_refuse(const struct flv_request *r,
                         struct flv_slice name,
                         int16_t code,
                         const char *message);

/* A status that is answered when a change is through, by
 * flv_status_later_done(), or by who frees it with flv_free(). */
struct flv_status_later {
    struct flv_token token;
    size_t name_len;
    char name[];
};
/* NULL: no memory. */
struct flv_status_later *flv_status_later_new(const struct flv_request *r,
                                              struct flv_slice name);

/* Answers, ctx being one of them, and frees it. */
void flv_status_later_done(void *ctx, int16_t code, const char *why);

/* Fluvio's filters are parts of names; none at all shows everything. */
bool flv_list_wants(const struct flv_wire_list_request *req, const char *name);

#endif
