#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/preflight.h"
#include "cli/tar.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The end of a log is what tells why. */
#define LOG_BYTES_MAX ((size_t)4 << 20)
#define LINE_BYTES 16384
#define CHECKS_BYTES 65536
#define FILES_MAX 20000
#define TEXT_BYTES_MAX ((size_t)16 << 20)

struct diagnostics_conf {
    bool quiet;
};

/* One file of the archive that is being written. */
struct page {
    struct flv_buf text; /* owned */
    size_t files;
};

static void say(struct page *p, const char *fmt, ...) FLV_PRINTF(2, 3);

static void say(struct page *p, const char *fmt, ...)
{
    char text[CLI_PATH_MAX + 512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cli_ignore(flv_buf_add_str(&p->text, text)); /* a full page is cut */
}

static void add_page(struct cli_tar *t, const char *name, struct page *p)
{
    char path[96];
    snprintf(path, sizeof path, "diagnostics/%.80s", name);
    cli_tar_add(t, path, flv_slice(p->text.data, p->text.len));
    flv_buf_reset(&p->text);
}

/* ---- Logs, without what looks secret --------------------------------------
 */

/* Behind the words that stand in front of one. */
static const char *behind_secret(const char *at)
{
    static const char *const words[] = {"password", "passwd",  "secret",
                                        "token",    "api_key", "api-key",
                                        "apikey",   "bearer",  "authorization"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);
        if (strncasecmp(at, words[i], len) == 0) {
            const char *end = at + len;
            end += strspn(end, "\\\"'");
            return *end == '=' || *end == ':' || i == 7 ? end + 1 : NULL;
        }
    }
    return NULL;
}

/* "https://user:password@host" keeps its host. */
static const char *behind_user(const char *at)
{
    const char *end = at + strcspn(at, "/@ \t\"'\\");
    return *end == '@' ? end : NULL;
}

static void add_line(struct page *p, const char *line)
{
    const char *from = line;
    if (strstr(line, "PRIVATE KEY") != NULL) {
        say(p, "(a line with a key is left out)\n");
        return;
    }
    for (const char *at = line; *at != '\0'; at++) {
        const char *to = NULL, *value = behind_secret(at);
        if (value != NULL) {
            value += strspn(value, " \\\"'");
            value += strncasecmp(value, "bearer ", 7) == 0 ? 7 : 0;
            to = value + strcspn(value, " ,;\\\"'&}");
        } else if (strncmp(at, "://", 3) == 0) {
            value = at + 3;
            to = behind_user(value);
        }
        if (to != NULL && to > value) {
            cli_ignore(flv_buf_add(&p->text, from, (size_t)(value - from)));
            cli_ignore(flv_buf_add_str(&p->text, "***"));
            from = to;
            at = to - 1;
        }
    }
    cli_ignore(flv_buf_add_str(&p->text, from));
    cli_ignore(flv_buf_add_str(&p->text, "\n"));
}

/* The last lines of a file. */
static void
add_log(struct cli_tar *t, struct page *p, const char *name, const char *path)
{
    static char line[LINE_BYTES];
    FILE *f = fopen(path, "re");
    struct stat st;
    if (f == NULL) {
        say(p, "%s: %s\n", path, strerror(errno));
    } else if (fstat(fileno(f), &st) == 0 &&
               (size_t)st.st_size > LOG_BYTES_MAX) {
        say(p, "(the first %lld bytes of %s are left out)\n",
            (long long)st.st_size - (long long)LOG_BYTES_MAX, path);
        (void)fseeko(f, st.st_size - (off_t)LOG_BYTES_MAX, SEEK_SET);
        (void)!fgets(line, sizeof line, f);
    }
    while (f != NULL && p->text.len < 2 * LOG_BYTES_MAX &&
           fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        add_line(p, line);
    }
    if (f != NULL) {
        fclose(f);
    }
    add_page(t, name, p);
}

/* ---- This machine ---------------------------------------------------------
 */

static void say_file(struct page *p, const char *path)
{
    char line[512];
    FILE *f = fopen(path, "re");
    say(p, "\n%s\n", path);
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        say(p, "  %s", line);
    }
    if (f != NULL) {
        fclose(f);
    }
}

