#include "http_sink.h"

int main(int argc, char **argv)
{
    return flv_connector_main(&http_sink_connector, argc, argv);
}
