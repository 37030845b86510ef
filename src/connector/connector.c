#include <fluvio/connector.h>

#include "base/file.h"
#include "connector/control.h"
#include "connector/probe.h"
#include "connector/run.h"
#include "connector/setup.h"

int flv_connector_main(const struct flv_connector *type, int argc, char **argv)
{
    struct flv_setup setup;
    int code = FLV_EXIT_FAILURE;
    flv_file_take_std();
    if (flv__setup_read(&setup, type, argc, argv, &code)) {
        const struct flv_shared_conf *shared = flv__setup_shared(&setup);
        code = shared->probe   ? flv__connector_probe(&setup)
               : shared->check ? FLV_EXIT_DONE
                               : flv__connector_run(&setup);
    } else if (code != FLV_EXIT_DONE) {
        flv__control_exit(&(struct flv_control_exit){.path = setup.exit_file,
                                                     .type = type,
                                                     .code = code,
                                                     .reason = "configuration",
                                                     .cause = &setup.cause});
    }
    flv__setup_deinit(&setup);
    return code;
}
