/*
 * plan.h - which SmartModules a connector runs, from options and file.
 *
 * Purpose    Joins the SmartModule options, --transform and transforms into
 *            one list of steps with parameters, budget and error policy, and
 *            reads the modules that are files.
 * Threads    No sharing.
 * Ownership  The plan owns what it makes; texts of options and file are
 *            borrowed from them.
 * Errors     FLV_E_USAGE and FLV_E_INVALID: sentences that name the option, or
 *            file and line.
 * See        docs/connectors.md, tests/unit/connector/test_plan.c
 */
#ifndef FLV_CONNECTOR_PLAN_H
#define FLV_CONNECTOR_PLAN_H

#include "config/connector_file.h"
#include "connector/options.h"
#include "connector/policy.h"
#include "connector/stage.h"
#include "smartmodule/chain.h"

struct flv_plan_step {
    const char *option; /* "--filter", "transforms": for messages */
    const char *uses;   /* a path, or a name on the cluster */
    int kind;           /* enum flv_sm_kind that it has to be; -1: any */
    const struct flv_transform_param *params;
    size_t param_count;
    const char *initial; /* of the accumulator; NULL: not said */
    uint64_t look_back_last, look_back_age_ms;
    struct flv_policy policy;
    struct flv_budget budget;
    struct flv_slice wasm; /* owned; no data: nobody has read it yet */
};

struct flv_plan {
    struct flv_arena arena;
    struct flv_cfile *lines; /* owned: one for each --transform */
    size_t line_count;
    struct flv_plan_step steps[FLV_SM_STEPS_MAX];
    size_t count;
    struct flv_policy sink_policy; /* for what the far side refuses */
    /* Topics of dead letters by lane; [FLV_LANE_TOPIC] is the topic. */
    const char *topics[FLV_LANES_MAX];
    uint32_t lanes;
};

/* sink: records that get through may still be refused, on-error is for those,
 * too. The options are finished; file is NULL where there is none. Call
 * _deinit() in any case. */
FLV_CHECKED flv_rc flv__plan_make(struct flv_plan *p,
                                  const struct flv_opts *opts,
                                  const struct flv_cfile *file,
                                  const struct flv_cfile_conf *secrets,
                                  bool sink,
                                  struct flv_err *err);
/* Reads the modules that are files; others are left to flv__plan_give(). */
FLV_CHECKED flv_rc flv__plan_read(struct flv_plan *p, struct flv_err *err);
/* Copies the bytes of step i's module, whose kind has to fit. */
FLV_CHECKED flv_rc flv__plan_give(struct flv_plan *p,
                                  size_t i,
                                  struct flv_slice wasm,
                                  struct flv_err *err);
/* Compiled: nobody needs the bytes any more. */
void flv__plan_drop(struct flv_plan *p);
void flv__plan_deinit(struct flv_plan *p);

#endif
