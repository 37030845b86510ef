#include "cli/cli.h"

#include "base/text.h"
#include "cli/local.h"
#include "cli/managed.h"
#include "cli/plugin.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SC_PORT_DEFAULT "9003"
#define SPU_PORT_DEFAULT "9010"
#define TLS_OPTIONS 6 /* beside --tls: all or none */
/* systemd ends by force what takes a minute. */
#define UNIT_STOP_MS_MAX 90000

struct cluster_conf {
    /* meaningful here */
    bool local;
    char *data_dir;
    char *log_dir;
    char *rust_log;
    uint64_t spu;
    uint64_t sc_port, spu_port;
    char *sc_pub_addr, *sc_priv_addr;
    char *metrics_addr;
    bool skip_profile_creation;
    bool insecure;
    bool force;
    int supervisor; /* enum cli_supervisor */
    /* accepted, nothing to do */
    bool skip_checks, setup, fix, develop;
    char *name;
    bool no_wait;
    /* refused in a sentence */
    bool k8, local_k8, sys, sys_only, tls, k8_port_forwarding;
    char *read_only, *namespace, *group_name, *install_name, *image_version;
    char *chart_version, *chart_location, *chart_values, *registry;
    char *authorization, *proxy_addr, *service_type, *storage_size;
    char *tls_client_secret, *tls_server_secret;
    char *domain, *ca_cert, *server_cert, *server_key, *client_cert;
    char *client_key;
    char *policy;
};

/* ---- Progress ---------------------------------------------------------- */

/* One line; icons only for a terminal. */
static void step(const char *icon, const char *fmt, ...) FLV_PRINTF(2, 3);

