#include "test_connector.h"

int main(int argc, char **argv)
{
    return flv_connector_main(&test_connector, argc, argv);
}
