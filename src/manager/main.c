#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/opt.h"
#include "manager/dir.h"
#include "manager/manager.h"
#include "manager/rest.h"

enum { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

#define TARGET "manager"
#define PORT_DEFAULT 9020

/* The sanitizers reserve more address space than any limit allows. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_DEFAULT "0"
#else
#define MEMORY_DEFAULT "512 MiB"
#endif

struct conf {
    char *data_dir, *cluster, *profile_file, *path, *log_level;
    uint64_t port, ready_fd, files_max, log_files;
    uint64_t memory_bytes_max, log_bytes_max;
    uint64_t backoff_min_ms, backoff_max_ms, healthy_ms, drain_ms, term_ms;
    uint64_t ping_ms, silence_ms;
    bool no_tcp, guard;
};

static const char *const log_aliases[] = {"rust-log", NULL};

/* clang-format off */
static const struct flv_opt opts[] = {
    {.name = "data-dir", FLV_STR(struct conf, data_dir), .arg = "DIR",
     .help = "Folder of this manager [default: ~/.fluvio/data/manager]"},
    {.name = "cluster", FLV_STR(struct conf, cluster), .arg = "HOST:PORT",
     .help = "Cluster of the topics [default: the active profile's]"},
    {.name = "profile-file", FLV_STR(struct conf, profile_file), .arg = "FILE",
     .help = "The same, by the active profile of this file; connectors get it "
             "too"},
    {.name = "port", FLV_U64(struct conf, port), .arg = "PORT",
     .max = 65535,
     .help = "Port of the REST API on 127.0.0.1; 0 for any free one [default: "
             "9020, or a free one when that is taken]"},
    {.name = "no-tcp", FLV_FLAG(struct conf, no_tcp),
     .help = "Serve the REST API on the unix socket alone"},
    {.name = "path", FLV_STR(struct conf, path), .arg = "DIRS",
     .help = "Folders with fluvio-connect-* programs, ':' between them "
             "[default: this program's folder, then PATH]"},
    {.name = "connector-memory", FLV_SIZE(struct conf, memory_bytes_max),
     .arg = "SIZE", .fallback = MEMORY_DEFAULT,
     .help = "Data memory of a connector whose file says nothing; 0: no limit"},
    {.name = "connector-files", FLV_U64(struct conf, files_max), .arg = "N",
     .fallback = "1024", .max = 1048576,
     .help = "Descriptors of a connector whose file says nothing; 0: no limit"},
    {.name = "log-max", FLV_SIZE(struct conf, log_bytes_max), .arg = "SIZE",
     .fallback = "8 MiB", .min = 4096, .max = UINT64_C(1) << 40,
     .help = "Size from which a connector's log is rotated"},
    {.name = "log-files", FLV_U64(struct conf, log_files), .arg = "N",
     .fallback = "4", .max = 90,
     .help = "Rotated logs that are kept for each connector"},
    {.name = "log-level", FLV_STR(struct conf, log_level), .arg = "SPEC",
     .env = "RUST_LOG", .fallback = "info", .aliases = log_aliases,
     .help = "What to log: a level, or TARGET=LEVEL,..."},
    {.name = "guard", FLV_FLAG(struct conf, guard),
     .help = "Run under a small parent that brings the manager back when it "
             "dies"},
    {.name = "ready-fd", FLV_U64(struct conf, ready_fd), .arg = "N",
     .fallback = "1", .max = 1048576,
     .help = "Descriptor that gets one line when the manager is ready"},
    {.name = "backoff-min", FLV_DURATION(struct conf, backoff_min_ms),
     .unit_ms = 1, .fallback = "50ms", .min = 1, .max = 3600000,
     .flags = FLV_OPT_HIDDEN, .help = "First wait before a start again"},
    {.name = "backoff-max", FLV_DURATION(struct conf, backoff_max_ms),
     .unit_ms = 1, .fallback = "60s", .min = 1, .max = 3600000,
     .flags = FLV_OPT_HIDDEN, .help = "Longest wait before a start again"},
    {.name = "healthy-after", FLV_DURATION(struct conf, healthy_ms),
     .unit_ms = 1, .fallback = "10s", .min = 1, .max = 3600000,
     .flags = FLV_OPT_HIDDEN, .help = "Well for so long: failures are past"},
    {.name = "drain-max", FLV_DURATION(struct conf, drain_ms), .unit_ms = 1,
     .fallback = "10s", .min = 1, .max = 3600000, .flags = FLV_OPT_HIDDEN,
     .help = "Time to deliver what is under way, before SIGTERM"},
    {.name = "term-max", FLV_DURATION(struct conf, term_ms), .unit_ms = 1,
     .fallback = "5s", .min = 1, .max = 3600000, .flags = FLV_OPT_HIDDEN,
     .help = "Time from SIGTERM to SIGKILL"},
    {.name = "ping", FLV_DURATION(struct conf, ping_ms), .unit_ms = 1,
     .fallback = "5s", .min = 10, .max = 3600000, .flags = FLV_OPT_HIDDEN,
     .help = "How often a silent connector is asked how it is"},
    {.name = "silence-max", FLV_DURATION(struct conf, silence_ms),
     .unit_ms = 1, .fallback = "12s", .min = 10, .max = 3600000,
     .flags = FLV_OPT_HIDDEN,
     .help = "No answer for so long: the connector is stalled"},
    {.name = NULL},
};
/* clang-format on */

static const struct flv_cmd command = {
    .name = "fluvio-manager",
    .about = "Runs, watches and explains the connectors of one cluster.",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .version = FLV_VERSION,
};

struct program {
    const struct conf *conf;
    struct flv_loop *loop;
    struct flv_mdir dir;
    struct flv_manager *manager;
    struct flv_rest *rest;
    pid_t guard;
    int unix_fd, tcp_fd;
    uint16_t port;
    bool port_given;
    bool up, stop_asked, stopping;
    uint64_t asked_ms; /* when it was asked to stop */
    flv_rc rc;         /* why it ends, unless it was told to; with err */
    struct flv_err err;
};

static int fail(const struct flv_err *err)
{
    (void)fprintf(stderr, "fluvio-manager: %s\n", err->text);
    return EXIT_RUNTIME;
}

/* ---- The end ----------------------------------------------------------- */

static void on_stopped(void *arg)
{
    struct program *p = arg;
    flv_loop_stop(p->loop);
}

static void stop(struct program *p)
{
    /* What runs is found before it can be stopped. */
    if (p->up && !p->stopping) {
        p->stopping = true;
        flv_manager_stop(p->manager, on_stopped, p);
    }
}

static void on_signal(void *ctx, int signum)
{
    struct program *p = ctx;
    if (p->stop_asked &&
        flv_loop_now_ms(p->loop) - p->asked_ms < FLV_GUARD_SAME_SIGNAL_MS) {
        return;
    }
    if (p->stop_asked) {
        flv_log_warn(TARGET, "second signal: ending at once, connectors go on");
        _exit(128 + signum);
    }
    p->stop_asked = true;
    p->asked_ms = flv_loop_now_ms(p->loop);
    flv_log_info(TARGET, "stopping",
                 FLV_KV_STR("signal", signum == SIGTERM ? "TERM" : "INT"));
    (void)flv_notify("STOPPING=1");
    stop(p);
}

/* ---- The start --------------------------------------------------------- */

static flv_rc open_sockets(struct program *p, struct flv_err *err)
{
    const struct conf *c = p->conf;
    flv_rc rc = flv_mdir_socket(&p->dir, &p->unix_fd, err);
    if (rc != FLV_OK || c->no_tcp) {
        return rc;
    }
    uint16_t port = p->port_given ? (uint16_t)c->port : PORT_DEFAULT;
    rc = flv_mdir_tcp(port, &p->tcp_fd, &p->port, err);
    if (rc == FLV_E_EXISTS && !p->port_given) {
        rc = flv_mdir_tcp(0, &p->tcp_fd, &p->port, err);
    }
    return rc;
}

static flv_rc serve_rest(struct program *p, struct flv_err *err)
{
    flv_rc rc = open_sockets(p, err);
    const struct flv_rest_conf conf = {.loop = p->loop,
                                       .manager = p->manager,
                                       .token = p->dir.token,
                                       .unix_fd = p->unix_fd,
                                       .tcp_fd = p->tcp_fd,
                                       .tcp_port = p->port};
    if (rc == FLV_OK) {
        rc = flv_rest_create(&p->rest, &conf, err);
    }
    const struct flv_mdir_public public = {
        .guard = p->guard,
        .port = p->port,
        .cluster = p->conf->profile_file != NULL
                       ? flv_manager_cluster(p->manager)
                       : p->conf->cluster};
    return rc == FLV_OK ? flv_mdir_publish(&p->dir, &public, err) : rc;
}

/* One line for whoever started us: "ready port=9020 pid=1234". */
static void tell_ready(const struct program *p)
{
    flv_log_info(TARGET, "ready", FLV_KV_U64("port", p->port),
                 FLV_KV_U64("connectors", flv_manager_count(p->manager)),
                 FLV_KV_STR("data_dir", p->dir.path));
    int fd = (int)p->conf->ready_fd;
    (void)dprintf(fd, "ready port=%u pid=%ld\n", p->port, (long)getpid());
    if (fd > 2) {
        (void)close(fd);
    }
    (void)flv_notify("READY=1");
}

static void on_ready(void *arg)
{
    struct program *p = arg;
    p->up = true;
    if (p->stop_asked) {
        stop(p);
        return;
    }
    p->rc = serve_rest(p, &p->err);
    if (p->rc != FLV_OK) {
        stop(p);
        return;
    }
    tell_ready(p);
}

/* Nothing is read at the start alone, and the guard's child is no terminal's:
 * a hangup is no reason to end. */
static void on_hangup(void *arg, int signum)
{
    (void)arg;
    (void)signum;
    flv_log_info(TARGET, "has nothing to read again");
}

static flv_rc start(struct program *p, struct flv_err *err)
{
    const struct conf *c = p->conf;
    const struct flv_manager_conf conf = {
        .loop = p->loop,
        .dir = p->dir.path,
        .cluster = c->cluster,
        .path = c->path,
        .times = {.backoff_min_ms = (uint32_t)c->backoff_min_ms,
                  .backoff_max_ms = (uint32_t)c->backoff_max_ms,
                  .healthy_ms = (uint32_t)c->healthy_ms,
                  .drain_ms = (uint32_t)c->drain_ms,
                  .term_ms = (uint32_t)c->term_ms,
                  .ping_ms = (uint32_t)c->ping_ms,
                  .silence_ms = (uint32_t)c->silence_ms},
        .log_bytes_max = c->log_bytes_max,
        .log_files_max = (unsigned)c->log_files,
        .memory_bytes_max = c->memory_bytes_max,
        .files_max = c->files_max,
    };
    flv_rc rc = flv_mdir_token(&p->dir, err);
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(p->loop, SIGTERM, on_signal, p, err);
    }
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(p->loop, SIGINT, on_signal, p, err);
    }
    if (rc == FLV_OK && p->guard > 0) {
        rc = flv_loop_on_signal(p->loop, SIGHUP, on_hangup, p, err);
        flv_guard_hear_hangup();
    }
    return rc == FLV_OK
               ? flv_manager_create(&p->manager, &conf, on_ready, p, err)
               : rc;
}

