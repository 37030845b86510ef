/*
 * list.h - what the list commands share: ask, lay out, print.
 *
 * Purpose    One request whose answer becomes text, or a sentence where there
 *            is nothing. The callback sets count, fills text, and ends call.
 * Threads    One thread.
 * Ownership  cli_list_end() frees what cli_list_begin() made; call it in any
 *            case.
 */
#ifndef FLV_CLI_LIST_H
#define FLV_CLI_LIST_H

#include "cli/cli.h"

struct cli_list {
    struct cli_call call;
    int output; /* enum cli_format */
    size_t count;
    struct flv_buf text;
};

/* text_max: ceiling of the text in bytes. Connects. */
FLV_CHECKED flv_rc cli_list_begin(struct cli_list *l,
                                  struct cli *c,
                                  int output,
                                  size_t text_max,
                                  struct flv_err *err);
/* Waits for the request where rc is FLV_OK, prints the text, or `nothing`;
 * the exit status. */
int cli_list_end(struct cli_list *l,
                 flv_rc rc,
                 const char *nothing,
                 struct flv_err *err);

#endif
