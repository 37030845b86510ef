/* A SmartModule that never ends: its budget does. For bench/run. */
#include <fluvio/smartmodule.h>

FLV_FILTER(record)
{
    volatile int forever = 1;

    (void)record;
    while (forever != 0) {
    }
    return FLV_KEEP;
}
