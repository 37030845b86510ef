/*
 * test_connector.h - a source that makes its own records.
 *
 * Purpose    The smallest connector: record N is "Hello, Fluvio! - N". Good
 *            for trying a cluster, and as a pattern for a new connector.
 * Threads    Loop thread only.
 * Ownership  See <fluvio/connector.h>.
 * Errors     Options of the original's test runner are refused.
 * See        README.md
 */
#ifndef FLV_CONNECTORS_TEST_CONNECTOR_H
#define FLV_CONNECTORS_TEST_CONNECTOR_H

#include <fluvio/connector.h>

extern const struct flv_connector test_connector;

#endif
