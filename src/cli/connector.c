/* fluvio connector: managed connectors. */
#include "cli/connector.h"

static const struct flv_cmd *const connector_commands[] = {
    &cli_cmd_connector_catalog, &cli_cmd_connector_check,
    &cli_cmd_connector_schema, NULL};

const struct flv_cmd cli_cmd_connector = {
    .name = "connector",
    .about = "Create and work with connectors",
    .commands = connector_commands,
};
