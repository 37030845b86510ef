#include "connector/probe.h"

#include <assert.h>
#include <stdio.h>

#include "loop/loop.h"

struct flv_probe {
    struct flv_loop *loop;
    int status;
    bool done;
};

struct flv_loop *flv_probe_loop(struct flv_probe *probe)
{
    return probe->loop;
}

void flv_probe_done(struct flv_probe *probe,
                    const char *text,
                    const struct flv_err *err)
{
    assert(!probe->done && (text == NULL) == (err != NULL));
    probe->done = true;
    if (text != NULL) {
        (void)printf("%s\n", text);
        probe->status = FLV_EXIT_DONE;
    } else {
        (void)fprintf(stderr, "error: %s\n", err->text);
        probe->status = FLV_EXIT_PROBE;
    }
    flv_loop_stop(probe->loop);
}

int flv__connector_probe(struct flv_setup *setup)
{
    struct flv_probe probe = {.status = FLV_EXIT_FAILURE};
    struct flv_err err = {0};
    if (setup->type->probe == NULL) {
        (void)printf("%s has no far side to look at\n", setup->type->name);
        return FLV_EXIT_DONE;
    }
    flv_rc rc = flv_loop_create(&probe.loop, 0, &err);
    if (rc == FLV_OK) {
        rc = setup->type->probe(flv__setup_own(setup), &probe, &err);
    }
    if (rc == FLV_OK) {
        flv_loop_run(probe.loop);
        assert(probe.done);
    } else {
        (void)fprintf(stderr, "error: %s\n", err.text);
    }
    if (probe.loop != NULL) {
        flv_loop_run(probe.loop); /* what is closed still says so */
    }
    flv_loop_destroy(probe.loop);
    return probe.status;
}
