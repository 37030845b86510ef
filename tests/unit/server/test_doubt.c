#include "rig.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

/* A change of topics whose row cannot be stored: every call that SQLite makes
 * to its journal fails in turn, with or without effect, once or from then on;
 * then the server ends in every way and another one looks at what is there.
 * The logs lie on the real disk and do not fail. */

/* ---- SQLite's files, with switches shared with the server's process ---- */

struct faults {
    atomic_bool armed, once, effect;
    atomic_uint at;     /* the call to fail, from 0 */
    atomic_uint calls;  /* since it was armed */
    atomic_bool synced; /* the journal's copy is there */
};

static struct faults *faults;
static char synced_path[128]; /* the journal as of its last sync, or empty */

struct file {
    sqlite3_file base;
    bool journal;
    char path[256];
    sqlite3_file real[]; /* the unix VFS's own */
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct file *)f)->real;
}

/* True: this call is to fail. *effect: but it is made all the same. */
static bool fails(sqlite3_file *f, bool *effect)
{
    *effect = true;
    if (!((struct file *)f)->journal || !atomic_load(&faults->armed)) {
        return false;
    }
    unsigned call = atomic_fetch_add(&faults->calls, 1);
    unsigned at = atomic_load(&faults->at);
    bool yes = call == at || (call > at && !atomic_load(&faults->once));
    *effect = !yes || atomic_load(&faults->effect);
    return yes;
}

static void copy_file(const char *from, const char *to)
{
    char buf[65536];
    size_t n;
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert(in != NULL && out != NULL);
    while ((n = fread(buf, 1, sizeof buf, in)) > 0) {
        size_t put = fwrite(buf, 1, n, out);
        assert(put == n);
        (void)put;
    }
    fclose(in);
    fclose(out);
}

static int f_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int f_read(sqlite3_file *f, void *buf, int len, sqlite3_int64 pos)
{
    return real_of(f)->pMethods->xRead(real_of(f), buf, len, pos);
}

static int f_write(sqlite3_file *f, const void *buf, int len, sqlite3_int64 pos)
{
    bool effect;
    bool failed = fails(f, &effect);
    int code = SQLITE_OK;
    if (effect) {
        code = real_of(f)->pMethods->xWrite(real_of(f), buf, len, pos);
    }
    return failed ? SQLITE_IOERR_WRITE : code;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
    bool effect;
    bool failed = fails(f, &effect);
    int code = SQLITE_OK;
    if (effect) {
        code = real_of(f)->pMethods->xSync(real_of(f), flags);
    }
    if (effect && code == SQLITE_OK && ((struct file *)f)->journal &&
        synced_path[0] != '\0') {
        copy_file(((struct file *)f)->path, synced_path);
        atomic_store(&faults->synced, true);
    }
    return failed ? SQLITE_IOERR_FSYNC : code;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int f_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int f_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int f_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_traits,
};

static int v_open(sqlite3_vfs *vfs,
                  const char *path,
                  sqlite3_file *out,
                  int flags,
                  int *out_flags)
{
    struct file *f = (struct file *)out;
    (void)vfs;
    f->base.pMethods = NULL;
    f->journal = (flags & SQLITE_OPEN_WAL) != 0;
    snprintf(f->path, sizeof f->path, "%s", path != NULL ? path : "");
    int code = real_vfs->xOpen(real_vfs, path, f->real, flags, out_flags);
    if (f->real->pMethods != NULL) {
        f->base.pMethods = &methods;
    }
    return code;
}

static sqlite3_vfs vfs;

