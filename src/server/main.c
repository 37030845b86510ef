#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/opt.h"
#include "base/text.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "server/check.h"
#include "server/datadir.h"
#include "server/ids.h"
#include "server/server.h"
#include "wire/api.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

struct conf {
    char *data_dir, *bind, *advertise, *log_level, *check;
    char *tls_cert, *tls_key, *tls_client_ca, *policy, *metrics_addr;
    char *metrics_host; /* with its port: of metrics_addr, cut apart */
    uint16_t metrics_port;
    uint64_t sc_port, spu_port, ready_fd;
    uint64_t frame_bytes_max, memory_bytes_max, batch_bytes_max;
    uint64_t stall_ms_max, frame_ms_max, stop_ms_max;
    uint64_t scrub_bytes_per_s, scrub_after_ms, scrub_every_ms;
    uint64_t sm_fuel, sm_cpu_ms, sm_memory, sm_memory_max, sm_streams;
    bool insecure, guard;
};

static const char *const log_aliases[] = {"rust-log", NULL};

static const struct flv_opt opts[] = {
    {.name = "data-dir",
     FLV_STR(struct conf, data_dir),
     .arg = "DIR",
     .help = "Folder for topics and offsets [default: ~/.fluvio/data]"},
    {.name = "bind",
     FLV_STR(struct conf, bind),
     .arg = "ADDRESS",
     .fallback = "127.0.0.1",
     .help = "Address to listen on; anything but loopback needs TLS with "
             "--tls-client-ca, or --insecure"},
    {.name = "advertise",
     FLV_STR(struct conf, advertise),
     .arg = "HOST",
     .max = 255,
     .help = "Host that clients are told to connect to [default: localhost, "
             "or the address of --bind]"},
    {.name = "sc-port",
     FLV_U64(struct conf, sc_port),
     .arg = "PORT",
     .fallback = "9003",
     .max = 65535,
     .help = "Port of the metadata service; 0 for any free one"},
    {.name = "spu-port",
     FLV_U64(struct conf, spu_port),
     .arg = "PORT",
     .fallback = "9010",
     .max = 65535,
     .help = "Port of the partition service; 0 for any free one"},
    {.name = "insecure",
     FLV_FLAG(struct conf, insecure),
     .help = "Serve other machines without asking who they are: anybody who "
             "can connect can read and write everything"},
    {.name = "tls-cert",
     FLV_STR(struct conf, tls_cert),
     .arg = "FILE",
     .help = "Serve TLS with this certificate and its chain (PEM); it is for "
             "the names DOMAIN and " FLV_SPU_NAME ".DOMAIN of the clients' "
             "profiles"},
    {.name = "tls-key",
     FLV_STR(struct conf, tls_key),
     .arg = "FILE",
     .help = "Key of that certificate (PEM, without a password)"},
    {.name = "tls-client-ca",
     FLV_STR(struct conf, tls_client_ca),
     .arg = "FILE",
     .help = "Serve only clients with a certificate that one of these CA "
             "certificates has signed (PEM)"},
    {.name = "policy",
     FLV_STR(struct conf, policy),
     .arg = "FILE",
     .help = "Allow to the names in clients' certificates what this file says, "
             "and nothing else; needs --tls-client-ca"},
    {.name = "metrics-addr",
     FLV_STR(struct conf, metrics_addr),
     .arg = "HOST:PORT",
     .help = "Serve Prometheus metrics at http://HOST:PORT/metrics: to anybody "
             "who can connect, names and numbers, no records [default: off]"},
    {.name = "log-level",
     FLV_STR(struct conf, log_level),
     .arg = "SPEC",
     .env = "RUST_LOG",
     .fallback = "info",
     .aliases = log_aliases,
     .help = "What to log: a level, or TARGET=LEVEL,..."},
    {.name = "frame-max",
     FLV_SIZE(struct conf, frame_bytes_max),
     .arg = "SIZE",
     .fallback = "33619968",
     .min = 4096,
     .max = 1073741824,
     .help = "Largest request"},
    {.name = "batch-max",
     FLV_SIZE(struct conf, batch_bytes_max),
     .arg = "SIZE",
     .fallback = "33554432",
     .min = 1024,
     .max = 33554432,
     .help = "Largest batch of records"},
    {.name = "memory-max",
     FLV_SIZE(struct conf, memory_bytes_max),
     .arg = "SIZE",
     .fallback = "268435456",
     .min = 1048576,
     .max = UINT64_C(1) << 40,
     .help = "Memory for requests and answers in flight, in all"},
    {.name = "smartmodule-fuel",
     FLV_U64(struct conf, sm_fuel),
     .arg = "N",
     .fallback = "1000000000",
     .min = 1000,
     .max = UINT64_C(1) << 60,
     .help = "Instructions, about, that a SmartModule may take for a record"},
    {.name = "smartmodule-cpu",
     FLV_DURATION(struct conf, sm_cpu_ms),
     .arg = "TIME",
     .fallback = "1s",
     .unit_ms = 1000,
     .min = 10,
     .max = 60000,
     .help = "Time of a core that a SmartModule may take for a record"},
    {.name = "smartmodule-memory",
     FLV_SIZE(struct conf, sm_memory),
     .arg = "SIZE",
     .fallback = "268435456",
     .min = 1048576,
     .max = UINT64_C(4) << 30,
     .help = "Memory of one instance of a SmartModule"},
    {.name = "smartmodule-memory-max",
     FLV_SIZE(struct conf, sm_memory_max),
     .arg = "SIZE",
     .fallback = "536870912",
     .min = 1048576,
     .max = UINT64_C(1) << 40,
     .help = "Memory of the SmartModules of all streams together"},
    {.name = "smartmodule-streams",
     FLV_U64(struct conf, sm_streams),
     .arg = "N",
     .fallback = "256",
     .min = 1,
     .max = 100000,
     .help = "Streams with SmartModules that may be open at once"},
    {.name = "scrub-rate",
     FLV_SIZE(struct conf, scrub_bytes_per_s),
     .arg = "SIZE",
     .fallback = "8388608",
     .max = UINT64_C(1) << 40,
     .help = "Read what is stored again, to find damage, at so many bytes per "
             "second; 0: not at all"},
    {.name = "scrub-every",
     FLV_DURATION(struct conf, scrub_every_ms),
     .arg = "TIME",
     .fallback = "24h",
     .unit_ms = 1000,
     .min = 1,
     .max = UINT64_C(1000) * 3600 * 24 * 366,
     .help = "From the begin of one such pass to the next"},
    {.name = "scrub-after",
     FLV_DURATION(struct conf, scrub_after_ms),
     .arg = "TIME",
     .fallback = "5m",
     .unit_ms = 1000,
     .max = UINT64_C(1000) * 3600 * 24 * 366,
     .flags = FLV_OPT_HIDDEN,
     .help = "From the start to the first pass"},
    {.name = "stall-max",
     FLV_DURATION(struct conf, stall_ms_max),
     .arg = "TIME",
     .fallback = "30s",
     .unit_ms = 1000,
     .flags = FLV_OPT_HIDDEN,
     .help = "Longest silence inside a request"},
    {.name = "frame-time-max",
     FLV_DURATION(struct conf, frame_ms_max),
     .arg = "TIME",
     .fallback = "5m",
     .unit_ms = 1000,
     .flags = FLV_OPT_HIDDEN,
     .help = "Longest time from the first to the last byte of a request"},
    {.name = "stop-max",
     FLV_DURATION(struct conf, stop_ms_max),
     .arg = "TIME",
     .fallback = "10s",
     .unit_ms = 1000,
     .flags = FLV_OPT_HIDDEN,
     .help = "Longest wait for open requests when the server stops"},
    {.name = "guard",
     FLV_FLAG(struct conf, guard),
     .help = "Run under a small parent that brings the server back when it "
             "dies"},
    {.name = "ready-fd",
     FLV_U64(struct conf, ready_fd),
     .arg = "N",
     .fallback = "1",
     .max = 1048576,
     .help = "Descriptor that gets one line when the server is ready"},
    {.name = "check",
     FLV_STR(struct conf, check),
     .arg = "DIR",
     .help = "Verify a data directory, print what was found, and exit"},
    {.name = NULL},
};