static int serve(struct program *p)
{
    struct flv_err err = {0};
    flv_rc rc = flv_loop_create(&p->loop, 0, &err);
    if (rc == FLV_OK) {
        rc = start(p, &err);
    }
    if (rc == FLV_OK) {
        flv_loop_hold(p->loop);
        flv_loop_run(p->loop);
        flv_loop_release(p->loop);
    }
    flv_rest_destroy(p->rest);
    flv_manager_destroy(p->manager);
    flv_mdir_unpublish(&p->dir);
    flv_mdir_close(&p->dir);
    flv_log_info(TARGET, "stopped");
    while (p->loop != NULL && flv_loop_turn(p->loop, false)) {
    }
    flv_loop_destroy(p->loop);
    if (rc != FLV_OK) {
        return fail(&err);
    }
    return p->rc != FLV_OK ? fail(&p->err) : EXIT_OK;
}

/* ---- Options ----------------------------------------------------------- */

static flv_rc fill(struct conf *c, struct flv_err *err)
{
    const char *home = getenv("HOME");
    char path[PATH_MAX];
    if (c->silence_ms <= c->ping_ms) {
        return flv_fail(err, FLV_E_INVALID,
                        "--silence-max must be longer than --ping");
    }
    if (c->data_dir != NULL) {
        return FLV_OK;
    }
    if (home == NULL || home[0] == '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "HOME is not set; name a folder with --data-dir");
    }
    (void)snprintf(path, sizeof(path), "%s/.fluvio/data/manager", home);
    c->data_dir = flv_strdup(path);
    return c->data_dir != NULL ? FLV_OK
                               : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

static int run(struct conf *c, const struct flv_opts *given)
{
    struct flv_err err = {0};
    struct program p = {.conf = c,
                        .unix_fd = -1,
                        .tcp_fd = -1,
                        .port_given = flv_opts_given(given, "port")};
    int status = 0;
    if (fill(c, &err) != FLV_OK ||
        flv_mdir_open(&p.dir, c->data_dir, &err) != FLV_OK) {
        return fail(&err);
    }
    if (c->guard) {
        const struct flv_guard_conf guard = {.what = "the manager",
                                             .wait_ms_min = 20,
                                             .wait_ms_max = 500,
                                             .healthy_ms = 2000,
                                             .start_to_stop = true};
        p.guard = getpid();
        if (flv_guard(&guard, &status) == NULL) {
            flv_mdir_close(&p.dir);
            return status;
        }
    }
    return serve(&p);
}

int main(int argc, char **argv)
{
    flv_file_take_std();
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
    (void)umask(077); /* files and secrets are nobody else's business */
    struct flv_args args;
    struct flv_err err = {0};
    int code = EXIT_OK;
    flv_rc rc = flv_args_parse(&args, &command, argc, argv, &err);
    if (rc != FLV_OK || args.outcome != FLV_ARGS_RUN) {
        (void)fputs(args.text.data != NULL ? (const char *)args.text.data : "",
                    rc != FLV_OK ? stderr : stdout);
        flv_args_deinit(&args);
        return rc == FLV_OK ? EXIT_OK : EXIT_USAGE;
    }
    struct conf *conf = flv_args_conf(&args);
    if (conf->profile_file != NULL &&
        setenv("FLV_PROFILE_PATH", conf->profile_file, 1) != 0) {
        (void)fputs("fluvio-manager: out of memory\n", stderr);
        flv_args_deinit(&args);
        return EXIT_RUNTIME;
    }
    if (flv_log_setup(conf->log_level, &err) != FLV_OK) {
        (void)fail(&err);
        code = EXIT_USAGE;
    } else {
        code = run(conf, flv_args_opts(&args));
    }
    flv_args_deinit(&args);
    return code;
}
