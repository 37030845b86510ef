#include "server/metrics.h"

#include "base/clock.h"
#include "base/expo.h"
#include "base/mem.h"
#include "http/server.h"
#include "server/state.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define PAGE_BYTES_MAX ((size_t)64 << 20)
#define PARTITIONS_MAX 10000
#define CONSUMERS_MAX 10000

struct scrape {
    struct flv_work work; /* first */
    struct flv_offset_ask ask;
    struct flv_server *server; /* counted */
    struct flv_metrics *m;     /* NULL: nobody waits any more */
    struct flv_http_req *req;
    struct statvfs disk;
    bool disk_known;
    LIST_ENTRY(scrape) link;
};

struct flv_metrics {
    struct flv_server *server; /* borrowed */
    struct flv_http_server *http;
    uint16_t port;
    LIST_HEAD(, scrape) scrapes;
};

/* ---- pieces of a page ---- */

/* One sample without labels, with the lines above it. */
static void single(struct flv_out *o,
                   const char *name,
                   const char *kind,
                   const char *help,
                   uint64_t value)
{
    flv_expo_family(o, name, kind, help);
    flv_expo_addf(o, "%s %" PRIu64 "\n", name, value);
}

static void
seconds(struct flv_out *o, const char *name, const char *help, double value)
{
    const char *kind = strstr(name, "_total") != NULL ? "counter" : "gauge";
    flv_expo_family(o, name, kind, help);
    flv_expo_addf(o, "%s %.3f\n", name, value);
}

/* One of several samples that a word from a fixed list tells apart. */
static void worded(struct flv_out *o,
                   const char *name,
                   const char *label,
                   const char *word,
                   uint64_t value)
{
    flv_expo_addf(o, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, word, value);
}

/* ---- the process ---- */

