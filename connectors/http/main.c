#include "http.h"

int main(int argc, char **argv)
{
    return flv_connector_main(&http_connector, argc, argv);
}
