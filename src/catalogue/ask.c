#include "catalogue/ask.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "loop/process.h"

#define CHECK_MS 10000
/* Connectors have time limits of their own for the far side. */
#define PROBE_MS 60000
#define OUT_BYTES_MAX 65536

struct ask {
    flv_ask_done done;
    void *arg;
    uint32_t timeout_ms;
};

/* The first line that begins with "error: ", or the first one. */
static void pick(const char *text, char *out, size_t size)
{
    static const char mark[] = "error: ";
    const char *best = text;
    assert(text != NULL);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, mark, sizeof(mark) - 1) == 0) {
            best = line;
            break;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    (void)snprintf(out, size, "%.*s", (int)strcspn(best, "\n"), best);
}

static void on_end(void *arg, const struct flv_process_result *result)
{
    struct ask *a = arg;
    char text[400], said[100];
    enum flv_ask_outcome outcome = FLV_ASK_BROKEN;
    bool exited = result->end == FLV_PROCESS_EXITED;
    if (exited && result->status == 0) {
        outcome = FLV_ASK_FINE;
        (void)snprintf(text, sizeof(text), "%.*s",
                       (int)strcspn(result->out, "\n"), result->out);
    } else if (exited && (result->status == 1 || result->status == 3)) {
        outcome = result->status == 1 ? FLV_ASK_WRONG : FLV_ASK_FAR;
        pick(result->err_out, text, sizeof(text));
    } else {
        flv_process_say(result, a->timeout_ms, said, sizeof(said));
        (void)snprintf(text, sizeof(text), "the connector %s", said);
    }
    flv_ask_done done = a->done;
    void *done_arg = a->arg;
    flv_free(a);
    done(done_arg, outcome, text);
}

/* A descriptor that reads the text from its beginning and is on no disk. */
static int text_fd(const char *name, struct flv_slice text)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    int sys = fd >= 0 ? flv_file_write_all(fd, text) : 0;
    if (sys != 0) {
        (void)close(fd);
        errno = sys;
        return -1;
    }
    return fd;
}

static flv_rc start(struct ask *a,
                    struct flv_loop *loop,
                    const struct flv_cat_entry *entry,
                    const struct flv_question *q,
                    struct flv_err *err)
{
    const char *argv[] = {entry->path,  "--config",
                          FLV_ASK_PATH, "--secrets",
                          "/dev/fd/4",  q->probe ? "--probe" : "--check",
                          NULL};
    struct flv_process_conf conf = {
        .program = entry->path,
        .argv = argv,
        .fds = {text_fd("config", q->file), text_fd("secrets", q->secrets)},
        .fd_count = 2,
        .out_bytes_max = OUT_BYTES_MAX,
        .timeout_ms = a->timeout_ms};
    flv_rc rc = FLV_OK;
    if (conf.fds[0] < 0 || conf.fds[1] < 0) {
        rc = flv_fail_sys(err, FLV_E_IO, errno,
                          "cannot hand the file to the connector %s",
                          entry->name);
    }
    if (rc == FLV_OK) {
        rc = flv_process_run(loop, &conf, on_end, a, NULL, err);
    }
    for (size_t i = 0; i < conf.fd_count; i++) {
        if (conf.fds[i] >= 0) {
            (void)close(conf.fds[i]);
        }
    }
    return rc;
}

flv_rc flv_ask(struct flv_loop *loop,
               const struct flv_cat_entry *entry,
               const struct flv_question *question,
               flv_ask_done done,
               void *arg,
               struct flv_err *err)
{
    bool probe = question->probe;
    unsigned needed = probe ? FLV_FEATURE_PROBE : FLV_FEATURE_CHECK;
    if ((entry->descriptor.features & needed) == 0) {
        return flv_fail(err, FLV_E_UNSUPPORTED,
                        probe ? "%s has no far side to look at"
                              : "%s cannot check a file itself",
                        entry->name);
    }
    struct ask *a = flv_zalloc(1, sizeof(*a));
    if (a == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    a->done = done;
    a->arg = arg;
    a->timeout_ms = probe ? PROBE_MS : CHECK_MS;
    flv_rc rc = start(a, loop, entry, question, err);
    if (rc != FLV_OK) {
        flv_free(a);
    }
    return rc;
}
