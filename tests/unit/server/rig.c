#include "rig.h"

#include "base/log.h"
#include "base/text.h"
#include "wire/compress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* libuv is not built for the thread sanitizer: it closes descriptors unseen,
 * so that their next use in another thread would look like a race. Nor is the
 * WebAssembly engine, whose locks are not seen and whose traps are signals. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *
__tsan_default_suppressions(void)
{
    return "called_from_lib:libuv.so\n"
           "called_from_lib:libwasmtime.so\n"
           "race:libwasmtime.so\n"
           "signal:libwasmtime.so";
}

/* ---- the server's process ---- */

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    tmpdir_make(&r->tmp, "server");
    r->conf = (struct flv_server_conf){
        .data_dir = r->tmp.sub,
        .bind = "127.0.0.1",
        .advertise = "localhost",
        .frame_bytes_max = FLV_WIRE_FRAME_MAX,
        .memory_bytes_max = 256u << 20,
        .batch_bytes_max = 2u << 20,
        .stall_ms_max = 300000, /* a busy machine lets tests stall */
        .frame_ms_max = 300000,
        .stop_ms_max = 10000,
    };
}

struct child {
    struct flv_loop *loop;
    struct flv_server *server;
};

static void child_stopped(void *ctx)
{
    struct child *c = ctx;
    flv_loop_stop(c->loop);
}

static void child_term(void *ctx, int signum)
{
    (void)signum;
    struct child *c = ctx;
    flv_server_stop(c->server, child_stopped, c);
}

static int child_main(const struct rig *r, int ready)
{
    struct child c = {0};
    struct flv_err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (flv_log_setup(getenv("RIG_LOG") != NULL ? "debug" : "off", NULL) !=
            FLV_OK ||
        flv_loop_create(&c.loop, 0, &err) != FLV_OK ||
        flv_server_open(&c.server, c.loop, &r->conf, &err) != FLV_OK ||
        flv_loop_on_signal(c.loop, SIGTERM, child_term, &c, &err) != FLV_OK) {
        fprintf(stderr, "server: %s\n", err.text);
        return 1;
    }
    const uint16_t ports[2] = {flv_server_sc_port(c.server),
                               flv_server_spu_port(c.server)};
    if (write(ready, ports, sizeof ports) != sizeof ports) {
        return 1;
    }
    close(ready);
    flv_loop_run(c.loop);
    flv_server_destroy(c.server);
    while (flv_loop_turn(c.loop, false)) {
    }
    flv_loop_destroy(c.loop);
    return 0;
}

void rig_start(struct rig *r)
{
    int ready[2];
    uint16_t ports[2];
    assert_int_equal(r->pid, 0);
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        close(ready[0]);
        exit(child_main(r, ready[1]));
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], ports, sizeof ports), sizeof ports);
    close(ready[0]);
    r->sc = ports[0];
    r->spu = ports[1];
}

static int reap(struct rig *r, int signum)
{
    int status = -1;
    assert_true(r->pid > 0);
    kill(r->pid, signum);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    r->pid = 0;
    return status;
}

void rig_stop(struct rig *r)
{
    assert_int_equal(reap(r, SIGTERM), 0);
}

void rig_kill(struct rig *r)
{
    int status = reap(r, SIGKILL);
    assert_true(WIFSIGNALED(status));
}

void rig_deinit(struct rig *r)
{
    if (r->pid > 0) {
        reap(r, SIGKILL);
    }
    tmpdir_remove(&r->tmp);
}

flv_rc rig_second(const struct rig *r, struct flv_err *err)
{
    struct flv_loop *loop = NULL;
    struct flv_server *server = NULL;
    assert_int_equal(flv_loop_create(&loop, 0, NULL), FLV_OK);
    flv_rc rc = flv_server_open(&server, loop, &r->conf, err);
    flv_loop_destroy(loop);
    return rc;
}

size_t rig_rss_bytes(const struct rig *r)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)r->pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- a connection ---- */

void link_open(struct link *l, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memset(l, 0, sizeof *l);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(l->fd >= 0);
    assert_int_equal(connect(l->fd, (struct sockaddr *)&to, sizeof to), 0);
    l->correlation = 1;
    flv_buf_init(&l->in, 128u << 20);
    flv_buf_init(&l->frame, 128u << 20);
    flv_arena_init(&l->arena, 4096, 64u << 20);
}

void link_close(struct link *l)
{
    if (l->fd >= 0) {
        close(l->fd);
    }
    l->fd = -1;
    flv_buf_deinit(&l->in);
    flv_buf_deinit(&l->frame);
    flv_arena_deinit(&l->arena);
}