static uint64_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return 0;
    }
    int n = fscanf(f, "%lu %lu", &size, &resident);
    fclose(f);
    return n == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t open_files(void)
{
    uint64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static void add_restarts(struct flv_out *o, const struct flv_server *s)
{
    if (s->conf.guard > 0) {
        single(o, "fluvio_server_restarts_total", "counter",
               "How often the guard has brought the server back.",
               s->conf.deaths);
    }
}

static void add_process(struct flv_out *o, const struct flv_server *s)
{
    struct rlimit files = {0};
    struct rusage use = {0};
    int64_t up_ms = (int64_t)(flv_clock_mono_ms() - s->started_ms);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    (void)getrusage(RUSAGE_SELF, &use);
    flv_expo_family(o, "fluvio_server_info", "gauge",
                    "Version of the server, and of Fluvio it is compatible "
                    "with.");
    flv_expo_addf(o, "fluvio_server_info{version=\"%s\",platform=\"%s\"} 1\n",
                  FLV_VERSION, FLV_PLATFORM_VERSION);
    seconds(o, "fluvio_server_uptime_seconds", "Since the start.",
            (double)up_ms / 1e3);
    seconds(o, "process_start_time_seconds", "Start, since 1970 in UTC.",
            (double)(flv_clock_wall_ms() - up_ms) / 1e3);
    seconds(o, "process_cpu_seconds_total", "Time of cores that was used.",
            (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    single(o, "process_resident_memory_bytes", "gauge",
           "Memory that the process has in RAM.", resident_bytes());
    single(o, "process_open_fds", "gauge", "Open descriptors.", open_files());
    single(o, "process_max_fds", "gauge", "Most descriptors it may open.",
           files.rlim_cur);
}

/* ---- the server ---- */

static void add_clients(struct flv_out *o, const struct flv_server *s)
{
    static const char *const words[] = {"sc", "spu"};
    uint64_t open[2] = {0}, streams = 0, watches = 0, in_flight = 0;
    const struct flv_peer *p;
    LIST_FOREACH(p, &s->peers, link)
    {
        open[p->side == FLV_WIRE_SPU] += p->conn != NULL;
        streams += p->stream_count;
        watches += p->watch_count;
        in_flight += p->in_flight;
    }
    flv_expo_family(o, "fluvio_server_connections", "gauge",
                    "Open connections by service.");
    for (int i = 0; i < 2; i++) {
        worded(o, "fluvio_server_connections", "service", words[i], open[i]);
    }
    flv_expo_family(o, "fluvio_server_connections_accepted_total", "counter",
                    "Accepted connections by service.");
    for (int i = 0; i < 2; i++) {
        worded(o, "fluvio_server_connections_accepted_total", "service",
               words[i], s->counts.connections[i]);
    }
    single(o, "fluvio_server_connections_refused_total", "counter",
           "Clients turned away for want of descriptors or memory.",
           s->counts.turned_away);
    single(o, "fluvio_server_requests_open", "gauge",
           "Requests that are not answered yet.", in_flight);
    single(o, "fluvio_server_streams", "gauge", "Open consumer streams.",
           streams);
    single(o, "fluvio_server_watches", "gauge", "Open watches of metadata.",
           watches);
}

static void add_memory(struct flv_out *o, const struct flv_server *s)
{
    const struct {
        const char *word;
        uint64_t used, max;
    } parts[] = {
        {"requests", s->requests.used + s->requests.spare_used,
         s->requests.max + s->requests.spare_max},
        {"answers", s->answers.used + s->answers.spare_used,
         s->answers.max + s->answers.spare_max},
        {"tails", s->part_env.tails.used, s->part_env.tails.max},
        {"smartmodules", s->smart.memory_bytes, s->smart.conf.memory_bytes_max},
    };
    flv_expo_family(o, "fluvio_server_memory_bytes", "gauge",
                    "Memory in use by purpose; tails are part of requests.");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        worded(o, "fluvio_server_memory_bytes", "purpose", parts[i].word,
               parts[i].used);
    }
    flv_expo_family(o, "fluvio_server_memory_limit_bytes", "gauge",
                    "What each purpose may use.");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        worded(o, "fluvio_server_memory_limit_bytes", "purpose", parts[i].word,
               parts[i].max);
    }
}

static void add_modules(struct flv_out *o, const struct flv_server *s)
{
    single(o, "fluvio_server_smartmodules", "gauge", "Stored SmartModules.",
           s->modules.len);
    single(o, "fluvio_server_smartmodules_compiled", "gauge",
           "Compiled SmartModules in memory.", s->smart.module_count);
    single(o, "fluvio_server_smartmodule_streams", "gauge",
           "Streams with SmartModules.", s->smart.streams);
    single(o, "fluvio_server_smartmodule_failures_total", "counter",
           "Streams and record sets that a SmartModule ended with an error.",
           s->counts.module_failures);
}

static void add_disk(struct flv_out *o, const struct scrape *c)
{
    if (!c->disk_known) {
        return;
    }
    uint64_t unit = c->disk.f_frsize;
    single(o, "fluvio_server_disk_bytes", "gauge",
           "Size of the file system of the data directory.",
           unit * c->disk.f_blocks);
    single(o, "fluvio_server_disk_free_bytes", "gauge",
           "What is free of it for this user.", unit * c->disk.f_bavail);
    single(o, "fluvio_server_disk_free_inodes", "gauge",
           "Files that may still be made there.", c->disk.f_favail);
}

static void add_scrub(struct flv_out *o, const struct flv_server *s)
{
    const struct flv_scrub *x = &s->scrub;
    if (x->server == NULL) {
        return;
    }
    single(o, "fluvio_server_scrub_bytes_total", "counter",
           "Bytes that were read again and found good.", x->bytes);
    single(o, "fluvio_server_scrub_passes_total", "counter",
           "How often everything was read again.", x->passes);
    single(o, "fluvio_server_scrub_damages_total", "counter",
           "Damaged segments met, each in each pass.", x->damages);
}

static void add_syncs(struct flv_out *o, const struct flv_server *s)
{
    static const char name[] = "fluvio_server_sync_seconds";
    const struct flv_sync_times *t = &s->part_env.syncs;
    uint64_t all = 0;
    flv_expo_family(o, name, "histogram",
                    "Time to write and sync one commit group, or to sync what "
                    "a page-cache topic has written.");
    for (size_t i = 0; i < FLV_SYNC_BUCKETS; i++) {
        all += t->counts[i];
        flv_expo_addf(o, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                      (double)flv_sync_limits_us[i] / 1e6, all);
    }
    all += t->counts[FLV_SYNC_BUCKETS];
    flv_expo_addf(o,
                  "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n"
                  "%s_count %" PRIu64 "\n",
                  name, all, name, (double)t->sum_ns / 1e9, name, all);
    single(o, "fluvio_server_disk_errors_total", "counter",
           "Jobs of partitions that the disk refused.",
           s->part_env.disk_errors);
}

/* ---- partitions ---- */

typedef void (*part_fn)(struct flv_out *o,
                        const struct flv_topic *t,
                        uint32_t index,
                        const void *arg);

/* All that hold records, up to the ceiling. Returns how many there are. */
static uint64_t each_partition(struct flv_out *o,
                               const struct flv_server *s,
                               part_fn fn,
                               const void *arg)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->topics.len; i++) {
        const struct flv_topic *t = s->topics.sorted[i];
        if (!flv_topic_has_logs(t)) {
            continue;
        }
        for (uint32_t p = 0; p < t->partition_count; p++) {
            if (n++ < PARTITIONS_MAX) {
                fn(o, t, p, arg);
            }
        }
    }
    return n;
}