static void add_machine(struct cli_tar *t, struct page *p)
{
    static const struct {
        const char *name;
        int resource;
    } limits[] = {{"open files", RLIMIT_NOFILE},
                  {"address space", RLIMIT_AS},
                  {"file size", RLIMIT_FSIZE},
                  {"processes", RLIMIT_NPROC},
                  {"locked memory", RLIMIT_MEMLOCK}};
    struct utsname name;
    struct rlimit limit;
    if (uname(&name) == 0) {
        say(p, "%s %s %s %s\n", name.sysname, name.release, name.version,
            name.machine);
    }
    say(p, "processors %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (getrlimit((__rlimit_resource_t)limits[i].resource, &limit) == 0) {
            say(p, "limit of %s: %llu, at most %llu\n", limits[i].name,
                (unsigned long long)limit.rlim_cur,
                (unsigned long long)limit.rlim_max);
        }
    }
    say_file(p, "/proc/meminfo");
    say_file(p, "/proc/loadavg");
    say_file(p, "/etc/os-release");
    add_page(t, "machine.txt", p);
}

/* nftw() has no argument for its caller. */
static struct page *walked;

static int
walk(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)where;
    if (walked->files++ == FILES_MAX) {
        say(walked, "(and more)\n");
        return 1;
    }
    say(walked, "%c %04o %12lld %s\n", kind == FTW_D ? 'd' : '-',
        (unsigned)(st->st_mode & 07777), (long long)st->st_size, path);
    return 0;
}

/* Names and sizes, no contents. */
static void
add_files(struct cli_tar *t, struct page *p, const struct cli_local *l)
{
    walked = p;
    p->files = 0;
    if (nftw(l->data_dir, walk, 16, FTW_PHYS) < 0) {
        say(p, "%s: %s\n", l->data_dir, strerror(errno));
    }
    add_page(t, "files.txt", p);
}

static void add_checks(struct cli_tar *t,
                       struct page *p,
                       struct cli *c,
                       const struct cli_local *l)
{
    static char text[CHECKS_BYTES];
    struct cli_preflight checks = {.out = fmemopen(text, sizeof text, "w")};
    if (checks.out != NULL) {
        cli_preflight_run(&checks, c, l);
        fclose(checks.out);
        cli_ignore(flv_buf_add(&p->text, text, strnlen(text, sizeof text)));
    }
    add_page(t, "checks.txt", p);
}

/* ---- The cluster ----------------------------------------------------------
 */

struct ask {
    struct cli_call call;
    struct page *page; /* borrowed */
};

static void got_spus(void *user,
                     const struct flv_err *err,
                     const struct flv_spu_info *spus,
                     size_t count)
{
    struct ask *a = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        say(a->page, "spu %" PRId32 " %s\n", spus[i].id,
            spus[i].state == FLV_SPU_ONLINE ? "online" : "not online");
    }
    cli_call_end(&a->call, err);
}

static void got_topics(void *user,
                       const struct flv_err *err,
                       const struct flv_topic_info *topics,
                       size_t count)
{
    struct ask *a = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        say(a->page, "topic %s: %zu partitions, state %d%s%s\n", topics[i].name,
            topics[i].replica_count, (int)topics[i].state,
            topics[i].reason[0] != '\0' ? ", " : "", topics[i].reason);
    }
    cli_call_end(&a->call, err);
}

static void got_partitions(void *user,
                           const struct flv_err *err,
                           const struct flv_partition_info *parts,
                           size_t count)
{
    struct ask *a = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        say(a->page,
            "partition %s/%" PRIu32 ": state %d, offsets %" PRId64 " to "
            "%" PRId64 ", %" PRId64 " bytes\n",
            parts[i].topic, parts[i].partition, (int)parts[i].state,
            parts[i].base_offset, parts[i].leader_status.leo,
            parts[i].size_bytes);
    }
    cli_call_end(&a->call, err);
}

static flv_rc ask_all(struct cli *c, struct ask *a, struct flv_err *err)
{
    cli_call_init(&a->call, c);
    flv_rc rc = flv_client_spus(c->client, got_spus, a, err);
    rc = rc == FLV_OK ? cli_call_wait(&a->call, err) : rc;
    for (int system = 0; rc == FLV_OK && system < 2; system++) {
        cli_call_init(&a->call, c);
        rc =
            flv_client_topics(c->client, NULL, system == 1, got_topics, a, err);
        rc = rc == FLV_OK ? cli_call_wait(&a->call, err) : rc;
        if (rc == FLV_OK) {
            cli_call_init(&a->call, c);
            rc = flv_client_partitions(c->client, system == 1, got_partitions,
                                       a, err);
        }
        rc = rc == FLV_OK ? cli_call_wait(&a->call, err) : rc;
    }
    return rc;
}

