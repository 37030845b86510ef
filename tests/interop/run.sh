#!/bin/bash
# Software that nobody here wrote, against fluvio-server; prints TAP.
#
#     tests/interop/run.sh BIN_DIR [PART]...
#
# Parts: pypi old node mqtt prometheus hostile cluster, all of them by default.
# "cluster" is the other way round, our programs against Fluvio's own server;
# it is skipped where scripts/real-fluvio has not built that.
#
# BIN_DIR holds fluvio-server (and fluvio, whose output is then compared).
# The public clients are installed once, and SmartModules in Rust built once,
# below the user's cache folder.
set -u

if [ $# -lt 1 ]; then
    echo "usage: tests/interop/run.sh BIN_DIR [PART]..." >&2
    exit 2
fi
BIN=$(cd "$1" && pwd) || exit 2
shift
[ $# -gt 0 ] || set -- pypi old node mqtt prometheus hostile cluster
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/clients.sh"
case " $* " in
*" pypi "* | *" old "* | *" node "*)
    FLV_RUST_SMARTMODULES=${FLV_RUST_SMARTMODULES:-$(
        "$HERE/../../scripts/rust-smartmodules"
    )} || exit 1
    export FLV_RUST_SMARTMODULES
    ;;
esac

run_all() {
    local rc=0 what
    for what; do
        case $what in
        pypi)
            install_pypi &&
                "$PYPI/bin/python" "$HERE/pypi.py" "$BIN" || rc=1
            ;;
        old)
            install_old && FLV_OLD_CLIENTS=$OLD \
                "$PYPI/bin/python" "$HERE/old.py" "$BIN" || rc=1
            ;;
        node)
            install_npm &&
                FLV_NPM=$NPM node "$HERE/node.mjs" "$BIN" || rc=1
            ;;
        mqtt)
            install_aedes &&
                FLV_AEDES=$AEDES python3 "$HERE/mqtt.py" "$BIN" || rc=1
            ;;
        prometheus)
            install_prometheus &&
                "$PROMETHEUS/bin/python" "$HERE/prometheus.py" "$BIN" || rc=1
            ;;
        hostile) python3 "$HERE/hostile.py" "$BIN" || rc=1 ;;
        cluster)
            if FLV_REAL_FLUVIO=$("$HERE/../../scripts/real-fluvio" \
                --if-built 2>/dev/null); then
                export FLV_REAL_FLUVIO
                python3 "$HERE/cluster.py" "$BIN" || rc=1
                python3 "$HERE/cluster_connectors.py" "$BIN" || rc=1
            else
                echo "ok - a cluster of Fluvio's own server" \
                    "# skip scripts/real-fluvio has not built it"
            fi
            ;;
        *)
            echo "not ok - $what is a part of this suite"
            rc=1
            ;;
        esac
    done
    return $rc
}

run_all "$@" 2>&1 | awk '
    /^(ok|not ok) - / { n++; sub(/ - /, " " n " - ") }
    { print; fflush() }
    END { print "1.." n }'
exit "${PIPESTATUS[0]}"