static void labels(struct flv_out *o,
                   const char *name,
                   const struct flv_topic *t,
                   uint32_t index)
{
    flv_expo_addf(o, "%s{", name);
    flv_expo_label(o, "topic", t->name);
    flv_expo_addf(o, ",partition=\"%u\"", index);
}

struct family {
    const char *name, *kind, *help;
    uint64_t (*value)(const struct flv_partition *p);
};

static uint64_t records_in(const struct flv_partition *p)
{
    return flv_partition_counts(p)->records_in;
}

static uint64_t bytes_in(const struct flv_partition *p)
{
    return flv_partition_counts(p)->bytes_in;
}

static uint64_t records_dropped(const struct flv_partition *p)
{
    return flv_partition_counts(p)->records_dropped;
}

static uint64_t records_out(const struct flv_partition *p)
{
    return flv_partition_counts(p)->records_out;
}

static uint64_t bytes_out(const struct flv_partition *p)
{
    return flv_partition_counts(p)->bytes_out;
}

static uint64_t readers_of(const struct flv_partition *p)
{
    return flv_partition_counts(p)->readers;
}

static uint64_t start_of(const struct flv_partition *p)
{
    return (uint64_t)flv_partition_start(p);
}

static uint64_t end_of(const struct flv_partition *p)
{
    return (uint64_t)flv_partition_end(p, FLV_READ_UNCOMMITTED);
}

static uint64_t synced_of(const struct flv_partition *p)
{
    return (uint64_t)flv_partition_end(p, FLV_READ_COMMITTED);
}

static uint64_t size_of(const struct flv_partition *p)
{
    struct flv_part_info info;
    flv_partition_info(p, &info);
    return info.size_bytes;
}

static uint64_t segments_of(const struct flv_partition *p)
{
    struct flv_part_info info;
    flv_partition_info(p, &info);
    return info.segments;
}

static uint64_t is_healthy(const struct flv_partition *p)
{
    return flv_partition_health(p) == FLV_HEALTH_OK;
}

static const struct family families[] = {
    {"fluvio_partition_healthy", "gauge",
     "1: it takes and gives records; 0: see fluvio_partition_trouble.",
     is_healthy},
    {"fluvio_partition_records_in_total", "counter",
     "Records stored since the server started.", records_in},
    {"fluvio_partition_bytes_in_total", "counter",
     "Bytes of their batches, as stored.", bytes_in},
    {"fluvio_partition_records_dropped_total", "counter",
     "Records that the deduplication of the topic dropped.", records_dropped},
    {"fluvio_partition_records_out_total", "counter",
     "Records sent to consumers, behind SmartModules.", records_out},
    {"fluvio_partition_bytes_out_total", "counter",
     "Bytes of their batches, as sent.", bytes_out},
    {"fluvio_partition_streams", "gauge", "Streams that read here.",
     readers_of},
    {"fluvio_partition_start_offset", "gauge", "First record that is kept.",
     start_of},
    {"fluvio_partition_end_offset", "gauge", "Behind the last record.", end_of},
    {"fluvio_partition_synced_offset", "gauge",
     "Behind the last record that is on disk.", synced_of},
    {"fluvio_partition_size_bytes", "gauge", "Size of the log.", size_of},
    {"fluvio_partition_segments", "gauge", "Files of the log.", segments_of},
};