static const struct flv_cmd command = {
    .name = "fluvio-server",
    .about = "Topics, partitions and consumer offsets in one process.",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .version = FLV_VERSION " (Fluvio platform " FLV_PLATFORM_VERSION ")",
};

struct program {
    struct flv_loop *loop;
    struct flv_server *server;
    struct flv_datadir dir;      /* opened by the guard */
    struct flv_guard_note *note; /* NULL: no guard */
    long guard;                  /* its pid */
    bool stopping;
    uint64_t stopping_ms; /* since when */
};

static int fail(const struct flv_err *err)
{
    fprintf(stderr, "fluvio-server: %s\n", err->text);
    return EXIT_RUNTIME;
}

static void stopped(void *ctx)
{
    struct program *p = ctx;
    flv_loop_stop(p->loop);
}

static void on_signal(void *ctx, int signum)
{
    struct program *p = ctx;
    uint64_t now_ms = flv_loop_now_ms(p->loop);
    if (p->stopping && p->note != NULL &&
        now_ms - p->stopping_ms < FLV_GUARD_SAME_SIGNAL_MS) {
        return;
    }
    if (p->stopping) {
        flv_log_warn("server", "second signal: ending at once");
        _exit(128 + signum);
    }
    p->stopping = true;
    p->stopping_ms = now_ms;
    flv_log_info("server", "stopping",
                 FLV_KV_STR("signal", signum == SIGTERM ? "TERM" : "INT"));
    (void)flv_notify("STOPPING=1");
    flv_server_stop(p->server, stopped, p);
}

