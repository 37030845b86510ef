#include "server/smart.h"

#include "base/field.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "server/state.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_DEFAULT ((size_t)512 << 20)
#define STREAMS_DEFAULT 256
#define SECTION_MAX (FLV_BATCH_SECTION_MAX + 16)
/* Of produce: a record set that grew. */
#define SET_MAX ((size_t)33619968)
#define BENCH_KEPT_BYTES ((size_t)1 << 20)
/* Records that a client is shown of an error. */
#define SHOWN_MAX ((size_t)64 << 10)
/* SmartModules give way to everybody else on the machine's cores. */
#define NICE 5
#define SLICE_NS 20000000
#define TURN_MS 1000
#define MODULES_KEPT_MAX 32
#define MODULE_BYTES_KEPT_MAX ((size_t)64 << 20)

/* ---- troubles ---- */

void flv_trouble_clear(struct flv_trouble *t)
{
    flv_free(t->record);
    t->record = NULL;
    t->error = flv_wire_error(FLV_WIRE_NONE);
}

/* Texts that lay in `from` lie in `to` then. */
static void trouble_take(struct flv_trouble *to, const struct flv_trouble *from)
{
    flv_trouble_clear(to);
    const char *text = (const char *)from->error.text.data;
    *to = *from;
    if (text == from->text) {
        to->error.text.data = (const uint8_t *)to->text;
    } else if (text == from->name) {
        to->error.text.data = (const uint8_t *)to->name;
    }
    if (from->error.name.has) {
        to->error.name.v.data = (const uint8_t *)to->name;
    }
}

void flv_trouble_move(struct flv_trouble *to, struct flv_trouble *from)
{
    trouble_take(to, from);
    from->record = NULL;
    flv_trouble_clear(from);
}

void flv_trouble_copy(struct flv_trouble *to, const struct flv_trouble *from)
{
    assert(from->record == NULL);
    trouble_take(to, from);
}

void flv_trouble_set(struct flv_trouble *t, int16_t code, const char *text)
{
    flv_trouble_clear(t);
    snprintf(t->text, sizeof t->text, "%s", text);
    t->error = flv_wire_error_text(code, t->text);
}

void flv_trouble_not_found(struct flv_trouble *t, struct flv_slice name)
{
    flv_trouble_clear(t);
    snprintf(t->name, sizeof t->name, "%.*s",
             (int)(name.len < FLV_SM_NAME_MAX ? name.len : FLV_SM_NAME_MAX),
             (const char *)name.data);
    t->error = flv_wire_error_text(FLV_WIRE_SMARTMODULE_NOT_FOUND, t->name);
}

void flv_trouble_memory(struct flv_trouble *t, uint64_t wanted, uint64_t max)
{
    flv_trouble_clear(t);
    t->error = (struct flv_wire_error){
        .code = FLV_WIRE_SMARTMODULE_MEMORY_LIMIT_EXCEEDED,
        .requested_bytes = wanted,
        .max_bytes = max,
    };
}

void flv_trouble_downgrade(struct flv_trouble *t, int16_t version)
{
    char text[FLV_ERR_TEXT_MAX];
    if (flv_wire_code_known(t->error.code, FLV_WIRE_SPU, version)) {
        return;
    }
    flv_wire_error_describe(&t->error, text, sizeof text);
    flv_trouble_set(t, FLV_WIRE_OTHER, text);
}

static uint8_t kind_of(enum flv_sm_kind kind)
{
    static const uint8_t kinds[FLV_SM_KIND_COUNT] = {
        [FLV_SM_FILTER] = FLV_WIRE_MODULE_FILTER,
        [FLV_SM_MAP] = FLV_WIRE_MODULE_MAP,
        [FLV_SM_FILTER_MAP] = FLV_WIRE_MODULE_FILTER_MAP,
        [FLV_SM_ARRAY_MAP] = FLV_WIRE_MODULE_ARRAY_MAP,
        [FLV_SM_AGGREGATE] = FLV_WIRE_MODULE_AGGREGATE,
    };
    return kinds[kind];
}

static struct flv_slice shown(struct flv_slice s)
{
    return s.len <= SHOWN_MAX ? s : flv_slice(s.data, SHOWN_MAX);
}

/* Copies s to *at, which moves on; the copy. */
static struct flv_slice keep(uint8_t **at, struct flv_slice s)
{
    struct flv_slice copy = flv_slice(*at, s.len);
    if (s.len > 0) {
        memcpy(*at, s.data, s.len);
    }
    *at += s.len;
    return copy;
}

