/* Changes to topics that exist. */
#include "client/admin.h"

#include <assert.h>

flv_rc flv_client_topic_add_partitions(struct flv_client *c,
                                       const char *name,
                                       uint32_t count,
                                       flv_done_fn done,
                                       void *user,
                                       struct flv_err *err)
{
    struct admin_op *o = NULL;
    flv_rc rc = flv__admin_new(c, user, &o, err);

    assert(done != NULL);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv__name_copy(o->name, name, "Topic name", err);
    if (rc != FLV_OK) {
        flv__admin_drop(o);
        return rc;
    }
    o->fn.done = done;
    o->deliver = flv__admin_deliver;
    o->body.update.key = flv_slice_str(o->name);
    o->body.update.action.tag = FLV_WIRE_TOPIC_ADD_PARTITION;
    o->body.update.action.count = count;
    o->call.api = FLV_API_SC_UPDATE;
    o->call.done = flv__admin_status;
    o->call.message = (struct flv_wire_message){
        .schema = &flv_wire_topic_update_schema,
        .body = &o->body,
        .label = flv_wire_object_label(FLV_WIRE_TOPIC)};
    return flv__admin_submit(o, err);
}
