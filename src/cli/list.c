#include "cli/list.h"

flv_rc cli_list_begin(struct cli_list *l,
                      struct cli *c,
                      int output,
                      size_t text_max,
                      struct flv_err *err)
{
    *l = (struct cli_list){.output = output};
    flv_buf_init(&l->text, text_max);
    cli_call_init(&l->call, c);
    return cli_connect(c, err);
}

int cli_list_end(struct cli_list *l,
                 flv_rc rc,
                 const char *nothing,
                 struct flv_err *err)
{
    rc = rc == FLV_OK ? cli_call_wait(&l->call, err) : rc;
    if (rc == FLV_OK && l->count == 0) {
        printf("%s\n", nothing);
    }
    cli_put(&l->text);
    flv_buf_deinit(&l->text);
    return rc == FLV_OK ? 0 : cli_fail(err);
}