void link_send(struct link *l, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t n = send(l->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return; /* the server was quicker to end it */
        }
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

int32_t link_ask(struct link *l,
                 uint16_t api,
                 int16_t version,
                 const struct flv_wire_schema *schema,
                 const void *body,
                 const char *label)
{
    const struct flv_wire_request_header head = {
        .api_key = api,
        .version = version,
        .correlation = l->correlation++,
        .client_id = flv_slice_str("test")};
    const struct flv_wire_message message = {
        .schema = schema, .body = body, .label = label};
    struct flv_buf out;
    struct flv_err err = {0};
    flv_buf_init(&out, 128u << 20);
    flv_rc rc = flv_wire_request_frame(&head, &message, &out, NULL, &err);
    assert_int_equal(rc, FLV_OK);
    link_send(l, out.data, out.len);
    flv_buf_deinit(&out);
    return head.correlation;
}

/* More bytes into l->in; false: nothing in time, or the end. */
static bool receive(struct link *l, int wait_ms, bool *ended)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    uint8_t bytes[65536];
    *ended = false;
    if (poll(&p, 1, wait_ms) != 1) {
        return false;
    }
    ssize_t n = recv(l->fd, bytes, sizeof bytes, 0);
    if (n <= 0) {
        *ended = true;
        return false;
    }
    assert_int_equal(flv_buf_add(&l->in, bytes, (size_t)n), FLV_OK);
    return true;
}

static bool cut_frame(struct link *l)
{
    if (l->in.len < 4) {
        return false;
    }
    size_t size = flv_get_u32(l->in.data);
    if (l->in.len < 4 + size) {
        return false;
    }
    flv_buf_reset(&l->frame);
    assert_int_equal(flv_buf_add(&l->frame, l->in.data + 4, size), FLV_OK);
    flv_buf_drop(&l->in, 4 + size);
    return true;
}

int32_t link_next(struct link *l)
{
    bool ended;
    while (!cut_frame(l)) {
        if (!receive(l, RIG_WAIT_MS, &ended)) {
            fail_msg("%s", ended ? "the server ended the connection"
                                 : "no answer in time");
        }
    }
    assert_true(l->frame.len >= 4);
    int32_t correlation = (int32_t)flv_get_u32(l->frame.data);
    flv_buf_drop(&l->frame, 4);
    return correlation;
}

