/*
 * show.h - what the manager knows, as JSON and as Prometheus text.
 *
 * Purpose    The objects of docs/rest.md: STATUS, INFO, EVENT, TYPE, health,
 *            metrics. Private to this room.
 * Threads    Loop thread only.
 * Ownership  Text is appended to the caller's buffer.
 * Errors     FLV_E_NOMEM and FLV_E_LIMIT of the buffer.
 */
#ifndef FLV_MANAGER_SHOW_H
#define FLV_MANAGER_SHOW_H

#include "manager/manager.h"

FLV_CHECKED flv_rc flv__show_status(const struct flv_mconn *c,
                                    uint16_t port,
                                    struct flv_buf *b);
/* word: of "result", or NULL. */
FLV_CHECKED flv_rc flv__show_info(const struct flv_mconn *c,
                                  const char *word,
                                  struct flv_buf *b);
/* The map of settings alone. */
FLV_CHECKED flv_rc flv__show_config(const struct flv_mconn *c,
                                    struct flv_buf *b);
FLV_CHECKED flv_rc flv__show_event(const struct flv_mevent *e,
                                   struct flv_buf *b);
FLV_CHECKED flv_rc flv__show_type(const struct flv_cat_entry *t,
                                  struct flv_buf *b);
FLV_CHECKED flv_rc flv__show_health(const struct flv_manager *m,
                                    struct flv_buf *b);
FLV_CHECKED flv_rc flv__show_metrics(const struct flv_manager *m,
                                     struct flv_buf *b);
/* {"error_code":..,"message":..,"problems":[..]}; report may be NULL. */
FLV_CHECKED flv_rc flv__show_error(unsigned status,
                                   const char *message,
                                   const struct flv_report *report,
                                   struct flv_buf *b);

#endif