static void part_sample(struct flv_out *o,
                        const struct flv_topic *t,
                        uint32_t index,
                        const void *arg)
{
    const struct family *f = arg;
    labels(o, f->name, t, index);
    flv_expo_addf(o, "} %" PRIu64 "\n", f->value(t->partitions[index]));
}

#define TROUBLE "fluvio_partition_trouble"

static void part_trouble(struct flv_out *o,
                         const struct flv_topic *t,
                         uint32_t index,
                         const void *arg)
{
    enum flv_part_health h = flv_partition_health(t->partitions[index]);
    (void)arg;
    if (h != FLV_HEALTH_OK) {
        labels(o, TROUBLE, t, index);
        flv_expo_addf(o, ",kind=\"%s\"} 1\n", flv_health_word(h));
    }
}

#define DAMAGES "fluvio_partition_damaged_segments"

static void part_damages(struct flv_out *o,
                         const struct flv_topic *t,
                         uint32_t index,
                         const void *arg)
{
    uint32_t n = flv_partition_damages(t->partitions[index]);
    (void)arg;
    if (n > 0) {
        labels(o, DAMAGES, t, index);
        flv_expo_addf(o, "} %" PRIu32 "\n", n);
    }
}

static void add_partitions(struct flv_out *o, const struct flv_server *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const struct family *f = &families[i];
        flv_expo_family(o, f->name, f->kind, f->help);
        n = each_partition(o, s, part_sample, f);
    }
    flv_expo_family(o, TROUBLE, "gauge",
                    "1 for what is wrong with a partition; none when all is "
                    "well.");
    each_partition(o, s, part_trouble, NULL);
    flv_expo_family(o, DAMAGES, "gauge",
                    "Damaged segments that a reader or the scrub met; none "
                    "when all is well.");
    each_partition(o, s, part_damages, NULL);
    single(o, "fluvio_server_topics", "gauge", "Topics.",
           s->topics.len > 0 ? s->topics.len - 1 : 0); /* one is our own */
    single(o, "fluvio_server_partitions", "gauge",
           "Partitions; at most 10000 of them have samples of their own.", n);
}

/* ---- consumers ---- */

static void consumer_sample(struct flv_out *o,
                            const char *name,
                            const struct flv_offset_row *row,
                            const struct flv_topic *t,
                            int64_t value)
{
    labels(o, name, t, row->partition);
    flv_expo_addf(o, ",");
    flv_expo_label(o, "consumer", (const char *)row->consumer.data);
    flv_expo_addf(o, "} %" PRId64 "\n", value);
}

static void add_consumers(struct flv_out *o, const struct scrape *c)
{
    static const char offset[] = "fluvio_consumer_offset";
    static const char lag[] = "fluvio_consumer_lag";
    const struct flv_server *s = c->server;
    if (c->ask.rc == FLV_OK) {
        single(o, "fluvio_server_consumer_offsets", "gauge",
               "Stored offsets of consumers.", c->ask.count);
    }
    for (int pass = 0; pass < 2 && c->ask.count > 0; pass++) {
        const char *name = pass == 0 ? offset : lag;
        flv_expo_family(o, name, "gauge",
                        pass == 0 ? "The last record that a consumer has "
                                    "finished."
                                  : "Records behind that one.");
        for (size_t i = 0; i < c->ask.count; i++) {
            const struct flv_offset_row *row = &c->ask.rows[i];
            const struct flv_topic *t =
                flv_topics_by_id(&s->topics, row->topic_id);
            if (t == NULL || row->partition >= t->partition_count) {
                continue;
            }
            int64_t end = flv_partition_end(t->partitions[row->partition],
                                            FLV_READ_COMMITTED);
            int64_t left = end > row->offset ? end - row->offset - 1 : 0;
            consumer_sample(o, name, row, t, pass == 0 ? row->offset : left);
        }
    }
}

/* ---- a scrape ---- */

static void answer(struct flv_http_req *req, unsigned status, const char *text)
{
    struct flv_buf b;
    flv_buf_init(&b, 4096);
    (void)!flv_buf_add_str(&b, text);
    const struct flv_http_answer a = {
        .status = status, .type = "text/plain; charset=utf-8", .body = &b};
    flv_http_answer(req, &a);
}

