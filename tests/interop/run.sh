#!/bin/sh
# Real Fluvio clients against fluvio-server. Prints TAP.
#
#   tests/interop/run.sh BIN_DIR
#
# The clients come from their own registries, once, into a cache folder named
# after the version: ${XDG_CACHE_HOME:-~/.cache}/fluvio-c/interop/. A client
# that cannot be installed counts as one skipped test.
set -u

here=$(cd "$(dirname "$0")" && pwd)
FLV_BIN=$(cd "${1:?usage: run.sh BIN_DIR}" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fluvio-c/interop
pypi_version=0.21.0
npm_version=0.14.9
python=$cache/pypi-fluvio-$pypi_version
node=$cache/npm-fluvio-client-$npm_version
FLV_INTEROP=$(mktemp -d "${TMPDIR:-/tmp}/fluvio-interop-XXXXXX")
FLV_PROFILE_PATH=$FLV_INTEROP/profile
FLV_METADATA_TIMEOUT=10000
FLV_SOCKET_WAIT=15
export FLV_BIN FLV_INTEROP FLV_PROFILE_PATH FLV_METADATA_TIMEOUT FLV_SOCKET_WAIT
failed=0

finish() {
    [ ! -f "$FLV_INTEROP/pid" ] || [ -f "$FLV_INTEROP/status" ] ||
        "$here/server.sh" kill
    rm -rf "$FLV_INTEROP"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Into a folder beside the final one, so that a cut download leaves nothing.
install_python() {
    [ -d "$python" ] && return
    rm -rf "$python.new"
    mkdir -p "$cache" &&
        python3 -m venv "$python.new" &&
        "$python.new/bin/pip" install --quiet --disable-pip-version-check \
            "fluvio==$pypi_version" &&
        mv "$python.new" "$python"
}

install_node() {
    [ -d "$node" ] && return
    rm -rf "$node.new"
    # The package carries TypeScript and a prebuilt library; its own
    # postinstall wants a global compiler, so we run one of our own.
    mkdir -p "$node.new" &&
        (cd "$node.new" && echo '{"private":true}' >package.json &&
            npm install --silent --no-fund --no-audit --ignore-scripts \
                "@fluvio/client@$npm_version" typescript@5.4 @types/node@20 &&
            npx tsc -p node_modules/@fluvio/client) &&
        mv "$node.new" "$node"
}

program() {
    name=$1
    shift
    if ! timeout -k 5 240 "$@"; then
        failed=1
        echo "# $name failed; the server's last words:"
        tail -n 20 "$FLV_INTEROP/server.log" | sed 's/^/# /'
    fi
}

if ! "$here/server.sh" start; then
    echo "not ok - fluvio-server starts"
    exit 1
fi
if install_python >"$FLV_INTEROP/install.log" 2>&1; then
    program python "$python/bin/python" "$here/python/test_client.py"
else
    tail -n 5 "$FLV_INTEROP/install.log" | sed 's/^/# /'
    echo "ok - PyPI client # SKIP fluvio $pypi_version cannot be installed"
fi
if install_node >"$FLV_INTEROP/install.log" 2>&1; then
    NODE_PATH=$node/node_modules
    export NODE_PATH
    cd "$node" || exit 1
    program node node "$here/node/test_client.js"
else
    tail -n 5 "$FLV_INTEROP/install.log" | sed 's/^/# /'
    echo "ok - npm client # SKIP @fluvio/client $npm_version cannot be installed"
fi
if "$here/server.sh" stop; then
    echo "ok - the server ends in good order"
else
    echo "not ok - the server ends in good order"
    failed=1
fi
if "$FLV_BIN/fluvio-server" --check "$FLV_INTEROP/data" >"$FLV_INTEROP/check"
then
    echo "ok - the data directory is whole"
else
    echo "not ok - the data directory is whole"
    sed 's/^/# /' "$FLV_INTEROP/check"
    failed=1
fi
exit "$failed"