void flv_trouble_record(struct flv_trouble *t,
                        const struct flv_sm_chain *chain,
                        const struct flv_sm_failure *f,
                        int64_t offset)
{
    const struct flv_sm_module_info info =
        flv_sm_module_info(flv_sm_chain_module(chain, f->step));
    char text[FLV_ERR_TEXT_MAX];
    snprintf(text, sizeof text, "at offset %lld: %.160s", (long long)offset,
             f->text);
    flv_trouble_set(t, FLV_WIRE_OTHER, text);
    if (f->cause != FLV_SM_USER_ERROR) {
        return;
    }
    const struct flv_slice key = shown(f->key);
    const struct flv_slice value = shown(f->value);
    const struct flv_slice hint = shown(f->hint);
    t->record = flv_alloc(key.len + value.len + hint.len + 1);
    if (t->record == NULL) {
        return; /* the sentence has to do */
    }
    uint8_t *at = t->record;
    t->error = (struct flv_wire_error){
        .code = FLV_WIRE_SMARTMODULE_RUNTIME_ERROR,
        .kind = kind_of(info.kind),
        .offset = offset,
        .text = keep(&at, hint),
        .record_value = keep(&at, value),
    };
    t->error.record_key.has = f->has_key;
    t->error.record_key.v = keep(&at, key);
}

/* ---- the cpu pool ---- */

static bool bench_ready(struct flv_bench *b)
{
    if (b->ready) {
        return true;
    }
    b->z = flv_compressor_create();
    if (b->z == NULL) {
        return false;
    }
    flv_batch_reader_init(&b->reader, b->z, FLV_BATCH_SECTION_MAX);
    flv_batch_builder_init(&b->builder, SET_MAX);
    flv_buf_init(&b->section, SECTION_MAX);
    flv_buf_init(&b->out, SET_MAX);
    b->ready = true;
    return true;
}

static void bench_clear(struct flv_bench *b)
{
    if (b->ready) {
        flv_batch_reader_deinit(&b->reader);
        flv_batch_builder_deinit(&b->builder);
        flv_buf_deinit(&b->section);
        flv_buf_deinit(&b->out);
        flv_compressor_destroy(b->z);
        *b = (struct flv_bench){.z = NULL};
    }
}

/* One large batch must not hold its memory for ever. */
static void bench_trim(struct flv_bench *b)
{
    if (b->reader.plain.cap > 4 * BENCH_KEPT_BYTES ||
        b->section.cap > 4 * BENCH_KEPT_BYTES ||
        b->out.cap > 4 * BENCH_KEPT_BYTES ||
        b->builder.section.cap > 4 * BENCH_KEPT_BYTES) {
        bench_clear(b);
    }
}

/* Of the thread that calls: little of a core where others want it, and long
 * slices, so that every thread that wakes with shorter ones takes the core at
 * once (Linux 6.12; before that the slice says nothing). */
static void stand_back(void)
{
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } attr = {.size = 48,
              .policy = SCHED_OTHER,
              .nice = NICE,
              .runtime_ns = SLICE_NS}; /* struct sched_attr, version 0 */
    _Static_assert(sizeof attr == 48, "sched_attr");
    if (syscall(SYS_sched_setattr, 0, &attr, 0) != 0) {
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    }
}

static void job_run(struct flv_work *w)
{
    static _Thread_local bool nice_set;
    struct flv_cpu_job *j = FLV_OWNER_OF(w, struct flv_cpu_job, work);
    if (!nice_set) {
        nice_set = true;
        stand_back();
    }
    j->run(j, j->bench);
}

static void start_next(struct flv_smart *m);

static void job_over(struct flv_cpu_job *j, flv_rc rc)
{
    struct flv_smart *m = j->smart;
    j->bench->job = NULL;
    bench_trim(j->bench);
    j->bench = NULL;
    j->state = FLV_CPU_IDLE;
    m->running--;
    j->done(j, rc);
    start_next(m);
    flv_server_ended(m->server);
}

static void job_done(struct flv_work *w, flv_rc rc)
{
    job_over(FLV_OWNER_OF(w, struct flv_cpu_job, work), rc);
}

static void job_late(struct flv_task *t)
{
    job_over(FLV_OWNER_OF(t, struct flv_cpu_job, late), FLV_E_NOMEM);
}

static struct flv_bench *free_bench(struct flv_smart *m)
{
    for (uint32_t i = 0; i < m->threads; i++) {
        if (m->benches[i].job == NULL) {
            return &m->benches[i];
        }
    }
    return NULL;
}