static void write_page(const struct scrape *c)
{
    struct flv_buf page;
    struct flv_out o = {.b = &page, .rc = FLV_OK};
    flv_buf_init(&page, PAGE_BYTES_MAX);
    add_process(&o, c->server);
    add_restarts(&o, c->server);
    add_clients(&o, c->server);
    add_memory(&o, c->server);
    add_disk(&o, c);
    add_syncs(&o, c->server);
    add_scrub(&o, c->server);
    add_modules(&o, c->server);
    add_partitions(&o, c->server);
    add_consumers(&o, c);
    const struct flv_http_answer a = {
        .status = 200, .type = FLV_EXPO_TYPE, .body = &page};
    if (o.rc == FLV_OK) {
        flv_http_answer(c->req, &a);
    } else {
        flv_buf_deinit(&page);
        answer(c->req, 503, "there is no memory for this page\n");
    }
}

static void asked(struct flv_offset_ask *ask)
{
    struct scrape *c = ask->user;
    struct flv_server *s = c->server;
    if (c->m != NULL) {
        write_page(c);
        LIST_REMOVE(c, link);
    }
    flv_free(c);
    flv_server_ended(s);
}

static void disk_run(struct flv_work *w)
{
    struct scrape *c = (struct scrape *)w;
    c->disk_known = statvfs(c->server->dir.path, &c->disk) == 0;
}

static void disk_done(struct flv_work *w, flv_rc rc)
{
    struct scrape *c = (struct scrape *)w;
    (void)rc;
    if (c->m == NULL) {
        asked(&c->ask);
        return;
    }
    flv_offsets_query(&c->server->offsets, &c->ask);
}

static void scrape(struct flv_metrics *m, struct flv_http_req *req)
{
    struct scrape *c = flv_zalloc(1, sizeof *c);
    if (c == NULL) {
        answer(req, 503, "out of memory\n");
        return;
    }
    c->server = m->server;
    c->m = m;
    c->req = req;
    c->ask.max = CONSUMERS_MAX;
    c->ask.done = asked;
    c->ask.user = c;
    c->work.run = disk_run;
    c->work.done = disk_done;
    LIST_INSERT_HEAD(&m->scrapes, c, link);
    flv_server_began(m->server);
    if (flv_pool_submit(m->server->read_pool, &c->work) != FLV_OK) {
        disk_done(&c->work, FLV_E_BUSY);
    }
}

static void handle(void *arg, struct flv_http_req *req)
{
    const char *method = flv_http_req_method(req);
    if (strcmp(flv_http_req_path(req), "/metrics") != 0) {
        answer(req, 404, "there is /metrics, and nothing else\n");
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        answer(req, 405, "metrics are asked for with GET\n");
    } else {
        scrape(arg, req);
    }
}

/* ---- life ---- */

flv_rc flv_metrics_create(struct flv_metrics **out,
                          struct flv_server *s,
                          struct flv_err *err)
{
    int fd = -1;
    struct flv_metrics *m = flv_zalloc(1, sizeof *m);
    if (m == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    m->server = s;
    LIST_INIT(&m->scrapes);
    flv_rc rc = flv_http_listen(s->conf.metrics_host, s->conf.metrics_port, &fd,
                                &m->port, err);
    if (rc == FLV_OK) {
        const struct flv_http_server_conf conf = {.loop = s->loop,
                                                  .fd = fd,
                                                  .connections_max =
                                                      CONNECTIONS_MAX,
                                                  .body_bytes_max = 4096,
                                                  .handle = handle,
                                                  .arg = m};
        rc = flv_http_server_create(&m->http, &conf, err);
        if (rc != FLV_OK) {
            close(fd);
        }
    }
    if (rc != FLV_OK) {
        flv_free(m);
        return rc;
    }
    *out = m;
    return FLV_OK;
}

uint16_t flv_metrics_port(const struct flv_metrics *m)
{
    return m->port;
}

void flv_metrics_destroy(struct flv_metrics *m)
{
    struct scrape *c;
    if (m == NULL) {
        return;
    }
    while ((c = LIST_FIRST(&m->scrapes)) != NULL) {
        LIST_REMOVE(c, link);
        c->m = NULL;
        c->req = NULL;
    }
    flv_http_server_destroy(m->http);
    flv_free(m);
}
