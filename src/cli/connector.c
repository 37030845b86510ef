/* fluvio connector: managed connectors. */
#include "cli/connector.h"

#include "cli/managed.h"

static const struct flv_cmd *const connector_commands[] = {
    &cli_cmd_managed_create,
    &cli_cmd_managed_apply,
    &cli_cmd_managed_update,
    &cli_cmd_managed_delete,
    &cli_cmd_managed_list,
    &cli_cmd_managed_describe,
    &cli_cmd_managed_config,
    &cli_cmd_managed_logs,
    &cli_cmd_managed_events,
    &cli_cmd_managed_pause,
    &cli_cmd_managed_resume,
    &cli_cmd_managed_restart,
    &cli_cmd_connector_catalog,
    &cli_cmd_connector_check,
    &cli_cmd_connector_schema,
    &cli_cmd_managed_names,
    NULL};

const struct flv_cmd cli_cmd_connector = {
    .name = "connector",
    .about = "Create and work with Managed Connectors\n\n"
             "A manager beside the cluster runs them, watches them, and says "
             "how they are; `fluvio cluster start` starts it.",
    .commands = connector_commands,
};