/* How the cluster is reached; of keys and certificates only that there are. */
static void say_target(struct page *p, const struct flv_profile *target)
{
    static const char *const tls[] = {[FLV_TLS_DISABLED] = "disabled",
                                      [FLV_TLS_ANONYMOUS] = "anonymous",
                                      [FLV_TLS_VERIFIED] = "verified"};
    say(p, "fluvio %s\nprofile %s\naddress %s\ntls %s\n", FLV_VERSION,
        target->name != NULL ? target->name : "(none)", target->endpoint,
        tls[target->tls.policy]);
}

static void add_cluster(struct cli_tar *t, struct page *p, struct cli *c)
{
    struct flv_profile target;
    struct flv_err err = {0};
    struct ask a = {.page = p};
    flv_rc rc = cli_target(c, &target, &err);
    if (rc == FLV_OK) {
        say_target(p, &target);
        rc = cli_connect_to(c, &target, &err);
    }
    if (rc == FLV_OK) {
        const char *version = flv_client_platform_version(c->client);
        say(p, "platform %s\n", version != NULL ? version : "unknown");
        rc = ask_all(c, &a, &err);
    }
    if (rc != FLV_OK) {
        say(p, "%s\n", err.text);
    }
    add_page(t, "cluster.txt", p);
}

/* ---- The command ----------------------------------------------------------
 */

static flv_rc archive_path(char out[CLI_PATH_MAX + 64], struct flv_err *err)
{
    char cwd[CLI_PATH_MAX], stamp[40];
    time_t now = (time_t)(flv_clock_wall_ms() / 1000);
    struct tm tm;
    if (getcwd(cwd, sizeof cwd) == NULL) {
        return flv_fail_sys(err, FLV_E_IO, errno,
                            "cannot tell the current folder");
    }
    if (localtime_r(&now, &tm) == NULL ||
        strftime(stamp, sizeof stamp, "%Y-%m-%d-%H-%M-%S", &tm) == 0) {
        snprintf(stamp, sizeof stamp, "%lld", (long long)now);
    }
    snprintf(out, CLI_PATH_MAX + 64, "%s/diagnostics-%s.tar.gz", cwd, stamp);
    return FLV_OK;
}

static int cluster_diagnostics(struct flv_args *args, void *ctx)
{
    static char path[CLI_PATH_MAX + 64];
    const struct diagnostics_conf *conf = flv_args_conf(args);
    struct cli *c = ctx;
    struct cli_local l;
    struct cli_tar *t = NULL;
    struct page p = {0};
    struct flv_err err = {0};
    flv_rc rc = cli_local_find(&l, NULL, NULL, true, &err);
    rc = rc == FLV_OK ? archive_path(path, &err) : rc;
    rc = rc == FLV_OK ? cli_tar_open(&t, path, &err) : rc;
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    flv_buf_init(&p.text, TEXT_BYTES_MAX);
    if (!conf->quiet) {
        printf("reading local logs from %s\n", l.log_dir);
    }
    add_log(t, &p, "fluvio-server.log", l.log_file);
    add_log(t, &p, "fluvio-manager.log", l.manager_log);
    add_machine(t, &p);
    add_files(t, &p, &l);
    add_checks(t, &p, c, &l);
    add_cluster(t, &p, c);
    flv_buf_deinit(&p.text);
    rc = cli_tar_close(t, &err);
    if (rc != FLV_OK) {
        return cli_fail(&err);
    }
    printf("Wrote diagnostics to %s\n", path);
    return 0;
}

static const struct flv_opt diagnostics_opts[] = {
    {.name = "quiet",
     FLV_FLAG(struct diagnostics_conf, quiet),
     .help = "Print only where the archive is"},
    {.name = NULL}};

const struct flv_cmd cli_cmd_cluster_diagnostics = {
    .name = "diagnostics",
    .about = "Collect diagnostics data, to help with debugging\n\n"
             "Writes diagnostics-TIME.tar.gz into the current folder: the "
             "ends of the logs, versions, the outcome of the checks, names and "
             "sizes of files, topics and partitions. Records, keys and "
             "secrets are not in it; names of topics are.",
    .opts = diagnostics_opts,
    .conf_size = sizeof(struct diagnostics_conf),
    .run = cluster_diagnostics,
};