static void on_hangup(void *ctx, int signum)
{
    struct program *p = ctx;
    struct flv_err err = {0};
    (void)signum;
    if (p->stopping) {
        return;
    }
    if (flv_server_reload(p->server, &err) == FLV_OK) {
        flv_log_info("server", "read certificates and policy again");
    } else {
        flv_log_error("server", "certificates and policy stay as they were",
                      FLV_KV_ERR(&err));
    }
}

/* One line for whoever started us: "ready sc=9003 spu=9010 pid=1234", and
 * "metrics=9100" behind it. */
static void tell_ready(const struct program *p, const struct conf *conf)
{
    uint16_t sc = flv_server_sc_port(p->server);
    uint16_t spu = flv_server_spu_port(p->server);
    uint16_t metrics = flv_server_metrics_port(p->server);
    flv_log_info("server", "ready", FLV_KV_U64("sc_port", sc),
                 FLV_KV_U64("spu_port", spu),
                 FLV_KV_STR("data_dir", conf->data_dir));
    char more[32] = "";
    if (metrics > 0) {
        flv_log_info("server", "serves metrics",
                     FLV_KV_STR("address", conf->metrics_host),
                     FLV_KV_U64("port", metrics));
        snprintf(more, sizeof more, " metrics=%u", metrics);
    }
    dprintf((int)conf->ready_fd, "ready sc=%u spu=%u pid=%ld%s\n", sc, spu,
            (long)getpid(), more);
    if (conf->ready_fd > 2) {
        close((int)conf->ready_fd);
    }
    (void)flv_notify("READY=1");
}

static struct flv_server_conf server_conf(const struct conf *c)
{
    const char *advertise = c->advertise;
    if (advertise == NULL) {
        bool any =
            strcmp(c->bind, "0.0.0.0") == 0 || strcmp(c->bind, "::") == 0;
        advertise = any || flv_net_is_loopback(c->bind) ? "localhost" : c->bind;
    }
    return (struct flv_server_conf){
        .data_dir = c->data_dir,
        .bind = c->bind,
        .advertise = advertise,
        .sc_port = (uint16_t)c->sc_port,
        .spu_port = (uint16_t)c->spu_port,
        .tls = {.cert = c->tls_cert,
                .key = c->tls_key,
                .client_ca = c->tls_client_ca},
        .policy = c->policy,
        .metrics_host = c->metrics_host,
        .metrics_port = c->metrics_port,
        .frame_bytes_max = c->frame_bytes_max,
        .memory_bytes_max = c->memory_bytes_max,
        .batch_bytes_max = c->batch_bytes_max,
        .stall_ms_max = c->stall_ms_max,
        .frame_ms_max = c->frame_ms_max,
        .stop_ms_max = c->stop_ms_max,
        .scrub = {.bytes_per_s = c->scrub_bytes_per_s,
                  .after_ms = c->scrub_after_ms,
                  .every_ms = c->scrub_every_ms},
        .modules = {.fuel = c->sm_fuel,
                    .cpu_ms = c->sm_cpu_ms,
                    .memory_bytes = c->sm_memory,
                    .memory_bytes_max = c->sm_memory_max,
                    .streams_max = c->sm_streams},
    };
}

