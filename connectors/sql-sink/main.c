#include "sql_sink.h"

int main(int argc, char **argv)
{
    return flv_connector_main(&sql_sink_connector, argc, argv);
}
