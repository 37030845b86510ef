/*
 * connector.h - what the files of `fluvio connector` share.
 *
 * Purpose    The commands of the group and the catalogue of this machine.
 * Threads    One: the loop is run to the end of each question.
 * Ownership  Whoever made something frees it.
 * Errors     Sentences for people.
 * See        docs/connectors.md
 */
#ifndef FLV_CLI_CONNECTOR_H
#define FLV_CLI_CONNECTOR_H

#include "catalogue/catalogue.h"
#include "cli/cli.h"

extern const struct flv_cmd cli_cmd_connector;
extern const struct flv_cmd cli_cmd_connector_catalog;
extern const struct flv_cmd cli_cmd_connector_check;
extern const struct flv_cmd cli_cmd_connector_schema;

/* Asks every connector of this machine. */
FLV_CHECKED flv_rc cli_catalogue(struct cli *c,
                                 struct flv_catalogue **out,
                                 struct flv_err *err);
/* The entry of a type that is of use, or a sentence that says what is
 * installed. */
FLV_CHECKED flv_rc cli_catalogue_find(const struct flv_catalogue *catalogue,
                                      const char *type,
                                      const struct flv_cat_entry **out,
                                      struct flv_err *err);

#endif