static void step(const char *icon, const char *fmt, ...)
{
    va_list args;
    if (icon[0] != '\0' && cli_colour(STDOUT_FILENO)) {
        printf("%s ", icon);
    }
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* ---- cluster start, resume --------------------------------------------- */

#define K8_FLAG(n, l, f)                                                       \
    {                                                                          \
        .name = (n), .letter = (l), FLV_FLAG(struct cluster_conf, f),          \
        .flags = FLV_OPT_HIDDEN, .help = "Kubernetes only"                     \
    }
#define K8_STR(n, f)                                                           \
    {                                                                          \
        .name = (n), FLV_STR(struct cluster_conf, f), .flags = FLV_OPT_HIDDEN, \
        .help = "Kubernetes only"                                              \
    }

/* clang-format off */
static const struct flv_opt start_opts[] = {
    {.name = "local",
     FLV_FLAG(struct cluster_conf, local),
     .help = "Start a local cluster, which is the default"},
    {.name = "data-dir",
     FLV_STR(struct cluster_conf, data_dir),
     .arg = "dir",
     .help = "Folder for the data, ~/.fluvio/data if absent"},
    {.name = "log-dir",
     FLV_STR(struct cluster_conf, log_dir),
     .arg = "dir",
     .help = "Folder for the server's log file, ~/.fluvio/log if absent"},
    {.name = "rust-log",
     FLV_STR(struct cluster_conf, rust_log),
     .arg = "log_options",
     .help = "Log level of the server, such as info or store=debug,info"},
    {.name = "spu",
     FLV_U64(struct cluster_conf, spu),
     .arg = "count",
     .fallback = "1",
     .help = "Number of SPUs; this version runs one"},
    {.name = "sc-pub-addr",
     FLV_STR(struct cluster_conf, sc_pub_addr),
     .arg = "host:port",
     .help = "Address that clients connect to, 127.0.0.1:9003 if absent"},
    {.name = "sc-priv-addr",
     FLV_STR(struct cluster_conf, sc_priv_addr),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use: one process needs no private address"},
    {.name = "metrics-addr",
     FLV_STR(struct cluster_conf, metrics_addr),
     .arg = "host:port",
     .help = "Serve the server's Prometheus metrics at "
             "http://host:port/metrics; not at all if absent"},
    {.name = "skip-profile-creation",
     FLV_FLAG(struct cluster_conf, skip_profile_creation),
     .help = "Leave the profile file alone"},
    {.name = "insecure",
     FLV_FLAG(struct cluster_conf, insecure),
     .help = "Allow an address beyond this machine although nothing is "
             "encrypted"},
    {.name = "supervisor",
     FLV_CHOICE(struct cluster_conf, supervisor),
     .env = "FLV_SUPERVISOR",
     .choices = cli_supervisor_names,
     .fallback = "auto",
     .help = "Who brings the programs back when they die: this user's systemd, "
             "a guard of their own, or (auto) systemd where it goes on when "
             "the user has logged out"},
    {.name = "sc-port",
     FLV_U64(struct cluster_conf, sc_port),
     .env = "FLV_SC_PORT",
     .fallback = SC_PORT_DEFAULT,
     .max = UINT16_MAX,
     .flags = FLV_OPT_HIDDEN,
     .help = "Port of the SC; 0: any free one"},
    {.name = "spu-port",
     FLV_U64(struct cluster_conf, spu_port),
     .env = "FLV_SPU_PORT",
     .fallback = SPU_PORT_DEFAULT,
     .max = UINT16_MAX,
     .flags = FLV_OPT_HIDDEN,
     .help = "Port of the SPU; 0: any free one"},
    {.name = "skip-checks",
     FLV_FLAG(struct cluster_conf, skip_checks),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use: the server checks by itself"},
    {.name = "setup",
     FLV_FLAG(struct cluster_conf, setup),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use: there is nothing to set up"},
    {.name = "develop",
     FLV_FLAG(struct cluster_conf, develop),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use"},
    K8_FLAG("k8", 0, k8),
    K8_FLAG("local-k8", 0, local_k8),
    K8_FLAG("sys", 0, sys),
    K8_FLAG("sys-only", 0, sys_only),
    K8_FLAG("use-k8-port-forwarding", 0, k8_port_forwarding),
    K8_STR("read-only", read_only),
    K8_STR("namespace", namespace),
    K8_STR("group-name", group_name),
    K8_STR("install-name", install_name),
    K8_STR("image-version", image_version),
    K8_STR("chart-version", chart_version),
    K8_STR("chart-location", chart_location),
    K8_STR("chart-values", chart_values),
    K8_STR("registry", registry),
    K8_STR("authorization-config-map", authorization),
    K8_STR("proxy-addr", proxy_addr),
    K8_STR("service-type", service_type),
    K8_STR("spu-storage-size", storage_size),
    K8_STR("tls-client-secret-name", tls_client_secret),
    K8_STR("tls-server-secret-name", tls_server_secret),
    {.name = "tls",
     FLV_FLAG(struct cluster_conf, tls),
     .help = "Serve TLS to clients with a certificate; the other TLS options "
             "say how"},
    {.name = "domain",
     FLV_STR(struct cluster_conf, domain),
     .arg = "name",
     .help = "TLS: name of the cluster; the server's certificate is for it "
             "and for *.name"},
    {.name = "ca-cert",
     FLV_STR(struct cluster_conf, ca_cert),
     .arg = "file",
     .help = "TLS: certificate of who signed the server's and the clients'"},
    {.name = "server-cert",
     FLV_STR(struct cluster_conf, server_cert),
     .arg = "file",
     .help = "TLS: certificate of the server, with its chain"},
    {.name = "server-key",
     FLV_STR(struct cluster_conf, server_key),
     .arg = "file",
     .help = "TLS: key of that certificate"},
    {.name = "client-cert",
     FLV_STR(struct cluster_conf, client_cert),
     .arg = "file",
     .help = "TLS: certificate of this user, for the profile"},
    {.name = "client-key",
     FLV_STR(struct cluster_conf, client_key),
     .arg = "file",
     .help = "TLS: key of that certificate"},
    {.name = "policy",
     FLV_STR(struct cluster_conf, policy),
     .arg = "file",
     .help = "With --tls: rules of what the names in certificates may do; "
             "what no rule allows is refused"},
    {.name = NULL}};
/* clang-format on */

static flv_rc check_start(const struct flv_opts *opts,
                          const struct cluster_conf *conf,
                          struct flv_err *err)
{
    int tls_options = 0;
    for (const struct flv_opt *o = opts->table; o->name != NULL; o++) {
        if (!flv_opts_given(opts, o->name)) {
            continue;
        }
        if (strcmp(o->name, "read-only") == 0) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            "this version has no --read-only; say with --tls "
                            "and --policy FILE who may do what");
        }
        if (strcmp(o->help, "Kubernetes only") == 0) {
            return flv_fail(err, FLV_E_UNSUPPORTED,
                            "Kubernetes is neither needed nor supported; "
                            "start a local cluster without --%s",
                            o->name);
        }
        tls_options += strncmp(o->help, "TLS: ", 5) == 0;
    }
    if (tls_options != (conf->tls ? TLS_OPTIONS : 0)) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: --tls needs --domain, --ca-cert, "
                        "--server-cert, --server-key, --client-cert and "
                        "--client-key, and these need --tls");
    }
    if (conf->spu != 1) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        "this version runs one SPU, not %" PRIu64
                        "; leave --spu out",
                        conf->spu);
    }
    if (conf->policy != NULL && !conf->tls) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: --policy needs --tls: without "
                        "certificates nobody has a name");
    }
    return FLV_OK;
}

