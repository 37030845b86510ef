#include "cli/cli.h"

#include "cli/table.h"

#define TEXT_BYTES_MAX ((size_t)4 << 20)
#define LOCAL_ADDRESS "127.0.0.1:9003"

struct profile_conf {
    char *name;
    char *to;
    char *type;
    char *address;
    int output;
    bool force;
};

/* Loads the file, edits it through `edit`, saves it. */
static int edit_profiles(struct cli *c,
                         const struct profile_conf *conf,
                         flv_rc (*edit)(struct flv_profiles *p,
                                        const struct profile_conf *conf,
                                        struct flv_err *err))
{
    struct flv_err err = {0};
    flv_rc rc = cli_profiles(c, &err);
    rc = rc == FLV_OK ? edit(c->profiles, conf, &err) : rc;
    rc = rc == FLV_OK ? flv_profiles_save(c->profiles, &err) : rc;
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

/* ---- profile, profile current ------------------------------------------ */

static int profile_current(struct flv_args *args, void *ctx)
{
    (void)args;
    struct cli *c = ctx;
    struct flv_err err = {0};
    if (cli_profiles(c, &err) != FLV_OK) {
        return cli_fail(&err);
    }
    const char *name = flv_profiles_current(c->profiles);
    if (name == NULL) {
        return cli_failf("No active profile set in config; start a cluster "
                         "with `fluvio cluster start`, or choose one with "
                         "`fluvio profile switch`");
    }
    printf("%s\n", name);
    return 0;
}

static const struct flv_cmd current_cmd = {
    .name = "current",
    .about = "Print the name of the current context",
    .run = profile_current,
};

/* ---- profile list ------------------------------------------------------ */

static const char *tls_name(enum flv_tls_policy tls)
{
    switch (tls) {
    case FLV_TLS_DISABLED:
        return "Disabled";
    case FLV_TLS_ANONYMOUS:
        return "Anonymous";
    case FLV_TLS_VERIFIED:
        return "Verified";
    }
    return "Disabled";
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static bool is_current(const struct cli *c, const struct flv_profile *p)
{
    const char *current = flv_profiles_current(c->profiles);
    return current != NULL && strcmp(current, p->name) == 0;
}

static flv_rc
list_table(const struct cli *c, struct flv_buf *out, struct flv_err *err)
{
    static const char *const header[] = {
        " ", "PROFILE", "CLUSTER", "ADDRESS", "TLS", "INSTALLATION", NULL};
    struct cli_table t;
    cli_table_init(&t, 1);
    cli_table_row(&t, header);
    for (size_t i = 0; i < flv_profiles_count(c->profiles); i++) {
        struct flv_profile p;
        flv_profiles_at(c->profiles, i, &p);
        cli_table_cell(&t, is_current(c, &p) ? "*" : "");
        cli_table_cell(&t, p.name);
        cli_table_cell(&t, or_empty(p.cluster));
        cli_table_cell(&t, or_empty(p.endpoint));
        cli_table_cell(&t, tls_name(p.tls.policy));
        cli_table_cell(&t, p.installation != NULL ? p.installation : "local");
        cli_table_end_row(&t);
    }
    flv_rc rc = cli_table_print(&t, out, err);
    cli_table_deinit(&t);
    return rc;
}

static void doc_optional(struct cli_doc *d, const char *key, const char *text)
{
    if (text != NULL) {
        cli_doc_str(d, key, text);
    } else {
        cli_doc_null(d, key);
    }
}

static const char *policy_name(enum flv_tls_policy tls)
{
    switch (tls) {
    case FLV_TLS_DISABLED:
        return "disabled";
    case FLV_TLS_ANONYMOUS:
        return "anonymous";
    case FLV_TLS_VERIFIED:
        return "verified";
    }
    return "disabled";
}

/* A cluster as the file has it. */
static void doc_cluster(struct cli_doc *d, const struct flv_profile *p)
{
    cli_doc_str(d, "endpoint", or_empty(p->endpoint));
    cli_doc_bool(d, "use_spu_local_address", p->use_spu_local_address);
    cli_doc_map(d, "tls");
    cli_doc_str(d, "tls_policy", policy_name(p->tls.policy));
    if (p->tls.policy == FLV_TLS_VERIFIED) {
        cli_doc_str(d, "tls_source", p->tls.is_inline ? "inline" : "files");
        cli_doc_map(d, "certs");
        cli_doc_str(d, "domain", or_empty(p->tls.domain));
        cli_doc_str(d, "key", or_empty(p->tls.key));
        cli_doc_str(d, "cert", or_empty(p->tls.cert));
        cli_doc_str(d, "ca_cert", or_empty(p->tls.ca_cert));
        cli_doc_end(d);
    }
    cli_doc_end(d);
    if (p->installation != NULL) {
        cli_doc_map(d, "metadata");
        cli_doc_map(d, "installation");
        cli_doc_str(d, "typ", p->installation);
        cli_doc_end(d);
        cli_doc_end(d);
    }
}

/* The first profile that names this cluster writes it. */
static bool names_cluster_first(const struct cli *c, size_t at)
{
    struct flv_profile p, other;
    flv_profiles_at(c->profiles, at, &p);
    bool first = p.cluster != NULL && p.endpoint != NULL;
    for (size_t i = 0; i < at && first; i++) {
        flv_profiles_at(c->profiles, i, &other);
        first = other.cluster == NULL || strcmp(other.cluster, p.cluster) != 0;
    }
    return first;
}

/* The file as a document, as Fluvio prints it. */
static flv_rc list_doc(const struct cli *c,
                       enum cli_format format,
                       struct flv_buf *out,
                       struct flv_err *err)
{
    struct cli_doc d;
    struct flv_profile p;
    const size_t count = flv_profiles_count(c->profiles);
    cli_doc_init(&d, format);
    cli_doc_map(&d, NULL);
    cli_doc_str(&d, "version", "2.0");
    doc_optional(&d, "current_profile", flv_profiles_current(c->profiles));
    cli_doc_map(&d, "profile");
    for (size_t i = 0; i < count; i++) {
        flv_profiles_at(c->profiles, i, &p);
        cli_doc_map(&d, p.name);
        cli_doc_str(&d, "cluster", or_empty(p.cluster));
        doc_optional(&d, "topic", p.topic);
        if (p.partition >= 0) {
            cli_doc_i64(&d, "partition", p.partition);
        } else {
            cli_doc_null(&d, "partition");
        }
        cli_doc_end(&d);
    }
    cli_doc_end(&d);
    cli_doc_map(&d, "cluster");
    for (size_t i = 0; i < count; i++) {
        if (names_cluster_first(c, i)) {
            flv_profiles_at(c->profiles, i, &p);
            cli_doc_map(&d, p.cluster);
            doc_cluster(&d, &p);
            cli_doc_end(&d);
        }
    }
    cli_doc_end(&d);
    cli_doc_null(&d, "client_id");
    cli_doc_end(&d);
    return cli_doc_put(&d, out, err);
}

static int profile_list(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct profile_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct flv_buf text;
    flv_buf_init(&text, TEXT_BYTES_MAX);
    flv_rc rc = cli_profiles(c, &err);
    if (rc == FLV_OK && flv_profiles_count(c->profiles) == 0 &&
        conf->output == CLI_FORMAT_TABLE) {
        printf("No profiles found\n");
    } else if (rc == FLV_OK) {
        rc = conf->output == CLI_FORMAT_TABLE
                 ? list_table(c, &text, &err)
                 : list_doc(c, (enum cli_format)conf->output, &text, &err);
    }
    cli_put(&text);
    flv_buf_deinit(&text);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct profile_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "Display the entire configuration",
    .opts = list_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_list,
};

/* ---- profile switch, rename, delete, delete-cluster -------------------- */

#define NAME_OPT(text)                                                         \
    {                                                                          \
        .name = "name", FLV_STR(struct profile_conf, name),                    \
        .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED, .help = (text)         \
    }

static const struct flv_opt switch_opts[] = {
    NAME_OPT("The name of a profile to switch to"), {.name = NULL}};

static flv_rc edit_switch(struct flv_profiles *p,
                          const struct profile_conf *conf,
                          struct flv_err *err)
{
    flv_rc rc = flv_profiles_switch(p, conf->name, err);
    if (rc == FLV_E_NOT_FOUND) {
        return flv_fail(err, rc, "profile %s not found", conf->name);
    }
    return rc;
}

static int profile_switch(struct flv_args *args, void *ctx)
{
    return edit_profiles(ctx, flv_args_conf(args), edit_switch);
}

static const struct flv_cmd switch_cmd = {
    .name = "switch",
    .about = "Switch to the named profile",
    .opts = switch_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_switch,
};

static const struct flv_opt rename_opts[] = {
    {.name = "from",
     FLV_STR(struct profile_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the profile to rename"},
    {.name = "to",
     FLV_STR(struct profile_conf, to),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The new name to give the profile"},
    {.name = NULL}};

static flv_rc edit_rename(struct flv_profiles *p,
                          const struct profile_conf *conf,
                          struct flv_err *err)
{
    return flv_profiles_rename(p, conf->name, conf->to, err);
}

static int profile_rename(struct flv_args *args, void *ctx)
{
    return edit_profiles(ctx, flv_args_conf(args), edit_rename);
}

static const struct flv_cmd rename_cmd = {
    .name = "rename",
    .about = "Rename a profile",
    .opts = rename_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_rename,
};

static const struct flv_opt delete_opts[] = {
    NAME_OPT("The name of a profile to delete"), {.name = NULL}};

static flv_rc edit_delete(struct flv_profiles *p,
                          const struct profile_conf *conf,
                          struct flv_err *err)
{
    flv_rc rc = flv_profiles_delete(p, conf->name, err);
    if (rc == FLV_E_NOT_FOUND) {
        return flv_fail(err, rc, "profile %s not found", conf->name);
    }
    return rc;
}

static int profile_delete(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct profile_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    if (cli_profiles(c, &err) != FLV_OK) {
        return cli_fail(&err);
    }
    const char *current = flv_profiles_current(c->profiles);
    bool active = current != NULL && strcmp(current, conf->name) == 0;
    int status = edit_profiles(c, conf, edit_delete);
    if (status != 0) {
        return status;
    }
    printf("profile %s deleted\n", conf->name);
    if (!active) {
        printf("profile deleted\n");
    } else {
        printf("warning: this removed your current profile, use `fluvio "
               "profile switch` to select a different one\n");
    }
    return 0;
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete the named profile",
    .opts = delete_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_delete,
};

static const struct flv_opt delete_cluster_opts[] = {
    NAME_OPT("The name of a cluster connection to delete"),
    {.name = "force",
     .letter = 'f',
     FLV_FLAG(struct profile_conf, force),
     .help = "Deletes a cluster even if its active"},
    {.name = NULL}};

static flv_rc edit_delete_cluster(struct flv_profiles *p,
                                  const struct profile_conf *conf,
                                  struct flv_err *err)
{
    return flv_profiles_delete_cluster(p, conf->name, conf->force, err);
}

static int profile_delete_cluster(struct flv_args *args, void *ctx)
{
    const struct profile_conf *conf = flv_args_conf(args);
    int status = edit_profiles(ctx, conf, edit_delete_cluster);
    if (status == 0) {
        printf("Cluster %s deleted\n", conf->name);
    }
    return status;
}

static const struct flv_cmd delete_cluster_cmd = {
    .name = "delete-cluster",
    .about = "Delete the named cluster",
    .opts = delete_cluster_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_delete_cluster,
};

/* ---- profile sync ------------------------------------------------------ */

struct sync_conf {
    char *address;
    struct cli_global tls; /* its TLS options */
};

static const struct flv_opt sync_local_opts[] = {
    {.name = "local",
     FLV_STR(struct sync_conf, address),
     .flags = FLV_OPT_POSITIONAL,
     .arg = "host:port",
     .fallback = LOCAL_ADDRESS,
     .help = "Address of the local cluster"},
    {.name = "tls", FLV_FLAG(struct sync_conf, tls.tls), .help = "Enable TLS"},
    {.name = "enable-client-cert",
     FLV_FLAG(struct sync_conf, tls.enable_client_cert),
     .help = "TLS: use client cert"},
    {.name = "domain",
     FLV_STR(struct sync_conf, tls.domain),
     .help = "Required if client cert is used"},
    {.name = "ca-cert",
     FLV_STR(struct sync_conf, tls.ca_cert),
     .help = "Path to TLS ca cert, required when client cert is enabled"},
    {.name = "client-cert",
     FLV_STR(struct sync_conf, tls.client_cert),
     .help = "Path to TLS client certificate"},
    {.name = "client-key",
     FLV_STR(struct sync_conf, tls.client_key),
     .help = "Path to TLS client private key"},
    {.name = NULL}};

static int profile_sync_local(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct sync_conf *conf = flv_args_conf(args);
    struct flv_client_tls tls;
    struct flv_err err = {0};
    flv_rc rc = cli_tls_options(&conf->tls, &tls, &err);
    rc = rc == FLV_OK ? cli_profiles(c, &err) : rc;
    rc = rc == FLV_OK ? flv_profiles_add(c->profiles, "local", conf->address,
                                         "local", &err)
                      : rc;
    if (rc == FLV_OK && tls.policy != FLV_TLS_DISABLED) {
        rc = flv_profiles_set_tls(c->profiles, "local", &tls, &err);
    }
    rc = rc == FLV_OK ? flv_profiles_save(c->profiles, &err) : rc;
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    printf("local context is set to: %s\n", conf->address);
    return 0;
}

static const struct flv_cmd sync_local_cmd = {
    .name = "local",
    .about = "Sync a profile from local cluster",
    .opts = sync_local_opts,
    .conf_size = sizeof(struct sync_conf),
    .run = profile_sync_local,
};

static int profile_sync_k8(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return cli_failf("this version does not talk to Kubernetes; use `fluvio "
                     "profile add NAME HOST:PORT` with the cluster's address");
}

static const struct flv_cmd sync_k8_cmd = {
    .name = "k8",
    .about = "Sync a profile from a Kubernetes cluster (not in this version)",
    .run = profile_sync_k8,
};

static const struct flv_cmd *const sync_commands[] = {&sync_local_cmd,
                                                      &sync_k8_cmd, NULL};

static const struct flv_cmd sync_cmd = {
    .name = "sync",
    .about = "Sync a profile from a cluster",
    .commands = sync_commands,
};

/* ---- profile export, add ----------------------------------------------- */

static const char *const export_formats[] = {"table", "json", "yaml", "toml",
                                             NULL};

static const struct flv_opt export_opts[] = {
    {.name = "profile-name",
     FLV_STR(struct profile_conf, name),
     .flags = FLV_OPT_POSITIONAL,
     .help = "The name of the profile to export, the active one if absent"},
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct profile_conf, output),
     .choices = export_formats,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "toml",
     .help = "Output"},
    {.name = NULL}};

static flv_rc export_doc(const struct flv_profile *p,
                         enum cli_format format,
                         struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, format);
    cli_doc_map(&d, NULL);
    doc_cluster(&d, p);
    cli_doc_end(&d);
    flv_rc rc = cli_doc_finish(&d, err);
    if (rc == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
    return rc;
}

static int profile_export(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct profile_conf *conf = flv_args_conf(args);
    struct flv_err err = {0};
    struct flv_profile p;
    char *text = NULL;
    flv_rc rc = cli_profiles(c, &err);
    rc = rc == FLV_OK ? flv_profiles_find(c->profiles, conf->name, &p, &err)
                      : rc;
    if (rc == FLV_OK && conf->output == CLI_FORMAT_TABLE) {
        fprintf(stderr, "Table format is not supported, using TOML instead\n");
    }
    if (rc == FLV_OK &&
        (conf->output == CLI_FORMAT_JSON || conf->output == CLI_FORMAT_YAML)) {
        rc = export_doc(&p, (enum cli_format)conf->output, &err);
    } else if (rc == FLV_OK) {
        rc = flv_profiles_export(c->profiles, conf->name, &text, &err);
    }
    if (rc == FLV_OK && text != NULL) {
        fputs(text, stdout);
    }
    flv_client_free(text);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd export_cmd = {
    .name = "export",
    .about = "Export a profile for use in other applications",
    .opts = export_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_export,
};

static const struct flv_opt add_opts[] = {
    {.name = "profile-name",
     FLV_STR(struct profile_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "The name of the profile to add"},
    {.name = "cluster-address",
     FLV_STR(struct profile_conf, address),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Address of the cluster, such as 127.0.0.1:9003"},
    {.name = "installation-type",
     FLV_STR(struct profile_conf, type),
     .flags = FLV_OPT_POSITIONAL,
     .help = "Installation type of the cluster: local, docker, cloud, k8"},
    {.name = NULL}};

static flv_rc edit_add(struct flv_profiles *p,
                       const struct profile_conf *conf,
                       struct flv_err *err)
{
    return flv_profiles_add(p, conf->name, conf->address, conf->type, err);
}

static int profile_add(struct flv_args *args, void *ctx)
{
    const struct profile_conf *conf = flv_args_conf(args);
    const char *colon = strrchr(conf->address, ':');
    if (colon == NULL || colon == conf->address ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0' ||
        colon[1] == '\0') {
        return cli_failf("Invalid argument: '%s' is no address; write it as "
                         "HOST:PORT, such as 127.0.0.1:9003",
                         conf->address);
    }
    int status = edit_profiles(ctx, conf, edit_add);
    if (status == 0) {
        printf("Switched to profile %s\n", conf->name);
    }
    return status;
}

static const struct flv_cmd add_cmd = {
    .name = "add",
    .about = "Manually add a profile (advanced)",
    .opts = add_opts,
    .conf_size = sizeof(struct profile_conf),
    .run = profile_add,
};

static const struct flv_cmd *const profile_commands[] = {&current_cmd,
                                                         &add_cmd,
                                                         &switch_cmd,
                                                         &list_cmd,
                                                         &rename_cmd,
                                                         &delete_cmd,
                                                         &delete_cluster_cmd,
                                                         &sync_cmd,
                                                         &export_cmd,
                                                         &cli_cmd_profile_names,
                                                         NULL};

const struct flv_cmd cli_cmd_profile = {
    .name = "profile",
    .about = "Manage Profiles, which describe linked clusters\n\n"
             "Each Profile describes a particular Fluvio cluster you may be "
             "connected to. This might correspond to Fluvio running on a "
             "different machine or port. Without a subcommand the active "
             "profile's name is printed.",
    .commands = profile_commands,
    .flags = FLV_CMD_RUNS,
    .run = profile_current,
};
