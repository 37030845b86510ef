#!/bin/bash
# Software that nobody here wrote, against fluvio-server; prints TAP.
#
#     tests/interop/run.sh BIN_DIR [pypi|node]...
#
# BIN_DIR holds fluvio-server (and fluvio, whose output is then compared).
# The public clients are installed once, below the user's cache folder.
set -u

if [ $# -lt 1 ]; then
    echo "usage: tests/interop/run.sh BIN_DIR [pypi|node]..." >&2
    exit 2
fi
BIN=$(cd "$1" && pwd) || exit 2
shift
[ $# -gt 0 ] || set -- pypi node
HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/fluvio-c
PYPI=$CACHE/pypi-fluvio-0.21.0
NPM=$CACHE/npm-fluvio-client-0.14.9
WORK=$(mktemp -d "${TMPDIR:-/tmp}/fluvio-interop-run.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT

# Only bin/python of it is used: that one survives the rename.
make_pypi() {
    python3 -m venv "$1" &&
        "$1/bin/python" -m pip install -q --disable-pip-version-check \
            fluvio==0.21.0 &&
        "$1/bin/python" -c 'import fluvio'
}

# The package's own postinstall step wants a global tsc: it is done by hand.
make_npm() {
    mkdir -p "$1" && cd "$1" && echo '{ "private": true }' >package.json &&
        npm install --silent --no-audit --no-fund --ignore-scripts \
            @fluvio/client@0.14.9 typescript@5.4 @types/node@20 &&
        npx --no-install tsc -p node_modules/@fluvio/client &&
        node -e 'require("@fluvio/client")'
}

# install NAME TARGET MAKE: built aside, then renamed, so that what stands
# under its name is complete; two runs at once may both build, one wins.
install_client() {
    local name=$1 target=$2 aside=$2.$$
    [ -e "$target/.complete" ] && return 0
    mkdir -p "$CACHE"
    if ("$3" "$aside") >"$WORK/install.log" 2>&1 && touch "$aside/.complete"
    then
        rm -rf "$target"
        mv -T "$aside" "$target" 2>/dev/null || [ -e "$target/.complete" ]
    else
        echo "not ok - $name can be installed"
        tail -n 8 "$WORK/install.log" | sed 's/^/# /'
        rm -rf "$aside"
        return 1
    fi
}

run_all() {
    local rc=0 what
    for what; do
        case $what in
        pypi)
            install_client "PyPI fluvio 0.21.0" "$PYPI" make_pypi &&
                "$PYPI/bin/python" "$HERE/pypi.py" "$BIN" || rc=1
            ;;
        node)
            install_client "npm @fluvio/client 0.14.9" "$NPM" make_npm &&
                FLV_NPM=$NPM node "$HERE/node.mjs" "$BIN" || rc=1
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