/* HOST:PORT or [ADDRESS]:PORT, cut apart in place. */
static flv_rc split_metrics_addr(struct conf *c, struct flv_err *err)
{
    char *text = c->metrics_addr;
    if (text == NULL) {
        return FLV_OK;
    }
    uint64_t port = 0;
    char *colon = strrchr(text, ':');
    bool bracketed =
        text[0] == '[' && colon != NULL && colon > text + 2 && colon[-1] == ']';
    if (colon == NULL || colon == text ||
        (!bracketed && memchr(text, ':', (size_t)(colon - text)) != NULL) ||
        flv_text_u64(colon + 1, 0, 65535, &port, NULL) != FLV_OK) {
        return flv_fail(err, FLV_E_INVALID,
                        "--metrics-addr %.80s is no address; write it as "
                        "HOST:PORT, such as 127.0.0.1:9100",
                        text);
    }
    colon[bracketed ? -1 : 0] = '\0';
    c->metrics_host = text + bracketed;
    c->metrics_port = (uint16_t)port;
    return FLV_OK;
}

static flv_rc check_conf(struct conf *c, struct flv_err *err)
{
    flv_rc rc = split_metrics_addr(c, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if ((c->tls_cert == NULL) != (c->tls_key == NULL) ||
        (c->tls_client_ca != NULL && c->tls_cert == NULL)) {
        return flv_fail(err, FLV_E_INVALID,
                        "--tls-cert and --tls-key belong together, and "
                        "--tls-client-ca needs both");
    }
    if (c->policy != NULL && c->tls_client_ca == NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "--policy needs --tls-client-ca: without certificates "
                        "nobody has a name");
    }
    if (!c->insecure && c->tls_client_ca == NULL &&
        !flv_net_is_loopback(c->bind)) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s can be reached from other machines: name who may "
                        "connect with --tls-cert, --tls-key and "
                        "--tls-client-ca, or add --insecure if everybody may",
                        c->bind);
    }
    if (c->memory_bytes_max / 2 < c->frame_bytes_max + 4096) {
        return flv_fail(err, FLV_E_INVALID,
                        "--memory-max must be at least twice --frame-max, "
                        "since half of it is for requests");
    }
    if (c->batch_bytes_max > c->frame_bytes_max) {
        return flv_fail(err, FLV_E_INVALID,
                        "--batch-max must not be larger than --frame-max");
    }
    if (c->data_dir == NULL) {
        const char *home = getenv("HOME");
        char path[4096];
        if (home == NULL || home[0] == '\0') {
            return flv_fail(err, FLV_E_INVALID,
                            "HOME is not set; name a folder with --data-dir");
        }
        snprintf(path, sizeof path, "%s/.fluvio/data", home);
        c->data_dir = flv_strdup(path);
    }
    return c->data_dir != NULL ? FLV_OK
                               : flv_fail(err, FLV_E_NOMEM, "out of memory");
}

/* Ports that were any free one stay what they were for those who know them. */
static void keep_ports(struct program *p, struct flv_server_conf *conf)
{
    const uint16_t *ports = p->note->ports;
    conf->sc_port = conf->sc_port > 0 ? conf->sc_port : ports[0];
    conf->spu_port = conf->spu_port > 0 ? conf->spu_port : ports[1];
    conf->metrics_port = conf->metrics_port > 0 ? conf->metrics_port : ports[2];
    conf->held = &p->dir;
    conf->guard = p->guard;
    conf->deaths = p->note->deaths;
}

static flv_rc start(struct program *p, struct conf *c, struct flv_err *err)
{
    struct flv_server_conf conf = server_conf(c);
    flv_rc rc = flv_loop_create(&p->loop, 0, err);
    if (p->note != NULL) {
        keep_ports(p, &conf);
    }
    if (rc == FLV_OK) {
        rc = flv_server_open(&p->server, p->loop, &conf, err);
    }
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(p->loop, SIGTERM, on_signal, p, err);
    }
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(p->loop, SIGINT, on_signal, p, err);
    }
    if (rc == FLV_OK) {
        rc = flv_loop_on_signal(p->loop, SIGHUP, on_hangup, p, err);
    }
    if (rc == FLV_OK) {
        flv_guard_hear_hangup();
    }
    if (rc == FLV_OK && p->note != NULL) {
        p->note->ports[0] = flv_server_sc_port(p->server);
        p->note->ports[1] = flv_server_spu_port(p->server);
        p->note->ports[2] = flv_server_metrics_port(p->server);
    }
    return rc;
}