/* HOST:PORT of --sc-pub-addr into bind and port. */
static flv_rc parse_address(const struct cluster_conf *conf,
                            char *host,
                            size_t size,
                            uint16_t *out_port,
                            struct flv_err *err)
{
    uint64_t port = 0;
    const char *text = conf->sc_pub_addr;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    if (len == 0 || len >= size ||
        flv_text_u64(colon + 1, 0, UINT16_MAX, &port, NULL) != FLV_OK) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: --sc-pub-addr %.80s is no address; "
                        "write it as HOST:PORT, such as 127.0.0.1:9003",
                        text);
    }
    memcpy(host, text, len);
    host[len] = '\0';
    *out_port = (uint16_t)port;
    return FLV_OK;
}

static flv_rc refuse_running(const struct cli_local *l,
                             const struct cli_holder *h,
                             struct flv_err *err)
{
    if (!h->held) {
        return FLV_OK;
    }
    if (h->pid == 0) {
        return flv_fail(err, FLV_E_LOCKED,
                        "%.120s is in use by a process of another user; name "
                        "another folder with --data-dir",
                        l->data_dir);
    }
    return flv_fail(err, FLV_E_EXISTS,
                    "a cluster runs already: pid %ld, port %u, data in %.80s; "
                    "`fluvio cluster shutdown` ends it",
                    (long)h->pid, h->port, l->data_dir);
}

/* Is this address one that only this machine can use? */
static const char *client_host(const char *bind)
{
    if (bind == NULL || strcmp(bind, "0.0.0.0") == 0 ||
        strcmp(bind, "::") == 0 || strcmp(bind, "[::]") == 0) {
        return "127.0.0.1";
    }
    return bind;
}

/* Programs that are started run elsewhere, and so will those who read the
 * profile: whole paths. */
struct tls_files {
    char ca_cert[PATH_MAX], server_cert[PATH_MAX], server_key[PATH_MAX];
    char client_cert[PATH_MAX], client_key[PATH_MAX], policy[PATH_MAX];
};

static flv_rc find_tls_files(const struct cluster_conf *conf,
                             struct tls_files *out,
                             struct flv_err *err)
{
    const struct {
        const char *option, *given;
        char *path;
    } files[] = {{"ca-cert", conf->ca_cert, out->ca_cert},
                 {"server-cert", conf->server_cert, out->server_cert},
                 {"server-key", conf->server_key, out->server_key},
                 {"client-cert", conf->client_cert, out->client_cert},
                 {"client-key", conf->client_key, out->client_key},
                 {"policy", conf->policy, out->policy}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i].given != NULL &&
            realpath(files[i].given, files[i].path) == NULL) {
            return flv_fail_sys(err, FLV_E_INVALID, errno,
                                "cannot find the file of --%s, %.100s",
                                files[i].option, files[i].given);
        }
    }
    return FLV_OK;
}