/* Before the server's process is made, which inherits it. */
static void set_up_faults(void)
{
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(faults != MAP_FAILED);
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "doubt";
    vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
    vfs.xOpen = v_open;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- one story ---- */

enum change { CREATE, GROW, DELETE, CHANGES };
enum ending {
    KILL,      /* all that was written is there */
    POWER_CUT, /* nothing is that was not synced */
    STOP,      /* in good order, while the disk fails */
    HEAL,      /* the disk is well again, it is settled, then a power cut */
    ENDINGS
};

struct story {
    struct rig rig;
    struct link sc, spu;
    struct flv_buf batch;
    enum change change;
    int64_t acked;    /* records of keep-0 */
    bool acked_after; /* one of them after the change was answered */
    bool told;        /* that the change was made */
};

static void connect_both(struct story *s)
{
    link_open(&s->sc, s->rig.sc);
    link_open(&s->spu, s->rig.spu);
}

static void disconnect(struct story *s)
{
    link_close(&s->sc);
    link_close(&s->spu);
}

static int16_t produce(struct story *s, const char *topic, uint32_t partition)
{
    int64_t base = -1;
    int16_t code =
        rig_produce(&s->spu, topic, partition, flv_buf_slice(&s->batch), &base);
    if (code == 0 && strcmp(topic, "keep") == 0 && partition == 0) {
        assert_int_equal(base, s->acked);
        s->acked++;
    }
    return code;
}

static int16_t grow_by(struct story *s, uint32_t more)
{
    const struct flv_wire_topic_update req = {
        .key = flv_slice_str("keep"), .action = {.tag = 0, .count = more}};
    struct flv_wire_status status;
    int32_t asked = link_ask(&s->sc, FLV_API_SC_UPDATE, 19,
                             &flv_wire_topic_update_schema, &req, "Topic");
    assert_int_equal(link_next(&s->sc), asked);
    link_read(&s->sc, 19, &flv_wire_status_schema, &status, NULL);
    return status.error.code;
}

static int16_t grow(struct story *s)
{
    return grow_by(s, 2);
}

static int16_t make_change(struct story *s)
{
    switch (s->change) {
    case CREATE:
        return rig_create_topic(&s->sc, "new", 3);
    case GROW:
        return grow(s);
    default:
        return rig_delete_topic(&s->sc, "keep");
    }
}

/* A topic with a record; from now on a call fails. */
static void prepare(struct story *s, unsigned at, bool once, bool effect)
{
    rig_init(&s->rig);
    snprintf(synced_path, sizeof synced_path, "%s/synced", s->rig.tmp.path);
    atomic_store(&faults->armed, false);
    atomic_store(&faults->synced, false);
    rig_start(&s->rig);
    connect_both(s);
    s->acked = 0;
    s->acked_after = false;
    assert_int_equal(rig_create_topic(&s->sc, "keep", 2), 0);
    assert_int_equal(produce(s, "keep", 0), 0);
    atomic_store(&faults->at, at);
    atomic_store(&faults->once, once);
    atomic_store(&faults->effect, effect);
    atomic_store(&faults->calls, 0);
    atomic_store(&faults->armed, true);
}

/* And then the change. False: it went well without reaching that call. */
static bool begin(struct story *s, unsigned at, bool once, bool effect)
{
    prepare(s, at, once, effect);
    s->told = make_change(s) == 0;
    return atomic_load(&faults->calls) > at;
}

/* What clients meet before the server ends. */
static void look_around(struct story *s, bool once)
{
    int16_t code = produce(s, "keep", 0);
    s->acked_after = code == 0;
    if (s->change == DELETE) {
        assert_int_equal(s->told && code == 0, false);
    } else {
        assert_int_equal(code, 0);
    }
    if (s->told || once) {
        return; /* well again, and perhaps settled */
    }
    assert_int_not_equal(make_change(s), 0);
    assert_int_not_equal(rig_create_topic(&s->sc, "new", 3), 0);
    assert_int_not_equal(grow(s), 0);
    assert_int_not_equal(rig_delete_topic(&s->sc, "new"), 0);
    assert_int_not_equal(produce(s, "new", 0), 0);
    assert_int_not_equal(produce(s, "keep", 2), 0);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The disk is well again, and soon the same change goes well. */
static void heal(struct story *s)
{
    uint64_t end_ms = now_ms() + RIG_WAIT_MS;
    atomic_store(&faults->armed, false);
    while (!s->told) {
        s->told = make_change(s) == 0;
        assert_true(now_ms() < end_ms);
    }
}

static void end(struct story *s, enum ending ending)
{
    char path[256];
    if (ending == HEAL) {
        heal(s);
    }
    disconnect(s);
    if (ending == STOP) {
        rig_stop(&s->rig);
    } else {
        rig_kill(&s->rig);
    }
    if (ending == POWER_CUT || ending == HEAL) {
        snprintf(path, sizeof path, "%s/meta.db-wal", s->rig.conf.data_dir);
        if (atomic_load(&faults->synced)) {
            copy_file(synced_path, path);
        } else {
            unlink(path);
        }
    }
    atomic_store(&faults->armed, false);
}

/* How many folders there are below one. */
static unsigned count_folders(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    if (d == NULL) {
        return 0;
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

/* The partitions that the topic has, every one of which takes a record. */
static unsigned whole_partitions(struct story *s, const char *topic)
{
    unsigned n = 0;
    int16_t code;
    while ((code = produce(s, topic, n)) == 0) {
        n++;
    }
    assert_int_equal(code, n == 0 ? FLV_WIRE_TOPIC_NOT_FOUND
                                  : FLV_WIRE_NOT_LEADER_FOR_PARTITION);
    return n;
}

/* What another server finds: the change as a whole, or not at all. */
static void check(struct story *s)
{
    char path[256];
    rig_start(&s->rig);
    connect_both(s);
    unsigned keep = whole_partitions(s, "keep");
    unsigned new = whole_partitions(s, "new");
    if (s->change == DELETE) {
        assert_true(keep == 0 || keep == 2);
        /* What was acknowledged behind the answer keeps the topic. */
        assert_false(keep == 0 && !s->told && s->acked_after);
        assert_false(keep != 0 && s->told);
    } else {
        assert_true(keep == 2 || (keep == 4 && s->change == GROW));
        assert_true(new == 0 || (new == 3 && s->change == CREATE));
        assert_false(s->told && s->change == CREATE && new == 0);
        assert_false(s->told && s->change == GROW && keep == 2);
    }
    snprintf(path, sizeof path, "%s/topics", s->rig.conf.data_dir);
    assert_int_equal(count_folders(path), (keep > 0) + (new > 0));
    disconnect(s);
    rig_stop(&s->rig);
    rig_deinit(&s->rig);
    synced_path[0] = '\0';
}

/* Every call in turn, until the change goes well before it is reached. */
static void every_call(enum change change, enum ending ending)
{
    static struct story s;
    memset(&s, 0, sizeof s);
    s.change = change;
    flv_buf_init(&s.batch, 1u << 20);
    rig_batch(&s.batch, 1, 100, FLV_CODEC_NONE, -1, -1);
    for (unsigned how = 0; how < 4; how++) {
        bool once = (how & 1) != 0;
        bool reached = true;
        unsigned at = 0;
        for (; reached; at++) {
            reached = begin(&s, at, once, (how & 2) != 0);
            assert_true(s.told || reached);
            look_around(&s, once);
            end(&s, ending);
            check(&s);
        }
        assert_true(at > 2);
    }
    flv_buf_deinit(&s.batch);
}

#define EVERY_CALL(name, change, ending)                                       \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        every_call(change, ending);                                            \
    }
EVERY_CALL(create_is_whole_or_not_at_all_after_kill, CREATE, KILL)
EVERY_CALL(create_is_whole_or_not_at_all_after_power_cut, CREATE, POWER_CUT)
EVERY_CALL(create_is_whole_or_not_at_all_after_stop, CREATE, STOP)
EVERY_CALL(create_succeeds_and_stays_once_the_disk_is_well, CREATE, HEAL)
EVERY_CALL(grow_is_whole_or_not_at_all_after_kill, GROW, KILL)
EVERY_CALL(grow_is_whole_or_not_at_all_after_power_cut, GROW, POWER_CUT)
EVERY_CALL(grow_is_whole_or_not_at_all_after_stop, GROW, STOP)
EVERY_CALL(grow_succeeds_and_stays_once_the_disk_is_well, GROW, HEAL)
EVERY_CALL(delete_takes_nothing_acknowledged_after_kill, DELETE, KILL)
EVERY_CALL(delete_takes_nothing_acknowledged_after_power_cut, DELETE, POWER_CUT)
EVERY_CALL(delete_takes_nothing_acknowledged_after_stop, DELETE, STOP)
EVERY_CALL(delete_succeeds_and_stays_once_the_disk_is_well, DELETE, HEAL)

/* What a failed grow made is removed behind its answer: not what the next one
 * makes at the same place meanwhile. */
static void a_grow_behind_a_failed_one_keeps_its_logs(void **state)
{
    static struct story s;
    (void)state;
    memset(&s, 0, sizeof s);
    flv_buf_init(&s.batch, 1u << 20);
    rig_batch(&s.batch, 1, 100, FLV_CODEC_NONE, -1, -1);
    for (int i = 0; i < 3; i++) {
        prepare(&s, 0, true, false);
        assert_int_not_equal(grow_by(&s, 60), 0);
        uint64_t end_ms = now_ms() + RIG_WAIT_MS;
        while (grow_by(&s, 60) != 0) {
            assert_true(now_ms() < end_ms);
        }
        end(&s, KILL);
        rig_start(&s.rig);
        connect_both(&s);
        assert_int_equal(whole_partitions(&s, "keep"), 62);
        disconnect(&s);
        rig_stop(&s.rig);
        rig_deinit(&s.rig);
        synced_path[0] = '\0';
    }
    flv_buf_deinit(&s.batch);
}

/* ---- meta.db that does not belong to the folders ---- */

static void folders_without_meta_db_are_refused_and_stay(void **state)
{
    (void)state;
    struct rig r;
    struct link sc;
    struct flv_err err = {0};
    char path[256];
    rig_init(&r);
    rig_start(&r);
    link_open(&sc, r.sc);
    assert_int_equal(rig_create_topic(&sc, "keep", 2), 0);
    link_close(&sc);
    rig_stop(&r);
    snprintf(path, sizeof path, "%s/meta.db", r.conf.data_dir);
    assert_int_equal(unlink(path), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_second(&r, &err), FLV_E_CORRUPT);
        assert_non_null(strstr(err.text, "restore meta.db"));
    }
    snprintf(path, sizeof path, "%s/topics", r.conf.data_dir);
    assert_int_equal(count_folders(path), 1);
    rig_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_is_whole_or_not_at_all_after_kill),
        cmocka_unit_test(create_is_whole_or_not_at_all_after_power_cut),
        cmocka_unit_test(create_is_whole_or_not_at_all_after_stop),
        cmocka_unit_test(create_succeeds_and_stays_once_the_disk_is_well),
        cmocka_unit_test(grow_is_whole_or_not_at_all_after_kill),
        cmocka_unit_test(grow_is_whole_or_not_at_all_after_power_cut),
        cmocka_unit_test(grow_is_whole_or_not_at_all_after_stop),
        cmocka_unit_test(grow_succeeds_and_stays_once_the_disk_is_well),
        cmocka_unit_test(delete_takes_nothing_acknowledged_after_kill),
        cmocka_unit_test(delete_takes_nothing_acknowledged_after_power_cut),
        cmocka_unit_test(delete_takes_nothing_acknowledged_after_stop),
        cmocka_unit_test(delete_succeeds_and_stays_once_the_disk_is_well),
        cmocka_unit_test(a_grow_behind_a_failed_one_keeps_its_logs),
        cmocka_unit_test(folders_without_meta_db_are_refused_and_stay),
    };
    set_up_faults();
    cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