static int serve(struct program *p, struct conf *c)
{
    struct flv_err err = {0};
    flv_rc rc = start(p, c, &err);
    if (rc != FLV_OK) {
        /* The process ends: the kernel takes back what is open. */
        if (p->server == NULL) {
            flv_loop_destroy(p->loop);
        }
        if (p->note != NULL) {
            snprintf(p->note->words, sizeof p->note->words, "%s", err.text);
        }
        return fail(&err);
    }
    tell_ready(p, c);
    flv_loop_run(p->loop);
    flv_server_destroy(p->server);
    flv_log_info("server", "stopped");
    while (flv_loop_turn(p->loop, false)) {
    }
    flv_loop_destroy(p->loop);
    return EXIT_OK;
}

/* ---- the guard ---- */

/* What a server does that dies at once each time: 0, 0.1, 0.2, ... 3.2 s. */
#define GUARD_WAIT_MS_MIN 100
#define GUARD_WAIT_MS_MAX 10000
#define GUARD_HEALTHY_MS 60000
#define GUARD_DEATHS_MAX 8

struct guarded {
    const struct flv_datadir *dir; /* borrowed */
    bool given_up;
};

static void died(void *ctx, const struct flv_guard_death *d)
{
    struct guarded *g = ctx;
    g->given_up = d->given_up;
    (void)!flv_datadir_claim(g->dir, NULL);
    flv_datadir_note_death(g->dir, d);
}

static int serve_guarded(struct program *p, struct conf *c)
{
    struct flv_err err = {0};
    int status = EXIT_RUNTIME;
    struct guarded g = {.dir = &p->dir};
    const struct flv_guard_conf guard = {.what = "the server",
                                         .wait_ms_min = GUARD_WAIT_MS_MIN,
                                         .wait_ms_max = GUARD_WAIT_MS_MAX,
                                         .healthy_ms = GUARD_HEALTHY_MS,
                                         .deaths_max = GUARD_DEATHS_MAX,
                                         .died = died,
                                         .ctx = &g};
    /* The guard has the lock, too: nobody takes the folder meanwhile. */
    if (flv_datadir_open(&p->dir, c->data_dir, FLV_DATADIR_SERVE, &err) !=
        FLV_OK) {
        return fail(&err);
    }
    p->guard = getpid();
    p->note = flv_guard(&guard, &status);
    if (p->note != NULL) {
        return serve(p, c);
    }
    if (status == EXIT_OK && !g.given_up) {
        flv_datadir_forget_deaths(&p->dir);
    }
    flv_datadir_close(&p->dir);
    return status;
}

static int run(struct conf *c)
{
    struct program p = {.dir = {.fd = -1, .lock_fd = -1}};
    struct flv_err err = {0};
    if (check_conf(c, &err) != FLV_OK) {
        return fail(&err);
    }
    return c->guard ? serve_guarded(&p, c) : serve(&p, c);
}

static int check(const char *dir)
{
    struct flv_err err = {0};
    flv_rc rc = flv_check_data_dir(dir, stdout, &err);
    fflush(stdout);
    return rc == FLV_OK ? EXIT_OK : fail(&err);
}

int main(int argc, char **argv)
{
    flv_file_take_std();
    /* A few small arenas instead of eight per core. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    umask(077); /* records are nobody else's business */
    struct flv_args args;
    struct flv_err err = {0};
    int code = EXIT_OK;
    flv_rc rc = flv_args_parse(&args, &command, argc, argv, &err);
    if (rc != FLV_OK || args.outcome != FLV_ARGS_RUN) {
        fputs(args.text.data != NULL ? (const char *)args.text.data : "",
              rc != FLV_OK ? stderr : stdout);
        flv_args_deinit(&args);
        return rc == FLV_OK ? EXIT_OK : EXIT_USAGE;
    }
    struct conf *conf = flv_args_conf(&args);
    rc = flv_log_setup(conf->log_level, &err);
    if (rc != FLV_OK) {
        fail(&err);
        code = EXIT_USAGE;
    } else {
        code = conf->check != NULL ? check(conf->check) : run(conf);
    }
    flv_args_deinit(&args);
    return code;
}