void link_read(struct link *l,
               int16_t version,
               const struct flv_wire_schema *schema,
               void *out,
               const char *label)
{
    struct flv_slice in = flv_buf_slice(&l->frame);
    struct flv_err err = {0};
    flv_arena_reset(&l->arena);
    if (label != NULL) {
        struct flv_wire_envelope env;
        assert_int_equal(
            flv_wire_envelope_decode(version, &in, &l->arena, &env, &err),
            FLV_OK);
        assert_true(flv_slice_eq_str(env.label, label));
        in = env.body;
    }
    if (flv_wire_decode(schema, version, &in, &l->arena, out, &err) != FLV_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(in.len, 0);
}

void link_call(struct link *l,
               uint16_t api,
               int16_t version,
               const struct flv_wire_schema *schema,
               const void *body,
               const struct flv_wire_schema *out_schema,
               void *out)
{
    int32_t asked = link_ask(l, api, version, schema, body, NULL);
    assert_int_equal(link_next(l), asked);
    link_read(l, version, out_schema, out, NULL);
}

bool link_is_silent(struct link *l, int wait_ms)
{
    bool ended;
    return l->in.len == 0 && !receive(l, wait_ms, &ended) && !ended;
}

bool link_ends_or_frame(struct link *l)
{
    bool ended = false;
    while (!cut_frame(l)) {
        if (!receive(l, RIG_WAIT_MS, &ended)) {
            assert_true(ended);
            return true;
        }
    }
    flv_buf_drop(&l->frame, 4);
    return false;
}

bool link_ends(struct link *l)
{
    bool ended = false;
    while (receive(l, RIG_WAIT_MS, &ended)) {
        flv_buf_reset(&l->in);
    }
    return ended;
}

/* ---- ready-made requests ---- */

static struct flv_wire_topic_create create_of(const char *name,
                                              uint32_t partitions)
{
    return (struct flv_wire_topic_create){
        .common = {.name = flv_slice_str(name)},
        .spec = {.replicas = {.tag = FLV_WIRE_REPLICA_COMPUTED,
                              .computed = {.partitions = partitions,
                                           .replication_factor = 1}},
                 .compression = FLV_WIRE_COMPRESSION_ANY}};
}

int16_t
rig_create_page_cache(struct link *sc, const char *name, uint32_t partitions)
{
    const struct flv_wire_topic_create_ext req = {
        .durability = FLV_WIRE_DURABILITY_PAGE_CACHE,
        .create = create_of(name, partitions)};
    struct flv_wire_status status;
    link_call(sc, FLV_API_SC_TOPIC_CREATE_EXT, 19,
              &flv_wire_topic_create_ext_schema, &req, &flv_wire_status_schema,
              &status);
    return status.error.code;
}

int16_t rig_create_topic(struct link *sc, const char *name, uint32_t partitions)
{
    const struct flv_wire_topic_create req = create_of(name, partitions);
    struct flv_wire_status status;
    int32_t asked = link_ask(sc, FLV_API_SC_CREATE, 19,
                             &flv_wire_topic_create_schema, &req, "Topic");
    while (link_next(sc) != asked) {
    }
    link_read(sc, 19, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

int16_t rig_delete_topic(struct link *sc, const char *name)
{
    const struct flv_wire_delete_request req = {.key = flv_slice_str(name)};
    struct flv_wire_status status;
    int32_t asked = link_ask(sc, FLV_API_SC_DELETE, 19,
                             &flv_wire_delete_request_schema, &req, "Topic");
    while (link_next(sc) != asked) {
    }
    link_read(sc, 19, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

void rig_batch(struct flv_buf *out,
               uint32_t count,
               size_t value_bytes,
               enum flv_codec codec,
               int64_t producer_id,
               int32_t sequence)
{
    struct flv_batch_builder b;
    struct flv_compressor *z = flv_compressor_create();
    uint8_t *value = calloc(1, value_bytes + 1);
    assert_non_null(value);
    memset(value, 'v', value_bytes);
    flv_batch_builder_init(&b, 64u << 20);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(flv_batch_builder_add(&b, NULL,
                                               flv_slice(value, value_bytes),
                                               1700000000000, NULL),
                         FLV_OK);
    }
    const struct flv_batch_stamp stamp = {.producer_id = producer_id,
                                          .producer_epoch =
                                              producer_id < 0 ? -1 : 0,
                                          .first_sequence = sequence};
    assert_int_equal(flv_batch_builder_finish(&b, z, codec, stamp, out, NULL),
                     FLV_OK);
    flv_batch_builder_deinit(&b);
    flv_compressor_destroy(z);
    free(value);
}

int32_t rig_produce_ask(struct link *spu,
                        const char *topic,
                        uint32_t partition,
                        struct flv_slice records)
{
    struct flv_wire_produce_partition p = {.partition = partition,
                                           .records = records};
    struct flv_wire_produce_topic t = {.name = flv_slice_str(topic)};
    t.partitions.at = &p;
    t.partitions.len = 1;
    struct flv_wire_produce_request req = {.acks = 1, .timeout_ms = 1500};
    req.topics.at = &t;
    req.topics.len = 1;
    return link_ask(spu, FLV_API_SPU_PRODUCE, 25,
                    &flv_wire_produce_request_schema, &req, NULL);
}

int16_t rig_produce(struct link *spu,
                    const char *topic,
                    uint32_t partition,
                    struct flv_slice records,
                    int64_t *out_base)
{
    struct flv_wire_produce_response resp;
    int32_t asked = rig_produce_ask(spu, topic, partition, records);
    assert_int_equal(link_next(spu), asked);
    link_read(spu, 25, &flv_wire_produce_response_schema, &resp, NULL);
    assert_int_equal(resp.topics.len, 1);
    assert_int_equal(resp.topics.at[0].partitions.len, 1);
    if (out_base != NULL) {
        *out_base = resp.topics.at[0].partitions.at[0].base_offset;
    }
    return resp.topics.at[0].partitions.at[0].error.code;
}

int32_t rig_stream_ask(struct link *spu,
                       const char *topic,
                       uint32_t partition,
                       int64_t offset,
                       int32_t max_bytes,
                       const char *consumer)
{
    struct flv_wire_stream_fetch_request req = {.topic = flv_slice_str(topic),
                                                .partition = partition,
                                                .fetch_offset = offset,
                                                .max_bytes = max_bytes};
    req.consumer_id.has = consumer != NULL;
    req.consumer_id.v = flv_slice_str(consumer);
    return link_ask(spu, FLV_API_SPU_STREAM_FETCH, 25,
                    &flv_wire_stream_fetch_request_schema, &req, NULL);
}

char *rig_metrics(const struct rig *r)
{
    static const char ask[] = "GET /metrics HTTP/1.0\r\n\r\n";
    static char text[1 << 16];
    char path[4200];
    snprintf(path, sizeof path, "%s/server.json", r->conf.data_dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    char *digits = strstr(text, "\"metrics_port\":");
    assert_non_null(digits);
    digits += 15;
    digits[strspn(digits, "0123456789")] = '\0';
    uint64_t port = 0;
    assert_int_equal(flv_text_u64(digits, 1, UINT16_MAX, &port, NULL), FLV_OK);
    struct link l;
    link_open(&l, (uint16_t)port);
    link_send(&l, ask, sizeof ask - 1);
    size_t len = 0;
    ssize_t n;
    while ((n = recv(l.fd, text + len, sizeof text - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    link_close(&l);
    return text;
}
