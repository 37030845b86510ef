#include "cli/cli.h"

#include "cli/list.h"
#include "cli/table.h"

#include <inttypes.h>

#define TEXT_BYTES_MAX ((size_t)16 << 20)

struct list_conf {
    int output;
    bool custom;
};

struct list_call {
    struct cli_list list;
    const struct list_conf *conf;
};

static const char *state_name(enum flv_spu_state state)
{
    switch (state) {
    case FLV_SPU_ONLINE:
        return "Online";
    case FLV_SPU_OFFLINE:
        return "Offline";
    case FLV_SPU_INIT:
        return "Init";
    }
    return "Init";
}

static bool is_wanted(const struct list_call *l, const struct flv_spu_info *s)
{
    return !l->conf->custom || s->custom;
}

static flv_rc list_table(const struct list_call *l,
                         const struct flv_spu_info *spus,
                         size_t count,
                         struct flv_buf *out,
                         struct flv_err *err)
{
    static const char *const header[] = {"ID",   "NAME",   "STATUS",  "TYPE",
                                         "RACK", "PUBLIC", "PRIVATE", NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < count; i++) {
        const struct flv_spu_info *s = &spus[i];
        if (!is_wanted(l, s)) {
            continue;
        }
        cli_table_cellf(&t, "%" PRId32, s->id);
        cli_table_cell(&t, s->name);
        cli_table_cell(&t, state_name(s->state));
        cli_table_cell(&t, s->custom ? "\"custom\"" : "\"managed\"");
        cli_table_cell(&t, s->rack != NULL ? s->rack : "-");
        cli_table_cellf(&t, "%s:%u", s->public_host, s->public_port);
        cli_table_cellf(&t, "%s:%u", s->private_host, s->private_port);
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

static void doc_endpoint(struct cli_doc *d,
                         const char *key,
                         const char *host,
                         uint16_t port)
{
    cli_doc_map(d, key);
    cli_doc_i64(d, "port", port);
    cli_doc_str(d, "host", host);
    cli_doc_str(d, "encryption", "PLAINTEXT");
    cli_doc_end(d);
}

static void doc_spu(struct cli_doc *d, const struct flv_spu_info *s)
{
    cli_doc_map(d, NULL);
    cli_doc_str(d, "name", s->name);
    cli_doc_map(d, "spec");
    cli_doc_i64(d, "spuId", s->id);
    cli_doc_str(d, "spuType", s->custom ? "Custom" : "Managed");
    cli_doc_map(d, "publicEndpoint");
    cli_doc_i64(d, "port", s->public_port);
    cli_doc_list(d, "ingress");
    cli_doc_map(d, NULL);
    cli_doc_str(d, "hostname", s->public_host);
    cli_doc_null(d, "ip");
    cli_doc_end(d);
    cli_doc_end(d);
    cli_doc_str(d, "encryption", "PLAINTEXT");
    cli_doc_end(d);
    doc_endpoint(d, "privateEndpoint", s->private_host, s->private_port);
    if (s->rack != NULL) {
        cli_doc_str(d, "rack", s->rack);
    }
    if (s->local_host != NULL) {
        doc_endpoint(d, "publicEndpointLocal", s->local_host, s->local_port);
    }
    cli_doc_end(d);
    cli_doc_map(d, "status");
    cli_doc_str(d, "resolution", state_name(s->state));
    cli_doc_end(d);
    cli_doc_end(d);
}

static flv_rc list_doc(const struct list_call *l,
                       const struct flv_spu_info *spus,
                       size_t count,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, (enum cli_format)l->conf->output);
    cli_doc_list(&d, NULL);
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(l, &spus[i])) {
            doc_spu(&d, &spus[i]);
        }
    }
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static void got_spus(void *user,
                     const struct flv_err *err,
                     const struct flv_spu_info *spus,
                     size_t count)
{
    struct list_call *l = user;
    struct flv_err own = {0};
    flv_rc rc = FLV_OK;
    for (size_t i = 0; i < count; i++) {
        l->list.count += is_wanted(l, &spus[i]);
    }
    if (err == NULL && l->list.count > 0) {
        rc = l->conf->output == CLI_FORMAT_TABLE
                 ? list_table(l, spus, count, &l->list.text, &own)
                 : list_doc(l, spus, count, &l->list.text, &own);
    }
    cli_call_end(&l->list.call, rc != FLV_OK ? &own : err);
}

static int spu_list(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    struct flv_err err = {0};
    struct list_call l = {.conf = flv_args_conf(args)};
    flv_rc rc =
        cli_list_begin(&l.list, c, l.conf->output, TEXT_BYTES_MAX, &err);
    rc = rc == FLV_OK ? flv_client_spus(c->client, got_spus, &l, &err) : rc;
    return cli_list_end(&l.list, rc, "no spu", &err);
}

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct list_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = "custom",
     FLV_FLAG(struct list_conf, custom),
     .help = "Whether to list only custom SPUs"},
    {.name = NULL}};

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List all available SPUs in this cluster",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = spu_list,
};

static const struct flv_cmd *const spu_commands[] = {
    &cli_cmd_spu_register, &cli_cmd_spu_unregister, &list_cmd, NULL};

const struct flv_cmd cli_cmd_spu = {
    .name = "spu",
    .about = "Manage and view Streaming Processing Units (SPUs)",
    .commands = spu_commands,
};