static struct flv_cpu_job *first_job(struct flv_smart *m)
{
    struct flv_cpu_job *j;
    STAILQ_FOREACH(j, &m->line, link)
    {
        if (!j->yields || m->server->phase == FLV_SERVER_SERVING) {
            return j;
        }
    }
    return NULL;
}

static void start_next(struct flv_smart *m)
{
    struct flv_bench *b;
    struct flv_cpu_job *j;
    while ((j = first_job(m)) != NULL && (b = free_bench(m)) != NULL) {
        STAILQ_REMOVE(&m->line, j, flv_cpu_job, link);
        j->bench = b;
        j->state = FLV_CPU_RUNS;
        b->job = j;
        j->began_ms = flv_loop_now_ms(m->server->loop);
        atomic_store(&j->stop, false);
        atomic_store(&j->cancel, false);
        m->running++;
        flv_server_began(m->server);
        j->work.run = job_run;
        j->work.done = job_done;
        if (!bench_ready(b) || flv_pool_submit(m->pool, &j->work) != FLV_OK) {
            flv_task_init(&j->late, job_late);
            flv_loop_defer(m->server->loop, &j->late);
        }
    }
}

void flv_cpu_submit(struct flv_cpu_job *j)
{
    struct flv_smart *m = j->smart;
    assert(j->state == FLV_CPU_IDLE);
    j->state = FLV_CPU_WAITS;
    STAILQ_INSERT_TAIL(&m->line, j, link);
    start_next(m);
}

bool flv_cpu_cancel(struct flv_cpu_job *j)
{
    if (j->state != FLV_CPU_WAITS) {
        atomic_store(&j->stop, true);
        atomic_store(&j->cancel, true);
        return false;
    }
    STAILQ_REMOVE(&j->smart->line, j, flv_cpu_job, link);
    j->state = FLV_CPU_IDLE;
    return true;
}

/* ---- compiled modules ---- */

struct flv_smart_module {
    struct flv_smart_source source;
    struct flv_sm_module *module; /* counted */
    size_t bytes;
    TAILQ_ENTRY(flv_smart_module) link;
};

static bool is_same(const struct flv_smart_source *a,
                    const struct flv_smart_source *b)
{
    return a->revision == b->revision && a->mac[0] == b->mac[0] &&
           a->mac[1] == b->mac[1] && a->len == b->len;
}

struct flv_smart_source flv_smart_source(const struct flv_smart *m,
                                         struct flv_slice s)
{
    const uint64_t *k = m->mac_keys;
    return (struct flv_smart_source){
        .mac = {flv_siphash24(k[0], k[1], s.data, s.len),
                flv_siphash24(k[2], k[3], s.data, s.len)},
        .len = s.len};
}

static void forget(struct flv_smart *m, struct flv_smart_module *e)
{
    TAILQ_REMOVE(&m->modules, e, link);
    m->module_count--;
    m->module_bytes -= e->bytes;
    flv_sm_module_unref(e->module);
    flv_free(e);
}

struct flv_sm_module *flv_smart_recall(struct flv_smart *m,
                                       const struct flv_smart_source *source)
{
    struct flv_smart_module *e;
    TAILQ_FOREACH(e, &m->modules, link)
    {
        if (is_same(&e->source, source)) {
            TAILQ_REMOVE(&m->modules, e, link);
            TAILQ_INSERT_HEAD(&m->modules, e, link);
            return flv_sm_module_ref(e->module);
        }
    }
    return NULL;
}

void flv_smart_remember(struct flv_smart *m,
                        const struct flv_smart_source *source,
                        struct flv_sm_module *module)
{
    struct flv_sm_module *known = flv_smart_recall(m, source);
    struct flv_smart_module *e = NULL;
    if (known != NULL) {
        flv_sm_module_unref(known); /* somebody else was quicker */
        return;
    }
    e = flv_zalloc(1, sizeof *e);
    if (e == NULL) {
        return;
    }
    e->source = *source;
    e->module = flv_sm_module_ref(module);
    e->bytes = flv_sm_module_info(module).wasm_bytes;
    TAILQ_INSERT_HEAD(&m->modules, e, link);
    m->module_count++;
    m->module_bytes += e->bytes;
    while (m->module_count > MODULES_KEPT_MAX ||
           (m->module_bytes > MODULE_BYTES_KEPT_MAX && m->module_count > 1)) {
        forget(m, TAILQ_LAST(&m->modules, flv_smart_modules));
    }
}