static flv_rc set_profile(struct cli *c,
                          const struct flv_client_tls *tls,
                          const char *address,
                          struct flv_err *err)
{
    flv_rc rc = cli_profiles(c, err);
    if (rc == FLV_OK) {
        rc = flv_profiles_add(c->profiles, "local", address, "local", err);
    }
    if (rc == FLV_OK) {
        rc = flv_profiles_set_tls(c->profiles, "local", tls, err);
    }
    return rc == FLV_OK ? flv_profiles_save(c->profiles, err) : rc;
}

/* What would fail behind the start is found before it. */
static flv_rc check_surroundings(struct cli *c,
                                 const struct cluster_conf *conf,
                                 struct flv_err *err)
{
    struct flv_buf program;
    flv_buf_init(&program, CLI_PATH_MAX);
    flv_rc rc = cli_program_find("fluvio-server", &program, err);
    flv_buf_deinit(&program);
    return rc == FLV_OK && !conf->skip_profile_creation ? cli_profiles(c, err)
                                                        : rc;
}

/* The manager's own copy of how the cluster is reached: whatever the user does
 * to the active profile, it stays with its cluster. */
static flv_rc write_manager_profile(const struct cli_local *l,
                                    const struct flv_client_tls *tls,
                                    const char *address,
                                    struct flv_err *err)
{
    struct flv_profiles *p = NULL;
    (void)unlink(l->manager_profile);
    if (tls->policy == FLV_TLS_DISABLED) {
        return FLV_OK;
    }
    (void)mkdir(l->manager_dir, 0700);
    flv_rc rc = flv_profiles_load(&p, l->manager_profile, err);
    if (rc == FLV_OK) {
        rc = flv_profiles_add(p, "local", address, "local", err);
    }
    if (rc == FLV_OK) {
        rc = flv_profiles_set_tls(p, "local", tls, err);
    }
    if (rc == FLV_OK) {
        rc = flv_profiles_save(p, err);
    }
    flv_profiles_destroy(p);
    return rc;
}

/* The manager beside the server. One that runs for the same cluster goes on.
 * tls NULL: as before. */
