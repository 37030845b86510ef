#include "cli/preflight.h"

#include "base/text.h"
#include "cli/plugin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Below the first no work is possible; below the second not for long. */
#define DISK_BYTES_MIN ((uint64_t)64 << 20)
#define DISK_BYTES_LOW ((uint64_t)1 << 30)
/* One a connection, and those of segments and the engine. */
#define FILES_MIN 256
#define FILES_LOW 1024

enum verdict { GOOD, WARNING, FAILURE };

static void
line(struct cli_preflight *p, enum verdict verdict, const char *fmt, ...)
    FLV_PRINTF(3, 4);

static void
line(struct cli_preflight *p, enum verdict verdict, const char *fmt, ...)
{
    static const char *const icons[] = {"✅ ", "🟡 ", "❌ "};
    static const char *const words[] = {"ok: ", "warning: ", "failed: "};
    va_list args;
    fprintf(p->out, "    %s", p->icons ? icons[verdict] : words[verdict]);
    va_start(args, fmt);
    vfprintf(p->out, fmt, args);
    va_end(args);
    fputc('\n', p->out);
    p->failures += verdict == FAILURE;
    p->warnings += verdict == WARNING;
}

/* ---- Programs -------------------------------------------------------------
 */

static void check_program(struct cli_preflight *p,
                          const char *name,
                          enum verdict missing,
                          const char *without)
{
    struct flv_buf path;
    struct flv_err err = {0};
    flv_buf_init(&path, CLI_PATH_MAX);
    flv_rc rc = cli_program_find(name, &path, &err);
    const char *text = rc == FLV_OK ? flv_buf_str(&path) : NULL;
    if (text != NULL) {
        line(p, GOOD, "%s is %s", name, text);
    } else {
        line(p, missing, "%s is not beside fluvio and not in PATH: %s", name,
             without);
    }
    flv_buf_deinit(&path);
}

/* ---- Folders and disk -----------------------------------------------------
 */

/* The folder, or what would hold it: the nearest that exists. */
static void existing(const char *path, char out[CLI_PATH_MAX])
{
    snprintf(out, CLI_PATH_MAX, "%s", path);
    while (access(out, F_OK) != 0 && errno == ENOENT && out[1] != '\0') {
        char *slash = strrchr(out, '/');
        if (slash == NULL) {
            return;
        }
        slash[slash == out] = '\0';
    }
}

static void
check_folder(struct cli_preflight *p, const char *what, const char *path)
{
    char there[CLI_PATH_MAX];
    existing(path, there);
    if (access(there, W_OK | X_OK) != 0) {
        line(p, FAILURE, "%s folder %s: cannot write to %s (%s)", what, path,
             there, strerror(errno));
    } else if (strcmp(there, path) == 0) {
        line(p, GOOD, "%s folder %s can be written", what, path);
    } else {
        line(p, GOOD, "%s folder %s can be made", what, path);
    }
}

static void check_disk(struct cli_preflight *p, const char *path)
{
    char there[CLI_PATH_MAX], text[FLV_TEXT_FORMAT_MAX];
    struct statvfs fs;
    existing(path, there);
    if (statvfs(there, &fs) != 0) {
        line(p, WARNING, "cannot tell the free space at %s: %s", there,
             strerror(errno));
        return;
    }
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    flv_text_format_size(bytes, text);
    if ((fs.f_flag & ST_RDONLY) != 0) {
        line(p, FAILURE, "%s is mounted read-only", there);
    } else if (bytes < DISK_BYTES_MIN || fs.f_favail == 0) {
        line(p, fs.f_files == 0 && bytes >= DISK_BYTES_MIN ? GOOD : FAILURE,
             "%s and %" PRIu64 " files are free at %s", text,
             (uint64_t)fs.f_favail, there);
    } else {
        line(p, bytes < DISK_BYTES_LOW ? WARNING : GOOD, "%s are free at %s",
             text, there);
    }
}

static void check_limits(struct cli_preflight *p)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    uint64_t count = (uint64_t)files.rlim_max;
    enum verdict verdict = count < FILES_MIN   ? FAILURE
                           : count < FILES_LOW ? WARNING
                                               : GOOD;
    line(p, verdict, "a process may open %" PRIu64 " files%s", count,
         verdict == GOOD ? "" : "; raise the limit with ulimit -Hn");
}

/* ---- Ports, and who has them ----------------------------------------------
 */

static void check_port(struct cli_preflight *p, const char *what, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) {
        line(p, FAILURE, "cannot open a socket: %s", strerror(errno));
        return;
    }
    /* As the server does: a port that just was in use is free. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0) {
        line(p, GOOD, "port %u of the %s is free", port, what);
    } else {
        line(p, FAILURE,
             "port %u of the %s: %s; end what uses it, or give another port",
             port, what, strerror(errno));
    }
    close(fd);
}

/* true: it runs, and has the ports. */
static bool check_cluster(struct cli_preflight *p, const struct cli_local *l)
{
    struct cli_holder server;
    struct flv_err err = {0};
    if (cli_local_holder(l, &server, &err) != FLV_OK) {
        line(p, FAILURE, "data folder: %s", err.text);
        return false;
    }
    if (server.held && server.pid == 0) {
        line(p, FAILURE,
             "data folder %s is locked by a process that cannot be seen",
             l->data_dir);
    } else if (server.held) {
        p->runs = true;
        line(p, GOOD, "a cluster runs: process %ld, port %u", (long)server.pid,
             server.port);
    } else {
        line(p, GOOD, "no cluster runs with the data in %s", l->data_dir);
    }
    return server.held;
}

static void check_profile(struct cli_preflight *p, struct cli *c)
{
    struct flv_err err = {0};
    if (cli_profiles(c, &err) != FLV_OK) {
        line(p, FAILURE, "profile file: %s", err.text);
        return;
    }
    const char *path = flv_profiles_path(c->profiles);
    if (access(path, F_OK) == 0 && access(path, W_OK) != 0) {
        line(p, WARNING, "profile file %s cannot be written: %s", path,
             strerror(errno));
    } else {
        line(p, GOOD, "profile file %s", path);
    }
}

void cli_preflight_run(struct cli_preflight *p,
                       struct cli *c,
                       const struct cli_local *l)
{
    p->failures = p->warnings = 0;
    p->runs = false;
    check_program(p, "fluvio-server", FAILURE, "there is no cluster without");
    check_program(p, "fluvio-manager", WARNING,
                  "there are no managed connectors without");
    check_folder(p, "data", l->data_dir);
    check_folder(p, "log", l->log_dir);
    check_disk(p, l->data_dir);
    check_limits(p);
    check_profile(p, c);
    if (!check_cluster(p, l)) {
        if (p->sc_port != 0) {
            check_port(p, "SC", p->sc_port);
        }
        if (p->spu_port != 0) {
            check_port(p, "SPU", p->spu_port);
        }
    }
}
