#include "mqtt.h"

int main(int argc, char **argv)
{
    return flv_connector_main(&mqtt_connector, argc, argv);
}