static flv_rc start_manager(const struct cli_local *l,
                            const struct flv_client_tls *tls,
                            const char *address,
                            const struct cli_server_conf *conf,
                            struct flv_err *err)
{
    struct cli_holder h;
    bool secure = access(l->manager_profile, F_OK) == 0;
    flv_rc rc = cli_manager_holder(l, &h, err);
    if (rc == FLV_OK && h.held && h.pid > 0 &&
        (strcmp(h.cluster, address) != 0 ||
         (tls != NULL && secure != (tls->policy != FLV_TLS_DISABLED)))) {
        rc = cli_local_stop(l, CLI_MANAGER, &h, err);
        h.held = false;
    }
    if (rc != FLV_OK || h.held) {
        return rc;
    }
    if (tls != NULL) {
        rc = write_manager_profile(l, tls, address, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    rc = cli_manager_start(l, address, conf->rust_log, conf->as_unit, err);
    if (rc == FLV_E_NOT_FOUND) {
        fprintf(stderr, "fluvio-manager is not installed: there will be no "
                        "managed connectors\n");
        rc = FLV_OK;
    } else if (rc == FLV_OK) {
        step("✅", "Connector manager launched");
    }
    return rc;
}

/* What clients of the server need to know. */
struct reach {
    struct flv_client_tls tls;
    char host[256]; /* empty: the default */
};

static void
set_address(const struct reach *r, uint16_t port, char *out, size_t size)
{
    snprintf(out, size, "%.255s:%u",
             client_host(r->host[0] != '\0' ? r->host : NULL), port);
}

/* Server and reach, from the options. `files` outlives both. */
static flv_rc read_start(const struct cluster_conf *conf,
                         struct tls_files *files,
                         struct cli_server_conf *server,
                         struct reach *r,
                         struct flv_err *err)
{
    flv_rc rc = FLV_OK;
    *server = (struct cli_server_conf){.rust_log = conf->rust_log,
                                       .sc_port = (uint16_t)conf->sc_port,
                                       .spu_port = (uint16_t)conf->spu_port,
                                       .metrics_addr = conf->metrics_addr,
                                       .insecure = conf->insecure};
    *r = (struct reach){.tls = {.policy = FLV_TLS_DISABLED}};
    if (conf->sc_pub_addr != NULL) {
        rc =
            parse_address(conf, r->host, sizeof r->host, &server->sc_port, err);
        server->bind =
            strcmp(r->host, "localhost") == 0 ? "127.0.0.1" : r->host;
    }
    if (rc == FLV_OK && conf->tls) {
        rc = find_tls_files(conf, files, err);
        server->tls_cert = files->server_cert;
        server->tls_key = files->server_key;
        server->tls_client_ca = files->ca_cert;
        server->policy = conf->policy != NULL ? files->policy : NULL;
        r->tls = (struct flv_client_tls){.policy = FLV_TLS_VERIFIED,
                                         .domain = conf->domain,
                                         .ca_cert = files->ca_cert,
                                         .cert = files->client_cert,
                                         .key = files->client_key};
    }
    return rc;
}

static flv_rc choose_supervisor(const struct cluster_conf *conf,
                                const struct cli_local *l,
                                struct cli_server_conf *server,
                                struct flv_err *err)
{
    enum cli_supervisor who = CLI_BY_GUARD;
    flv_rc rc = cli_supervisor_choose((enum cli_supervisor)conf->supervisor,
                                      l->manager_unit, &who, err);
    server->as_unit = who == CLI_BY_SYSTEMD;
    return rc;
}

static flv_rc start_server(struct cli *c,
                           const struct cluster_conf *conf,
                           const struct cli_local *l,
                           struct flv_err *err)
{
    char address[300];
    struct tls_files files;
    struct reach reach;
    struct cli_holder holder;
    struct cli_server_conf server;
    flv_rc rc = read_start(conf, &files, &server, &reach, err);
    rc = rc == FLV_OK ? choose_supervisor(conf, l, &server, err) : rc;
    rc = rc == FLV_OK ? cli_local_holder(l, &holder, err) : rc;
    if (rc == FLV_OK && holder.pid > 0) {
        /* What is missing of a cluster that runs is brought back. */
        set_address(&reach, holder.port, address, sizeof address);
        rc = start_manager(l, NULL, address, &server, err);
    }
    rc = rc == FLV_OK ? refuse_running(l, &holder, err) : rc;
    rc = rc == FLV_OK ? check_surroundings(c, conf, err) : rc;
    rc = rc == FLV_OK ? cli_local_prepare(l, err) : rc;
    if (rc != FLV_OK) {
        return rc;
    }
    step("✅", "Local Cluster initialized");
    rc = cli_local_start(l, &server, &holder, err);
    if (rc != FLV_OK) {
        return rc;
    }
    step("✅", "SC Launched");
    step("✅", "1 SPU launched");
    set_address(&reach, holder.port, address, sizeof address);
    if (!conf->skip_profile_creation) {
        rc = set_profile(c, &reach.tls, address, err);
        if (rc == FLV_OK) {
            step("✅", "Profile set");
        }
    }
    return rc == FLV_OK ? start_manager(l, &reach.tls, address, &server, err)
                        : rc;
}

/* Where nobody asked for systemd, it was asked whether it stays before it was
 * chosen. */
static void show_unit(const struct cli_local *l, int asked)
{
    if (!cli_unit_exists(l->server_unit)) {
        return;
    }
    step("", "   unit  %s", l->server_unit);
    if (asked == CLI_BY_SYSTEMD && cli_systemd_leaves()) {
        fprintf(stderr, "the cluster ends when you log out; `sudo loginctl "
                        "enable-linger $USER` lets it go on\n");
    }
}

static int cluster_start(struct flv_args *args, void *ctx)
{
    struct cli *c = ctx;
    const struct cluster_conf *conf = flv_args_conf(args);
    struct cli_local l;
    struct flv_err err = {0};
    int lock_fd = -1;
    flv_rc rc = check_start(flv_args_opts(args), conf, &err);
    if (rc == FLV_OK) {
        rc = cli_local_find(&l, conf->data_dir, conf->log_dir, false, &err);
    }
    if (rc == FLV_OK) {
        step("📝", "Running pre-flight checks");
        rc = cli_local_lock(&lock_fd, &err);
    }
    if (rc == FLV_OK) {
        rc = start_server(c, conf, &l, &err);
        close(lock_fd);
    }
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    step("🎯", "Successfully installed Local Fluvio cluster");
    step("", "   data  %s", l.data_dir);
    step("", "   logs  %s", l.log_file);
    show_unit(&l, conf->supervisor);
    return 0;
}

static const struct flv_cmd start_cmd = {
    .name = "start",
    .about = "Install Fluvio cluster\n\n"
             "Starts fluvio-server in the background for this user and makes "
             "its profile the active one. After a crash the same command "
             "brings the cluster back with its data.",
    .opts = start_opts,
    .conf_size = sizeof(struct cluster_conf),
    .run = cluster_start,
};

static const struct flv_cmd resume_cmd = {
    .name = "resume",
    .about = "Resume a local cluster that was shut down, which is what start "
             "does too",
    .opts = start_opts,
    .conf_size = sizeof(struct cluster_conf),
    .run = cluster_start,
};

/* ---- cluster shutdown -------------------------------------------------- */

static const struct flv_opt shutdown_opts[] = {
    {.name = "local",
     FLV_FLAG(struct cluster_conf, local),
     .help = "Shut the local cluster down, which is the default"},
    {.name = "data-dir",
     FLV_STR(struct cluster_conf, data_dir),
     .arg = "dir",
     .help = "Folder of the data; that of the last start if absent"},
    {.name = NULL}};

static flv_rc stop_part(const struct cli_local *l,
                        enum cli_part part,
                        bool *out_ran,
                        struct flv_err *err)
{
    struct cli_holder h;
    /* Also one that is dead just now, and would come back. */
    const char *unit = part == CLI_SERVER ? l->server_unit : l->manager_unit;
    *out_ran = *out_ran || cli_unit_exists(unit);
    flv_rc rc = cli_unit_stop(unit, UNIT_STOP_MS_MAX, err);
    if (rc == FLV_OK) {
        rc = part == CLI_SERVER ? cli_local_holder(l, &h, err)
                                : cli_manager_holder(l, &h, err);
    }
    if (rc != FLV_OK) {
        return rc;
    }
    *out_ran = *out_ran || h.held;
    if (h.held && h.pid == 0) {
        return flv_fail(err, FLV_E_REFUSED,
                        "%.120s is in use by a process that this user cannot "
                        "see; nothing was stopped",
                        part == CLI_SERVER ? l->data_dir : l->manager_dir);
    }
    rc = h.held ? cli_local_stop(l, part, &h, err) : FLV_OK;
    /* If it is not, a start says what that means. */
    (void)cli_unit_gone(unit);
    return rc;
}

/* Connectors outlive a manager that was killed with its guard. A new one finds
 * them, and ends them in good order like all others. */
static flv_rc bring_manager_back(const struct cli_local *l, struct flv_err *err)
{
    char address[32];
    struct cli_holder server, h;
    flv_rc rc = cli_manager_holder(l, &h, err);
    if (rc != FLV_OK || h.held || !cli_manager_orphans(l)) {
        return rc;
    }
    rc = cli_local_holder(l, &server, err);
    snprintf(address, sizeof address, "127.0.0.1:%u", server.port);
    return rc == FLV_OK ? cli_manager_start(l, server.port > 0 ? address : NULL,
                                            NULL, false, err)
                        : rc;
}

/* Ends what runs; connectors first, so that they deliver what they have. */
static flv_rc
stop_cluster(const struct cli_local *l, bool *out_ran, struct flv_err *err)
{
    *out_ran = false;
    flv_rc rc = stop_part(l, CLI_MANAGER, out_ran, err);
    rc = rc == FLV_OK ? bring_manager_back(l, err) : rc;
    rc = rc == FLV_OK ? stop_part(l, CLI_MANAGER, out_ran, err) : rc;
    return rc == FLV_OK ? stop_part(l, CLI_SERVER, out_ran, err) : rc;
}

static int cluster_shutdown(struct flv_args *args, void *ctx)
{
    (void)ctx;
    const struct cluster_conf *conf = flv_args_conf(args);
    struct cli_local l;
    struct flv_err err = {0};
    bool ran = false;
    flv_rc rc = cli_local_find(&l, conf->data_dir, NULL, true, &err);
    rc = rc == FLV_OK ? stop_cluster(&l, &ran, &err) : rc;
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    if (!ran) {
        fprintf(stderr, "no local cluster runs with data in %s\n", l.data_dir);
        return 0;
    }
    step("", "Uninstalled fluvio local components");
    return 0;
}

static const struct flv_cmd shutdown_cmd = {
    .name = "shutdown",
    .about = "Shutdown cluster processes without deleting data",
    .opts = shutdown_opts,
    .conf_size = sizeof(struct cluster_conf),
    .run = cluster_shutdown,
};

/* ---- cluster delete ---------------------------------------------------- */

static const struct flv_opt delete_opts[] = {
    {.name = "force",
     .letter = 'f',
     FLV_FLAG(struct cluster_conf, force),
     .help = "Do not ask for confirmation"},
    {.name = "data-dir",
     FLV_STR(struct cluster_conf, data_dir),
     .arg = "dir",
     .help = "Folder of the data; that of the last start if absent"},
    {.name = "local",
     FLV_FLAG(struct cluster_conf, local),
     .help = "Delete the local cluster, which is the default"},
    {.name = "name",
     FLV_STR(struct cluster_conf, name),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use"},
    {.name = "namespace",
     FLV_STR(struct cluster_conf, namespace),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use"},
    {.name = "no-wait",
     FLV_FLAG(struct cluster_conf, no_wait),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use"},
    {.name = "sys",
     FLV_FLAG(struct cluster_conf, sys),
     .flags = FLV_OPT_HIDDEN,
     .help = "Without use"},
    {.name = NULL}};

/* FLV_OK for yes. */
static flv_rc confirm(const struct cli_local *l, struct flv_err *err)
{
    char answer[16] = "";
    if (isatty(STDIN_FILENO) == 0) {
        return flv_fail(err, FLV_E_REFUSED,
                        "deleting the cluster and its data in %.100s needs a "
                        "confirmation; add --force",
                        l->data_dir);
    }
    printf("WARNING: this deletes the local cluster and all its data in %s\n"
           "Type \"yes\" to go on: ",
           l->data_dir);
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        answer[0] = '\0';
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    if (strcmp(answer, "yes") != 0 && strcmp(answer, "y") != 0) {
        return flv_fail(err, FLV_E_CANCELED, "nothing was deleted");
    }
    return FLV_OK;
}

static int cluster_delete(struct flv_args *args, void *ctx)
{
    (void)ctx;
    const struct cluster_conf *conf = flv_args_conf(args);
    struct cli_local l;
    struct flv_err err = {0};
    bool ran = false, removed = false;
    flv_rc rc = cli_local_find(&l, conf->data_dir, NULL, true, &err);
    if (rc == FLV_OK && !conf->force) {
        rc = confirm(&l, &err);
    }
    rc = rc == FLV_OK ? stop_cluster(&l, &ran, &err) : rc;
    if (rc == FLV_OK && ran) {
        step("", "Uninstalled fluvio local components");
    }
    rc = rc == FLV_OK ? cli_local_remove(&l, &removed, &err) : rc;
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    if (removed) {
        step("", "Removed the data in %s", l.data_dir);
    } else {
        fprintf(stderr, "there is no local cluster with data in %s\n",
                l.data_dir);
    }
    return 0;
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete the cluster: its processes and all of its data",
    .opts = delete_opts,
    .conf_size = sizeof(struct cluster_conf),
    .run = cluster_delete,
};

/* ---- The group --------------------------------------------------------- */

static const struct flv_cmd *const cluster_commands[] = {
    &start_cmd,
    &resume_cmd,
    &shutdown_cmd,
    &cli_cmd_cluster_status,
    &cli_cmd_cluster_check,
    &cli_cmd_cluster_diagnostics,
    &delete_cmd,
    &cli_cmd_cluster_upgrade,
    &cli_cmd_spu,
    &cli_cmd_spg,
    &cli_cmd_cluster_connector,
    NULL};

const struct flv_cmd cli_cmd_cluster = {
    .name = "cluster",
    .about = "Install or uninstall Fluvio clusters",
    .commands = cluster_commands,
};