/* ---- the server's part ---- */

flv_rc flv_smart_init(struct flv_smart *m,
                      struct flv_server *server,
                      const struct flv_smart_conf *conf,
                      struct flv_err *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    m->server = server;
    m->conf = *conf;
    m->conf.memory_bytes_max =
        conf->memory_bytes_max > 0 ? conf->memory_bytes_max : MEMORY_DEFAULT;
    m->conf.streams_max =
        conf->streams_max > 0 ? conf->streams_max : STREAMS_DEFAULT;
    /* One core is left to everybody else: what wakes there need not wait until
     * the kernel takes a core from a module, which takes it milliseconds. */
    m->threads = cores < 3                       ? 1
                 : cores > FLV_SMART_THREADS_MAX ? FLV_SMART_THREADS_MAX
                                                 : (uint32_t)cores - 1;
    STAILQ_INIT(&m->line);
    TAILQ_INIT(&m->modules);
    STAILQ_INIT(&m->waiting);
    STAILQ_INIT(&m->look_line);
    for (size_t i = 0; i < 4; i++) {
        m->mac_keys[i] = flv_rand_u64();
    }
    const struct flv_pool_conf pool = {.name = "cpu",
                                       .threads_max = m->threads,
                                       .queue_max = m->threads,
                                       .stack_bytes =
                                           FLV_SM_THREAD_STACK_BYTES};
    return flv_pool_create(&m->pool, server->loop, &pool, err);
}

void flv_smart_deinit(struct flv_smart *m)
{
    flv_pool_destroy(m->pool);
    m->pool = NULL;
    if (m->server == NULL) {
        return; /* the start failed earlier */
    }
    assert(m->running == 0 && STAILQ_EMPTY(&m->line) && m->streams == 0);
    while (!TAILQ_EMPTY(&m->modules)) {
        forget(m, TAILQ_FIRST(&m->modules));
    }
    for (uint32_t i = 0; i < m->threads; i++) {
        bench_clear(&m->benches[i]);
    }
    flv_sm_engine_destroy(m->engine);
    m->engine = NULL;
}

static void stop_jobs(struct flv_smart *m, bool all)
{
    uint64_t now_ms = flv_loop_now_ms(m->server->loop);
    for (uint32_t i = 0; i < m->threads; i++) {
        struct flv_cpu_job *j = m->benches[i].job;
        if (j != NULL && (all || now_ms - j->began_ms >=
                                     (j->turn_ms > 0 ? j->turn_ms : TURN_MS))) {
            atomic_store(&j->stop, true);
        }
        if (j != NULL && all) {
            atomic_store(&j->cancel, true);
        }
    }
}

void flv_smart_drain(struct flv_smart *m)
{
    for (uint32_t i = 0; m->server != NULL && i < m->threads; i++) {
        struct flv_cpu_job *j = m->benches[i].job;
        if (j != NULL && j->yields) {
            atomic_store(&j->stop, true);
        }
    }
}

void flv_smart_stop(struct flv_smart *m)
{
    if (m->server != NULL) {
        stop_jobs(m, true);
    }
}

void flv_smart_tick(struct flv_smart *m)
{
    stop_jobs(m, false);
    if (m->streams > 0 || m->running > 0) {
        return;
    }
    for (uint32_t i = 0; i < m->threads; i++) {
        bench_clear(&m->benches[i]);
    }
}

bool flv_smart_enter(struct flv_smart *m, struct flv_trouble *out)
{
    if (m->streams < m->conf.streams_max) {
        m->streams++;
        return true;
    }
    char text[FLV_ERR_TEXT_MAX];
    snprintf(text, sizeof text,
             "%u streams with SmartModules are open already, as many as this "
             "server allows; see --smartmodule-streams",
             m->streams);
    flv_trouble_set(out, FLV_WIRE_SMARTMODULE_CHAIN_INIT_ERROR, text);
    return false;
}

void flv_smart_leave(struct flv_smart *m)
{
    assert(m->streams > 0);
    m->streams--;
}

bool flv_smart_resize(struct flv_smart *m, size_t *held, size_t now)
{
    bool grows = now > *held;
    m->memory_bytes = m->memory_bytes - *held + now;
    *held = now;
    while (grows && m->memory_bytes > m->conf.memory_bytes_max) {
        if (!flv_dedups_shrink(&m->server->dedups)) {
            return false;
        }
    }
    return true;
}
